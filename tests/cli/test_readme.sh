#!/usr/bin/env bash
# What README.md and docs/ tell a newcomer to type works as it stands, and what they point at is there.
. "$(dirname "$0")/lib.sh"
root=$(cd "$here/../.." && pwd)

# The indented lines of a section.
commands_of() { sed -n "/^## $1\$/,/^## /s/^    //p" "$root/README.md"; }

# The first training, from the folder of the sources; fewer steps of training are the only difference.
ln -s "$root/configs" configs
commands_of "First training" | sed 's/steps: 300/steps: 3/' >first.sh
[ "$(grep -c '^gradus \|^mpirun ' first.sh)" = 10 ] || fail "the first training has other commands: $(cat first.sh)"
grep -q "steps: 3," first.sh || fail "the first training has another length"
mkdir bin
ln -s "$GRADUS" bin/gradus
expect_code 0 "^complete: 3 steps" env PATH="$PWD/bin:$PATH" OMP_NUM_THREADS=1 bash -e first.sh
[ -s first/picture.png ] && [ -s first/encoder/config.json ] || fail "no picture or no encoder: $(ls first)"
left=$(find . -maxdepth 1 ! -name . ! -name bin ! -name configs ! -name first ! -name first.sh ! -name stdout ! -name stderr)
[ -z "$left" ] || fail "it left more than its folder: $left"

# Links, and names of files of the sources.
for text in README.md docs/cluster.md docs/running.md configs/README.md; do
    grep -oE '\]\([^)#]+\)' "$root/$text" | tr -d '()]' | while read -r link; do
        [ -e "$root/$(dirname "$text")/$link" ] || [ -e "$root/$link" ] || fail "$text links to $link, which is not there"
    done
    grep -oE '`(docs|configs|slurm|tests|src|mpi|datasets|stages)/[A-Za-z0-9_./-]*`' "$root/$text" | tr -d '`' | while read -r file; do
        [ -e "$root/$file" ] || fail "$text names $file, which is not there"
    done
    grep -oE '\]\(#[^)]+\)' "$root/$text" | sed 's/^](#//; s/)$//' | while read -r anchor; do
        sed -n 's/^## //p' "$root/$text" | tr 'A-Z ' 'a-z-' | tr -d ',' | grep -qx -- "$anchor" || fail "$text has no section $anchor"
    done
done
# Every option that these texts name with a command is one of that command.
grep -ohE '`[^`]*gradus [a-z]+[^`]*`' "$root/README.md" "$root"/docs/cluster.md "$root"/docs/running.md | tr -d '`' |
    grep -oE 'gradus [a-z]+.*' | sed 's/ -- .*//' | sort -u |
    while read -r _ one two rest; do
        "$GRADUS" "$one" "$two" --help >help 2>/dev/null || "$GRADUS" "$one" --help >help 2>/dev/null || fail "no command: gradus $one $two"
        for option in $(grep -oE -- '--[a-z-]+' <<<"$two $rest"); do
            grep -q -- "$option" help || [ "$option" = --version ] || fail "gradus $one $two has no option $option"
        done
    done

echo "readme: all as expected"
