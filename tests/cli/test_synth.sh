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

make_tokenizer tokenizer
expect_code 0 "" "$GRADUS" data synth --count 5 --task coarse --out counted --tokenizer tokenizer
grep -q '"tokenizers": \[' counted/manifest.json || fail "no tokenizer in the manifest"

expect_code 0 "^images 40$" "$GRADUS" data synth --count 50 --task ocr=4,text --out commas
diff -r weights commas || fail "tasks between commas are not those of two options"
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
expect_usage "whole is not empty .manifest.json." "${synth[@]}" --out whole
[ ! -e x ] || fail "a usage error left a folder"

echo "synth: all as expected"
