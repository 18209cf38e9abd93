#!/usr/bin/env bash
# data check: a whole recipe's data before the run, on any number of ranks, and what train makes of the verdict.
. "$(dirname "$0")/lib.sh"

expect_code 0 "^samples 90$" "$GRADUS" data synth --count 90 --seed 1 --size 56 --out data --shard-bytes 20000
expect_code 0 "^samples 30$" "$GRADUS" data synth --count 30 --seed 2 --size 56 --split test --out held
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
make_model model 7
{
    cat <<END
seed: 5
lanes: 4
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
stages:
END
    for stage in "warm-up connector" "world vision,connector,language"; do
        cat <<END
  - name: ${stage% *}
    trains: [${stage#* }]
    data: [{path: data, subset: [0.0, 0.8]}]
    validation: [{path: held}]
    global_batch: 8
    window: 2
    sequence_length: 200
    max_images: 3
    steps: 12
    learning_rate: 1.0e-3
END
    done
} >recipe.yaml

expect_code 0 "data: not checked before .no recipe.check.json" "$GRADUS" train recipe.yaml --dry-run
expect_code 0 "^verdict good$" "$GRADUS" data check recipe.yaml --threads 1
[ "$(grep -c "^stage " stdout)" = 4 ] || fail "not two stages with data and validation: $(cat stdout)"
grep -q "^stage world, validation: 30 samples, .* 0 bad$" stdout || fail "the validation data was not counted: $(cat stdout)"
[ "$(grep -c "^  memory " stdout)" = 4 ] || fail "memory was not measured"
expect_json recipe.check.json
cp recipe.check.json one.json
for ranks in 2 3; do
    expect_code 0 "^verdict good$" mpirun -n $ranks "$GRADUS" data check recipe.yaml --threads 1
    cmp one.json recipe.check.json || fail "$ranks ranks come to another verdict"
done
expect_code 0 '"verdict": "good"' "$GRADUS" data check recipe.yaml --no-memory --json --out other.json
expect_json stdout
! grep -q memory other.json || fail "memory was measured all the same"

# Train names the verdict, and the run folder has it.
expect_code 0 "data: checked, [0-9]+ samples good .recipe.check.json." "$GRADUS" train recipe.yaml --run run
cmp recipe.check.json run/check.json || fail "the run folder has no verdict"
expect_code 0 "data: checked, .*other.json" "$GRADUS" train recipe.yaml --dry-run --check other.json
expect_code 66 "no such verdict" "$GRADUS" train recipe.yaml --dry-run --check nowhere.json
expect_code 0 "not checked before .recipe.check.json is about other data or settings: first difference stages.1..sequence_length" "$GRADUS" train recipe.yaml --dry-run --set stages.world.sequence_length=190
expect_code 0 "data: checked" "$GRADUS" train recipe.yaml --dry-run --set stages.world.learning_rate=2.0e-3
echo '{"schema": "gradus-check"' >torn.json
expect_code 65 "torn.json" "$GRADUS" train recipe.yaml --dry-run --check torn.json

# What does not fit is named, and nothing is measured.
expect_code 65 "samples cannot be trained on" "$GRADUS" data check recipe.yaml --set stages.warm-up.sequence_length=60
grep -q "^verdict bad$" stdout || fail "no bad verdict: $(cat stdout)"
grep -Eq "^  bad: data: sample [0-9]+ .*tokens, but sequence_length is 60" stdout || fail "the sample is not named: $(cat stdout)"
grep '"verdict": "bad"' recipe.check.json || fail "the file has no bad verdict"
# A dry run reads the first step itself and comes to the same end.
expect_code 65 "warning.*some samples cannot be trained on" "$GRADUS" train recipe.yaml --dry-run --set stages.warm-up.sequence_length=60
expect_code 0 "^verdict good$" "$GRADUS" data check recipe.yaml --set stages.warm-up.sequence_length=60 --set stages.warm-up.bad_samples=drop
grep -Eq "[1-9][0-9]* bad .left out." stdout || fail "what is left out is not counted: $(cat stdout)"
grep -Eq "^  left out by bad_samples: drop: [1-9][0-9]* of [0-9]+ samples .[0-9.]+ %.$" stdout || fail "no share of what is left out: $(cat stdout)"
grep -Eq "^  longer than sequence_length: [1-9][0-9]* of [0-9]+ samples .[0-9.]+ %., the longest has [0-9]+ tokens$" stdout || fail "no word of lengths: $(cat stdout)"
dropping=(--set stages.warm-up.sequence_length=60 --set stages.warm-up.bad_samples=drop)
expect_code 0 "warning: data: bad_samples: drop leaves out [1-9][0-9]* of [0-9]+ samples" "$GRADUS" train recipe.yaml --dry-run "${dropping[@]}"
grep -Eq "warning: stage warm-up, step 0: bad_samples: drop leaves out [1-9] of 8 samples .[0-9.]+ %.; the first: data: sample .* sequence_length is 60" stderr || fail "a dry run does not say what it drops: $(cat stderr)"
# Where none is left there is nothing to train on, and the reason is said.
none=(--set stages.warm-up.sequence_length=9 --set stages.warm-up.bad_samples=drop)
expect_code 65 "^verdict bad$" "$GRADUS" data check recipe.yaml --out none.json "${none[@]}"
expect_code 65 "step 0: bad_samples: drop leaves out all 16 samples of the batch; the first: data: sample .*tokens, but sequence_length is 9" "$GRADUS" train recipe.yaml --dry-run "${none[@]}"
expect_code 65 "step 0: bad_samples: drop leaves out all 16 samples of the batch; the first: data: sample .*tokens, but sequence_length is 9" mpirun -n 2 "$GRADUS" train recipe.yaml --run none --check none.json "${none[@]}"

# Damage: one byte of a picture, then a whole shard.
cp -r data sound
shard=data/shard-00001.h5
printf '\xff' | dd of=$shard bs=1 seek=$(($(stat -c %s $shard) / 2)) conv=notrunc status=none
for ranks in 1 2; do
    expect_code 65 "cannot be trained on" mpirun -n $ranks "$GRADUS" data check recipe.yaml --threads 1 --set "stages.warm-up.data=[{path: data}]"
    grep -q "^  bad: .*shard-00001.h5" stdout || fail "the damaged shard is not named: $(cat stdout)"
done
rm $shard
expect_code 66 "shard-00001.h5" "$GRADUS" data check recipe.yaml
expect_code 78 "nonsense" "$GRADUS" data check recipe.yaml --set nonsense=1
expect_code 66 "nowhere.yaml" "$GRADUS" data check nowhere.yaml
expect_usage "RECIPE.yaml is missing" "$GRADUS" data check

echo "check: all as expected"
