#!/usr/bin/env bash
# Results go to standard output, messages to standard error; a result that cannot be written is a failure.
. "$(dirname "$0")/lib.sh"

make_model model
expect_code 66 "^gradus: " "$GRADUS" model info nowhere
[ ! -s stdout ] && grep -q "^gradus: " stderr || fail "errors belong on standard error"
[ "$(wc -l <stderr)" -eq 1 ] || fail "an error is one line"

full() { "$GRADUS" model info model --tensors >/dev/full; }
if [ -c /dev/full ]; then
    expect_code 74 "standard output" full
fi
closed() { "$GRADUS" model info model >&-; }
expect_code 74 "standard output" closed

# A reader that goes away: the write fails, no signal kills us.
code=0
{ "$GRADUS" model info model --tensors 2>stderr || echo $? >code; } | true
[ ! -e code ] || code=$(cat code)
[ "$code" -eq 74 ] || [ "$code" -eq 0 ] || fail "exit $code on a closed pipe"

# With a missing standard output no file of ours takes its place.
hidden() { "$GRADUS" model init --config "$here/tiny.yaml" --seed 1 --out hidden >&-; }
expect_code 0 "" hidden
cmp hidden/model-vision.safetensors model/model-vision.safetensors || fail "a missing stream damaged a file"

# No failing request for memory makes it crash or claim success.
for n in 1 2 3 5 8 13 21 34 55; do
    code=0
    GR_MEM_FAIL_AT=$n "$GRADUS" model info "$here/tiny.yaml" --json >stdout 2>stderr || code=$?
    [ "$code" -eq 1 ] && grep -q "out of memory" stderr || [ "$code" -eq 0 ] || fail "exit $code with request $n failing"
done

echo "output: all as expected"
