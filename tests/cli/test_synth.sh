#!/usr/bin/env bash
# data synth: the same bytes on any number of ranks and after a kill, series that go on, mistakes.
. "$(dirname "$0")/lib.sh"

other=("$GRADUS" data synth --count 900 --size 56 --shard-bytes 40000)
synth=("${other[@]}" --seed 3)
expect_code 0 "^samples 900$" "${synth[@]}" --out whole
grep -q "^images 800$" stdout || fail "not eight pictures for nine tasks: $(cat stdout)"
grep -q "^duplicates 0$" stdout || fail "equal samples"
[ "$(ls whole/shard-*.h5 | wc -l)" -gt 4 ] || fail "too few shards for this test"
expect_code 0 "^damaged 0$" "$GRADUS" data verify whole
expect_code 0 "compare +100" "$GRADUS" data info whole
expect_code 0 "^source coarse/train/3/0$" "$GRADUS" data show whole --index 8
expect_code 0 '"chance": ?0.0277' "$GRADUS" data show whole --index 8

for ranks in 1 2 3; do
    expect_code 0 "^samples 900$" mpirun -n $ranks "${synth[@]}" --out ranks
    diff -r whole ranks || fail "$ranks ranks gave other files"
    rm -r ranks
done

killed=0
for ((round = 0; round < 6; round++)); do
    "${synth[@]}" --out killed >/dev/null 2>&1 &
    child=$!
    sleep "0.0$((RANDOM % 10))"
    kill -9 $child 2>/dev/null && killed=$((killed + 1))
    wait $child 2>/dev/null || true
    [ ! -e killed/manifest.json ] || break
done
[ -e killed/manifest.json ] || expect_code 0 "^samples 900$" "${synth[@]}" --out killed
rm -rf killed/.work
diff -r whole killed || fail "a call that was killed has other files"
[ $killed -gt 0 ] || fail "no call was killed: nothing was tested"

# Another seed or split is another data set; sample K is the same in any series.
expect_code 0 "^samples 900$" "${other[@]}" --out seed --seed 4
expect_differ whole/manifest.json seed/manifest.json "another seed has the same samples"
expect_code 0 "^samples 900$" "${synth[@]}" --out test --split test
expect_differ whole/manifest.json test/manifest.json "the test split has the samples of train"
expect_code 0 "^samples 90$" "$GRADUS" data synth --count 90 --seed 3 --size 56 --first 50 --out later
expect_code 0 "^source text/train/3/50$" "$GRADUS" data show later --index 0
grep -v "^index" stdout >one
expect_code 0 "" "$GRADUS" data show whole --index 450
grep -v "^index" stdout >two
diff one two || fail "sample 50 of a task depends on where the series begins"
expect_code 0 "^images 40$" "$GRADUS" data synth --count 50 --task ocr=4 --task text --out weights
expect_code 0 "ocr +40" "$GRADUS" data info weights
expect_code 0 "" "$GRADUS" data synth --count 5 --task coarse --size 64 --encode 50 --out lossy
expect_code 0 "64 x 64" "$GRADUS" data show lossy --index 0

# In words the same conversations, with what is drawn in front of the question.
expect_code 0 "^images 0$" "$GRADUS" data synth --count 5 --task coarse --in-words --out blind
expect_code 0 "" "$GRADUS" data synth --count 5 --task coarse --out seeing
for k in 0 4; do
    "$GRADUS" data show seeing $k | grep conversations | sed 's/<image>.n//' >seen
    "$GRADUS" data show blind $k | grep conversations | sed -E 's/"value":"(small|large) plain [a-z]+ [a-z]+ at [0-9] [0-9]..n/"value":"/' | cmp - seen || fail "in words other ones are spoken"
done

make_tokenizer tokenizer
expect_code 0 "" "$GRADUS" data synth --count 5 --task coarse --out counted --tokenizer tokenizer
grep -q '"tokenizers": \[' counted/manifest.json || fail "no tokenizer in the manifest"
# The same one twice, by whatever name, is refused before any work.
cp -r tokenizer copy
for other in ./tokenizer/ copy; do
    expect_usage "tokenizer: number 2 is the same tokenizer as number 1" "$GRADUS" data synth --count 5 --out twice --tokenizer tokenizer --tokenizer $other
    expect_usage "number 2 is the same" mpirun -n 2 "$GRADUS" data import --from llava tokenizer.data.source/source.json --out twice --tokenizer tokenizer --tokenizer $other
    [ ! -e twice ] || fail "a refused tokenizer left a folder"
done

expect_code 0 "^images 40$" "$GRADUS" data synth --count 50 --task ocr=4,text --out commas
diff -r weights commas || fail "tasks between commas are not those of two options"
# Its progress speaks of drawing, not of a file's records.
expect_code 0 "" "$GRADUS" data synth --count 1100 --task text --out drawn
grep -q "^drawing samples: 1100 of 1100" stderr || fail "no word of drawing: $(cat stderr)"
! grep -q "record" stderr || fail "synth speaks of records: $(cat stderr)"
# One that was not finished is gone on with by the same command, and not thrown away by another one.
limited() {
    trap '' XFSZ
    ulimit -f 60
    exec "$GRADUS" data synth --count 400 --task text --out half
}
code=0
(limited) >stdout 2>stderr </dev/null || code=$?
[ $code = 74 ] && [ -e half/.work/unit-00000002.index ] || fail "exit $code, expected 74 and parts on a small disk: $(cat stderr; ls half/.work)"
expect_usage "half holds an import that was not finished, .*first difference: count.: the same command goes on with it; to begin afresh remove the folder" "$GRADUS" data synth --count 401 --task text --out half
expect_usage "first difference: seed_low" mpirun -n 2 "$GRADUS" data synth --count 400 --task text --seed 9 --out half
expect_code 0 "going on with an import" "$GRADUS" data synth --count 400 --task text --out half
expect_code 0 "" "$GRADUS" data synth --count 400 --task text --out straight
diff -r half straight || fail "what was gone on with has other files"
expect_usage "task ocr is given twice" "$GRADUS" data synth --count 5 --task ocr,text,ocr --out x
expect_usage "expected one of coarse, .* with commas between; got .." "$GRADUS" data synth --count 5 --task ocr, --out x
expect_usage "expected one of coarse, fine, ocr, .*; got .words." "$GRADUS" data synth --count 5 --task words --out x
expect_usage "expected a weight from 1 to 1000000, got .0." "$GRADUS" data synth --count 5 --task ocr=0 --out x
expect_usage "expected a weight" "$GRADUS" data synth --count 5 --task ocr= --out x
expect_usage "task ocr is given twice" "$GRADUS" data synth --count 5 --task ocr --task ocr=2 --out x
expect_usage "expected lossless or a quality" "$GRADUS" data synth --count 5 --encode best --out x
expect_usage "\-\-size" "$GRADUS" data synth --count 5 --size 47 --out x
expect_usage "\-\-count" "$GRADUS" data synth --count 0 --out x
expect_usage "\-\-count N is missing" "$GRADUS" data synth --out x
expect_usage "\-\-split" "$GRADUS" data synth --count 5 --split both --out x
expect_usage "whole is a data set already: name a new folder" "${synth[@]}" --out whole
[ ! -e x ] || fail "a usage error left a folder"

echo "synth: all as expected"
