#!/usr/bin/env bash
# A stage that searches its learning rate: it goes up from far below and down from far above, with the same bits on any number of ranks
# and after any stop, inside a try too; nothing is saved within one; verify follows it; contradictions are refused.
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
  - {name: search, trains: [connector, language], data: [{path: data}], global_batch: 6, sequence_length: 160, steps: 40, schedule: constant,
     learning_rate: 1.0e-4, adalrs: {window: 4, from: 0.1, to: 0.9}}
  - {name: second, trains: [vision, connector, language], data: [{path: data}], global_batch: 6, sequence_length: 160, steps: 2, learning_rate: 1.0e-3}
END

expect_code 0 "complete: 42 steps" on 1 recipe.yaml --run one
grep -c "^stage search, after step [0-9]* of 40: learning rate faster, now [0-9.]* times" stderr >/dev/null || fail "no faster rate was found: $(cat stderr)"
parts >parts.one
decisions() { grep -o '"step": *[0-9]*, *"adalrs":.*' "$1/metrics.jsonl"; }
decisions one >decisions.one
[ "$(grep -c . decisions.one)" -ge 3 ] || fail "fewer than 3 decisions: $(cat decisions.one)"
for ranks in 2 3; do
    expect_code 0 "complete: 42 steps" on $ranks recipe.yaml --run ranks$ranks
    expect_same parts.one "$ranks ranks"
    decisions ranks$ranks | cmp -s - decisions.one || fail "other decisions on $ranks ranks"
done

# The first try is steps 9 to 12: it begins with a checkpoint, and none is in it.
ls one/checkpoints | grep -q update-00000008 || fail "no checkpoint where the try begins: $(ls one/checkpoints)"
! ls one/checkpoints | grep -q update-00000009 || fail "a checkpoint within a try"

# Stopped where it begins, in it, at its end and behind it.
for stop in 8 9 11 12 13; do
    rm -rf again
    expect_code 75 "stopped in stage search after step $stop of 40" on 2 recipe.yaml --run again --stop-after "$stop"
    case $stop in 9 | 11) grep -q "where a learning rate is tried" stderr || fail "the stop after $stop does not say that steps are made again" ;; esac
    expect_code 0 "complete: 42 steps" on 1 recipe.yaml --run again
    expect_same parts.one "stopped after $stop"
    decisions again | cmp -s - decisions.one || fail "other decisions when stopped after $stop"
done

# From far above: a try is given up and its weights go back; the same in bf16 on several ranks where the machine has it.
high=(--set stages.search.learning_rate=0.3)
expect_code 0 "learning rate slower, now 0.5 times" on 1 recipe.yaml --run high "${high[@]}"
parts >parts.high
rm -rf again
expect_code 75 "" on 3 recipe.yaml --run again --stop-after 10 "${high[@]}"
expect_code 0 "complete: 42 steps" on 2 recipe.yaml --run again "${high[@]}"
expect_same parts.high "from far above"
if grep -q avx512_bf16 /proc/cpuinfo 2>/dev/null && "$GRADUS" bench step --model "$here/tiny.yaml" --images 0 --tokens 8 --rounds 1 --precision bf16 >/dev/null 2>&1; then
    expect_code 0 "complete: 42 steps" on 1 recipe.yaml --run bf16 "${high[@]}" --set precision=bf16
    parts >parts.bf16
    expect_code 0 "complete: 42 steps" on 3 recipe.yaml --run bf16r "${high[@]}" --set precision=bf16
    expect_same parts.bf16 "bf16 on 3 ranks"
fi

# What is not finite in a try ends it, whatever the policy is, and the kept state comes back: the same on 1 and 2 ranks, and once more behind a stop.
for flip in sum:0:10:mlp1.1.weight:3:nan first:0:10:mlp1.1.weight:3:inf; do
    rm -rf again
    GR_FLIP=$flip expect_code 0 "after step 1[01] of 40: learning rate slower, now 0.5 times" on 1 recipe.yaml --run again
    parts >parts.bad
    grep -q '"skipped"' again/digests.jsonl || fail "$flip: no step was left out: it was not met"
    rm -rf again2
    GR_FLIP=$flip expect_code 0 "learning rate slower, now 0.5 times" on 2 recipe.yaml --run again2
    expect_same parts.bad "$flip in a try on 2 ranks"
done
expect_code 0 "" "$GRADUS" report one --out report.html
! grep -q "could not be read and are left out" report.html || fail "the report takes a decision for a damaged line"
expect_code 0 '"search": [1-9]' "$GRADUS" plan recipe.yaml --json

# verify makes the decisions again, also when it begins where a try does; no step of it differs.
expect_code 0 "42" "$GRADUS" verify one
expect_code 0 "" "$GRADUS" verify one --from 10 --to 20
expect_code 0 "42" "$GRADUS" verify high

# What decides may not change on the way; contradictions are named.
rm -rf again
expect_code 75 "" on 1 recipe.yaml --run again --stop-after 1
expect_code 78 "adalrs" on 1 recipe.yaml --run again --set stages.search.adalrs.window=5
expect_code 78 "adalrs: expected from \(0.5\) below to \(0.4\)" on 1 recipe.yaml --dry-run --set "stages.search.adalrs={window: 4, from: 0.5, to: 0.4}"
expect_code 78 "adalrs.*window" on 1 recipe.yaml --dry-run --set "stages.search.adalrs={up: 2}"
expect_code 78 "adalrs.windw: .*window" on 1 recipe.yaml --dry-run --set "stages.search.adalrs={windw: 4}"

expect_code 78 "stage search: adalrs would search in steps 5 to 10 of 40; expected at least two windows \(8 steps\)" on 1 recipe.yaml --dry-run --set stages.search.adalrs.to=0.25
expect_code 78 "behind warmup_steps \(5\)" on 1 recipe.yaml --dry-run --set stages.search.warmup_steps=5

echo "adalrs: all as expected"
