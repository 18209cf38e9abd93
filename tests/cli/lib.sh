# Helpers of the command line's tests. Source with the scratch folder as $1: it is emptied and entered.
# Each helper ends the test at the first thing that is not as expected.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$1
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# expect_code CODE PATTERN COMMAND...: the exit code, and PATTERN (grep -E; "": none) somewhere in what was printed. Leaves
# the two streams in ./stdout and ./stderr.
expect_code() {
    local want=$1 pattern=$2 got=0
    shift 2
    "$@" >stdout 2>stderr </dev/null || got=$?
    if [ "$got" -ne "$want" ]; then
        cat stdout stderr >&2
        fail "exit $got, expected $want: $*"
    fi
    if [ -n "$pattern" ] && ! grep -Eq -e "$pattern" stdout stderr; then
        cat stdout stderr >&2
        fail "nothing printed matches '$pattern': $*"
    fi
}

# expect_usage PATTERN COMMAND...: a mistake on the command line says so on standard error only.
expect_usage() {
    expect_code 2 "$@"
    [ ! -s stdout ] || fail "a usage error printed on standard output: $*"
}

# living_children PID: how many of its children are no zombies.
living_children() {
    cat /proc/[0-9]*/status 2>/dev/null | awk -v parent="$1" '/^State:/ { state = $2 } /^PPid:/ { n += $2 == parent && state != "Z" } END { print n + 0 }'
}

# end_of PID: waits for a launcher of this shell, of which a rank was killed, and returns its status. mpirun 4.1 sometimes never
# notices a rank that dies while it starts, and waits for ever: then it is killed itself after a minute. A rank that lives on by then
# is our mistake.
end_of() {
    local i
    for ((i = 0; i < 600; i++)); do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    if kill -0 "$1" 2>/dev/null; then
        [ "$(living_children "$1")" = 0 ] || fail "a minute after a rank was killed others live on"
        kill -9 "$1"
        echo "notice: mpirun did not notice that its rank was killed" >&2
    fi
    wait "$1" 2>/dev/null
}

expect_json() {
    if command -v python3 >/dev/null; then
        python3 -m json.tool "$1" >/dev/null || fail "$1 is not JSON"
    else
        echo "notice: no python3, $1 was not parsed"
    fi
}

. "$here/binary.sh"

make_model() {
    expect_code 0 "" "$GRADUS" model init --config "$here/tiny.yaml" --seed "${2:-1}" --out "$1"
}

# Two pictures, a.png (20 x 12, RGB) and b.png (9 x 7, with alpha), and records about them in source.json.
make_source() {
    mkdir -p "$1"
    base64 -d >"$1/a.png" <<END
iVBORw0KGgoAAAANSUhEUgAAABQAAAAMCAIAAADtbgqsAAAAHUlEQVR42mNkYGjgYWAgD7EwiDCQDUY1j2qmrWYAWo8CbrmxoI8AAAAASUVORK5CYII=
END
    base64 -d >"$1/b.png" <<END
iVBORw0KGgoAAAANSUhEUgAAAAkAAAAHCAYAAADam2dgAAAAJElEQVR42mM8oaHBwMDA8J+BgYERF81ESAEDA8N/JkIKBqtJAKJBICansvlqAAAAAElFTkSuQmCC
END
    cat >"$1/source.json" <<END
[{"id": "one", "image": "a.png", "conversations": [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A ramp of colours, the banner of the bandana."}]},
 {"id": "two", "image": "b.png", "conversations": [{"from": "human", "value": "And this? What is it?\n<image>"}, {"from": "gpt", "value": "A chequered banner, the banana of the band."}]},
 {"id": "three", "conversations": [{"from": "human", "value": "What is the colour of the banner?"}, {"from": "gpt", "value": "It has the colour of the bandana."}]}]
END
}

make_data() {
    make_source "$1.source"
    expect_code 0 "samples 3" "$GRADUS" data import --from llava "$1.source/source.json" --out "$1"
}

make_tokenizer() {
    make_data "$1.data"
    expect_code 0 "ids 280" "$GRADUS" tokenizer train --data "$1.data" --vocabulary 280 --out "$1"
}

# expect_differ FILE FILE MESSAGE: both are there and differ.
expect_differ() {
    local status=0
    cmp -s "$1" "$2" || status=$?
    [ $status = 1 ] || fail "$3 (cmp $1 $2: $status)"
}

# make_conversations FOLDER COUNT: FOLDER/many.json, conversations about the pictures of make_source; every fifth has none.
make_conversations() {
    local i picture ask
    make_source "$1"
    for ((i = 0; i < $2; i++)); do
        [ "$i" = 0 ] && echo "[" || echo ","
        case $((i % 5)) in
        0) picture="" ask="Say" ;;
        1 | 2) picture='"image": "a.png",' ask="<image>\\nWhat" ;;
        3) picture='"image": ["b.png", "a.png"],' ask="<image> and <image>: which" ;;
        *) picture='"image": "b.png",' ask="<image>\\nWhich" ;;
        esac
        printf '{"id": "s%d", %s "conversations": [{"from": "human", "value": "%s number %d?"}, {"from": "gpt", "value": "It is number %d of the bandana banner."}]}' \
            "$i" "$picture" "$ask" "$i" "$i"
    done >"$1/many.json"
    echo "]" >>"$1/many.json"
}

# on RANKS ARGUMENTS...: gradus train on so many ranks; on one without a launcher.
on() {
    local ranks=$1
    shift
    if [ "$ranks" = 1 ]; then
        "$GRADUS" train "$@"
    else
        mpirun -n "$ranks" "$GRADUS" train "$@"
    fi
}

# What RUN measured, without what depends on the machine.
untimed() {
    sed 's/, *"seconds".*//' "$1/metrics.jsonl"
}

# The digests of the parts that the run in ./stdout ended with.
parts() {
    grep -E "^(vision|connector|language) +[0-9a-f]{32}$" stdout
}

# expect_same REFERENCE WHAT: the run that just ended has the bits in REFERENCE, a file that `parts` made.
expect_same() {
    parts >parts.now
    cmp -s parts.now "$1" || fail "$2: other bits: $(cat "$1" parts.now)"
}
