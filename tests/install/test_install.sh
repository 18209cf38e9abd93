#!/usr/bin/env bash
# What is installed works without the tree: library (pkg-config, find_package), headers, man pages, completion.
# usage: test_install.sh SCRATCH BUILD COMPILER
. "$(dirname "$0")/../cli/lib.sh"
build=$2 compiler=$3
prefix=$PWD/prefix

expect_code 0 "" cmake --install "$build" --prefix "$prefix"
for file in bin/gradus include/gradus/base/err.h share/man/man1/gradus.1 share/man/man5/gradus-recipe.5 share/gradus/configs/example.yaml \
    share/gradus/configs/models/qwen3-0.6b.yaml share/gradus/slurm/train.sh share/doc/gradus/README.md share/doc/gradus/LICENSE \
    share/doc/gradus/docs/cluster.md share/doc/gradus/datasets/README.md share/bash-completion/completions/gradus; do
    [ -e "$prefix/$file" ] || fail "$file was not installed"
done
expect_code 0 "^gradus " "$prefix/bin/gradus" --version
[ -x "$prefix/share/gradus/slurm/train.sh" ] || fail "the batch script cannot be run"
# The texts lead to each other, and an installed model file is one.
grep -oE '\]\([^)#]+\)' "$prefix/share/doc/gradus/README.md" | tr -d '()]' | while read -r link; do
    [ -e "$prefix/share/doc/gradus/$link" ] || fail "the installed README links to $link, which is not there"
done
expect_code 0 "parameters" "$prefix/bin/gradus" model info "$prefix/share/gradus/configs/demo/model.yaml"

# Each public header stands alone, and leads nowhere into the tree.
for header in $(cd "$prefix/include" && find gradus -name '*.h'); do
    echo "#include <$header>" >header.c
    expect_code 0 "" "$compiler" -std=c17 -Wall -Werror -fsyntax-only -I "$prefix/include" header.c
done
! grep -rn '#include "\(src\|mpi\|stages\|datasets\)/' "$prefix/include" || fail "a header points into the tree"

# A program that asks pkg-config.
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name gradus.pc)")
expect_code 0 "" pkg-config --exists --print-errors gradus
# shellcheck disable=SC2046 # lists of options
expect_code 0 "" "$compiler" -std=c17 -Wall -Werror $(pkg-config --cflags gradus) "$here/../install/consumer.c" \
    -o consumer $(pkg-config --libs gradus)
expect_code 0 "^loss 2\.302585$" ./consumer

# A program that asks CMake.
expect_code 0 "" cmake -S "$here/../install" -B cmake-consumer -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$compiler"
expect_code 0 "" cmake --build cmake-consumer
expect_code 0 "^loss 2\.302585$" ./cmake-consumer/consumer
mkdir newer
printf 'cmake_minimum_required(VERSION 3.21)\nproject(newer LANGUAGES C)\nfind_package(Gradus 99 REQUIRED)\n' >newer/CMakeLists.txt
expect_code 1 "with requested version \"99\"" cmake -S newer -B newer/build -DCMAKE_PREFIX_PATH="$prefix"

# Man pages: the words of --help, and roff that readers accept.
pages=$(cd "$prefix/share/man/man1" && echo *)
for family in doctor model data tokenizer debug generate plan train verify diff; do
    case " $pages " in *" gradus-$family.1 "*) ;; *) fail "no man page of $family: $pages" ;; esac
done
grep -q '^names the random numbers' "$prefix/share/man/man1/gradus-model.1" ||
    fail "the man page of model lacks what its --help says"
# The page of recipes has every key of configs/README.md, and its words.
keys=$prefix/share/gradus/configs/README.md recipe=$prefix/share/man/man5/gradus-recipe.5
sed -n 's/^| `\([a-z_.]*\)`.*/\1/p' "$keys" >keys
[ "$(wc -l <keys)" -ge 50 ] || fail "configs/README.md has only $(wc -l <keys) keys"
while read -r key; do
    grep -q "^\.BR \"$key[ ,\"]" "$recipe" || fail "gradus-recipe(5) lacks $key"
done <keys
grep -q '^\.BR "lanes" " (default: 1)"$' "$recipe" || fail "gradus-recipe(5) has no default of lanes"
grep -q '^virtual ranks\. The global batch is cut' "$recipe" || fail "gradus-recipe(5) does not explain lanes"
! grep -Eq '[|`]|\*\*' "$recipe" || fail "gradus-recipe(5) has marks of Markdown: $(grep -E '[|`]|\*\*' "$recipe" | head -n 3)"
if command -v man >/dev/null; then
    for page in $pages; do
        MANWIDTH=100 expect_code 0 "EXIT STATUS" man --warnings -E UTF-8 -l -P cat "$prefix/share/man/man1/$page"
        [ ! -s stderr ] || { cat stderr >&2; fail "man complains about $page"; }
    done
    MANWIDTH=100 expect_code 0 "global_batch" man --warnings -E UTF-8 -l -P cat "$recipe"
    [ ! -s stderr ] || { cat stderr >&2; fail "man complains about gradus-recipe.5"; }
else
    echo "notice: no man: the pages were not formatted"
fi
if command -v mandoc >/dev/null; then
    for page in $pages; do # style: long lines, which roff fills anyway
        expect_code 0 "" mandoc -Tlint -Wwarning "$prefix/share/man/man1/$page"
    done
else
    echo "notice: no mandoc: the pages were not linted"
fi

# Completion in bash. complete_line WORDS...: what is offered for the last word.
. "$prefix/share/bash-completion/completions/gradus"
complete_line() {
    COMP_WORDS=(gradus "$@") COMP_CWORD=$#
    _gradus
    echo "${COMPREPLY[*]}"
}
# expect_offer WANT WORDS...
expect_offer() {
    local want=$1 got
    shift
    got=$(complete_line "$@")
    [ "$got" = "$want" ] || fail "gradus $*: offered \"$got\", expected \"$want\""
}
complete -p gradus >/dev/null || fail "completion is not registered"
expect_offer "generate" ge
expect_offer "model" mod
expect_offer "init info" model in
expect_offer "--seed" model init --se
expect_offer "--run --resume" train recipe.yaml --r
expect_offer "sailvit transformers" model export x --layout ""
expect_offer "" train rec
expect_offer "auto never" train recipe.yaml --resume ""
expect_offer "keep" data import x --encode k
expect_offer "data" help dat
expect_offer "synth show" help data s
expect_offer "--source" data show --so
# Every option that a --help page shows is offered.
"$GRADUS" --help | sed -n 's/^  \([a-z ]*[a-z]\)   *.*/\1/p' >commands
[ "$(wc -l <commands)" -ge 13 ] || fail "the overview lists $(wc -l <commands) commands"
while read -r command; do
    # shellcheck disable=SC2086 # a command is one or two words
    want=$("$GRADUS" $command --help </dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p' | tr '\n' ' ')
    expect_offer "${want% }" $command --
done <commands
for shell in zsh fish; do
    if command -v $shell >/dev/null; then
        expect_code 0 "" $shell -n "$(find "$prefix/share/$shell" -type f)"
    else
        echo "notice: no $shell: its completion was not parsed"
    fi
done

if command -v fish >/dev/null; then
    offer=$(fish -c 'source $argv[1]; complete -C "gradus tokenizer train --"' \
        "$prefix/share/fish/vendor_completions.d/gradus.fish" | cut -f 1 | tr '\n' ' ')
    [ "$offer" = "--data --out --vocabulary " ] || fail "fish offers \"$offer\" for tokenizer train"
fi

echo "install: all as expected"
