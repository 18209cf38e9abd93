#!/usr/bin/env bash
# A stage that ends by its held-out loss: at the same step with the same bits on any number of ranks and after any stop, named in the
# metrics; verify follows it; contradictions are refused.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

make_conversations src 40
expect_code 0 "samples 40" "$GRADUS" data import --from llava src/many.json --images src --out data
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
make_model model 7
cat >recipe.yaml <<END
seed: 5
lanes: 3
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 3, keep: 100}
digests: {every: 1}
stages:
  - &
  - {name: second, trains: [vision, connector, language], data: [{path: data}], global_batch: 6, sequence_length: 160, steps: 4, learning_rate: 1.0e-3}
END
first='{name: first, trains: [connector, language], data: [{path: data, subset: [0.0, 0.8]}], validation: [{path: data, subset: [0.8, 1.0]}],
     validate_every: 2, global_batch: 6, sequence_length: 160, steps: 50, learning_rate: 1.0e-2, ends: {target: TARGET}}'
sed -i "s|^  - &\$|  - $(tr '\n' ' ' <<<"$first")|" recipe.yaml

# A target that is reached some validations on: from a run without one.
sed 's/, ends: {target: TARGET}//; s/steps: 50/steps: 12/' recipe.yaml >whole.yaml
expect_code 0 "complete: 16 steps" on 1 whole.yaml --run whole
target=$(grep '"step":8,"validation_loss"\|"step": 8, "validation_loss"' whole/metrics.jsonl | sed 's/.*"validation_loss": *\([0-9.]*\).*/\1/')
[ -n "$target" ] || fail "no held-out loss after step 8: $(cat whole/metrics.jsonl)"
sed -i "s/TARGET/$target/" recipe.yaml
expect_code 0 "^stage first ends after step [2468] of 50: held-out loss [0-9.]+, by its target$" on 1 recipe.yaml --run one
end=$(sed -n 's/^stage first ends after step \([0-9]*\).*/\1/p' stderr)
grep -q "complete: $((end + 4)) steps" stderr || fail "other steps than $end + 4: $(cat stderr)"
grep -q "\"step\": *$end, *\"ended\": *\"target\"" one/metrics.jsonl || fail "the metrics do not say where it ended"
parts >parts.one
for ranks in 2 3; do
    expect_code 0 "complete: $((end + 4)) steps" on $ranks recipe.yaml --run ranks$ranks
    expect_same parts.one "$ranks ranks"
done

# Stopped before the end, at it, and after it.
for stop in 1 $((end - 1)) "$end" $((end + 1)); do
    rm -rf again
    expect_code 75 "" on 2 recipe.yaml --run again --stop-after "$stop"
    expect_code 0 "complete: $((end + 4)) steps" on 1 recipe.yaml --run again
    expect_same parts.one "stopped after $stop"
    [ "$(grep -c '"ended"' again/metrics.jsonl)" = 1 ] || fail "stopped after $stop: the end is not there once"
done
expect_code 0 "" on 1 recipe.yaml --run again
[ "$(grep -c '"ended"' again/metrics.jsonl)" = 1 ] || fail "a complete run ended once more"

# verify goes over the border; a wrong weight behind it would be found.
expect_code 0 "^compared $((end + 4)) |$((end + 4)) of $((end + 4))|." "$GRADUS" verify one
grep -q "$((end + 4))" stdout stderr || fail "verify did not reach the last step: $(cat stdout stderr)"

# No better loss for a while.
plateau=(--set "stages.first.ends={patience: 2, improvement: 100}")
expect_code 0 "^stage first ends after step 4 of 50: .* by its plateau$" on 1 recipe.yaml --run plateau "${plateau[@]}"
parts >parts.plateau
rm -rf again
expect_code 75 "" on 3 recipe.yaml --run again --stop-after 3 "${plateau[@]}"
expect_code 0 "^stage first ends after step 4 of 50" on 2 recipe.yaml --run again "${plateau[@]}"
expect_same parts.plateau "stopped before its plateau"

# What decides the end may not change on the way; contradictions are named.
rm -rf again
expect_code 75 "" on 1 recipe.yaml --run again --stop-after 1
expect_code 78 "validate_every" on 1 recipe.yaml --run again --set stages.first.validate_every=3
expect_code 78 "ends" on 1 recipe.yaml --run again --set stages.first.ends.target=9
expect_code 78 "stages.0..ends: the held-out loss decides: validation and validate_every are missing" on 1 recipe.yaml --dry-run --set stages.first.validate_every=0
expect_code 78 "stages.0..ends: expected target, patience or both" on 1 recipe.yaml --dry-run --set "stages.first.ends={}"
expect_code 78 "improvement: says nothing without patience" on 1 recipe.yaml --dry-run --set "stages.first.ends={target: 1, improvement: 1}"
expect_code 78 "ends.patienc: .*patience" on 1 recipe.yaml --dry-run --set "stages.first.ends={patienc: 1}"

echo "ends: all as expected"
