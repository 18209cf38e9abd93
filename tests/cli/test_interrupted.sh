#!/usr/bin/env bash
# Commands that make a folder, killed at every place where they touch the disk, by signals and while another runs: what they leave
# never passes for a result, and the same command again makes it.
. "$(dirname "$0")/lib.sh"
set -o pipefail

started=
trap 'for pid in $started; do kill -KILL "$pid" 2>/dev/null || true; done' EXIT

make_model model
make_tokenizer words
cp -r model speaking
cp words/*.json speaking/
init=("$GRADUS" model init --config "$here/tiny.yaml" --seed 1 --tokenizer words)
train=("$GRADUS" tokenizer train --data words.data --vocabulary 280)
export_language=("$GRADUS" model export speaking --part language)

# passages COMMAND...: makes ./whole, the result to compare with; ./places: each place that is passed, and how often.
passages() {
    rm -rf whole
    GR_FAILPOINT=count:counts "$@" --out whole >stdout 2>stderr || fail "$*: $(cat stderr)"
    awk '$2 > 0 { print $1, $2 }' counts.0 >places
    [ "$(wc -l <places)" -ge 6 ] || fail "$*: too few places are passed: $(cat places)"
}

# killed AT FOLDER COMMAND...: killed there.
killed() {
    local at=$1 folder=$2 code=0
    shift 2
    { GR_FAILPOINT=$at "$@" --out "$folder" >stdout 2>stderr || code=$?; } 2>/dev/null # the shell says "Killed"
    [ "$code" = 137 ] || fail "killed at $at: exit $code: $(cat stderr)"
}

whole() {
    diff -r whole "$1" >/dev/null || fail "$2: $1 is not the whole result: $(ls -A "$1")"
}

# again FOLDER WHAT COMMAND...: as if nothing had been.
again() {
    local folder=$1 what=$2
    shift 2
    [ ! -e "$folder" ] || whole "$folder" "$what"
    [ -e "$folder" ] || expect_code 0 "" "$@" --out "$folder"
    whole "$folder" "$what, again"
    [ -z "$(find . -maxdepth 1 -name '*.gradus-unfinished')" ] || fail "$what: something is left: $(ls -A)"
    rm -r "$folder"
}

# The first and the last passage of each place.
for command in init train export_language; do
    declare -n words_of=$command
    passages "${words_of[@]}"
    while read -r place count; do
        for k in $(printf '1\n%d\n' "$count" | sort -u); do
            killed "$place:$k" new "${words_of[@]}"
            again new "$command at $place:$k" "${words_of[@]}"
        done
    done <places
done

# Signals, sent while it stands still in the middle. A second call meanwhile is told so, and takes nothing away.
stopped() {
    local i
    for ((i = 0; i < 600; i++)); do
        grep -q "^State:.T" "/proc/$1/status" 2>/dev/null && return 0
        sleep 0.05
    done
    fail "it did not stop"
}
for command in init train export_language; do
    declare -n words_of=$command
    passages "${words_of[@]}"
    for signal in INT TERM HUP KILL; do
        # A shell starts what it puts in the background with SIGINT ignored: env puts that right.
        GR_FAILPOINT=file.written:2:0:stop env --default-signal=INT "${words_of[@]}" --out new >/dev/null 2>&1 &
        pid=$!
        started="$started $pid"
        stopped "$pid"
        [ ! -e new ] || fail "$command: a result before its time"
        expect_code 2 "another process is writing it" "${words_of[@]}" --out new
        kill -"$signal" "$pid"
        kill -CONT "$pid" 2>/dev/null || true
        code=0
        wait "$pid" 2>/dev/null || code=$?
        [ "$code" -gt 128 ] || fail "$command, SIG$signal: exit $code"
        again new "$command, SIG$signal" "${words_of[@]}"
    done
done

# An empty folder that is there already: as it was after a failure, made after a kill; a link and "." are filled where they lead.
passages "${train[@]}"
mkdir -m 700 there
expect_code 65 "merges" "$GRADUS" tokenizer train --data words.data --vocabulary 100000 --out there
[ "$(stat -c %a there)" = 700 ] && [ -z "$(ls -A there)" ] || fail "an empty folder is not as it was"
expect_code 0 "" "${train[@]}" --out there
[ "$(stat -c %a there)" = 700 ] || fail "the folder is another one"
whole there "an empty folder"
rm -r there
mkdir there
killed file.renamed:1 there "${train[@]}"
again there "an empty folder, killed" "${train[@]}"
mkdir real inside
ln -s real link
expect_code 0 "" "${train[@]}" --out link
[ -L link ] && whole real "through a link"
(cd inside && "${train[@]/words.data/../words.data}" --out .) >stdout 2>stderr || fail "--out .: $(cat stderr)"
whole inside "--out ."
expect_code 2 "whole is not empty" "${train[@]}" --out whole
: >file
expect_code 74 "file: is a file" "${train[@]}" --out file
ln -s nowhere dangling
expect_code 74 "dangling: is a file" "${train[@]}" --out dangling
expect_code 0 "" "${train[@]}" --out deep/er///
whole deep/er "a new folder in a new folder"

# Without room for the ending it is filled where it is: a kill leaves files then, but no model and no tokenizer.
long=$(printf 'n%.0s' {1..250})
passages "${init[@]}"
while read -r place count; do
    for ((k = 1; k <= count; k++)); do
        killed "$place:$k" "$long" "${init[@]}"
        if [ -e "$long/config.json" ]; then
            rm -f "$long"/*.tmp.* # of its own next write
            whole "$long" "in place at $place:$k"
        else
            expect_code 66 "holds no config.json|no such model" "$GRADUS" model info "$long"
        fi
        rm -r "$long"
    done
done < <(grep "^file.renamed" places)
passages "${train[@]}"
killed file.renamed:1 "$long" "${train[@]}"
expect_code 66 "tokenizer.json: cannot open" "$GRADUS" tokenizer encode --tokenizer "$long" a
rm -r "$long"
expect_code 0 "" "${train[@]}" --out "$long"
whole "$long" "in place"

# generate writes nothing but its answer.
everything() { find . ! -name answer ! -name listing | sort; }
cp whole/* speaking/
everything >listing
for signal in INT TERM KILL; do
    for delay in 0.02 0.05 0.2; do
        env --default-signal=INT "$GRADUS" generate speaking --prompt "What?" --max-new 400 >answer 2>&1 &
        pid=$!
        started="$started $pid"
        sleep $delay
        kill -"$signal" "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        everything | cmp -s listing - || fail "generate, SIG$signal after $delay s: a file came or went"
    done
done

echo "interrupted: all as expected"
