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
[ "$(grep -c "step 0" stdout)" = 0 ] && grep -q "^  most tokens: step [1-9]" stdout || fail "steps do not count from 1: $(cat stdout)"
grep -q "^stage world, validation: 30 samples, .* 0 bad$" stdout || fail "the validation data was not counted: $(cat stdout)"
[ "$(grep -c "^  memory " stdout)" = 4 ] || fail "memory was not measured"
expect_json recipe.check.json
cp recipe.check.json one.json
for ranks in 2 3; do
    expect_code 0 "^verdict good$" mpirun -n $ranks "$GRADUS" data check recipe.yaml --threads 1
    cmp one.json recipe.check.json || fail "$ranks ranks come to another verdict"
    # Windows of every rank are counted to the end, and samples as all ranks': stage 1 has 6 windows and 72 samples or so.
    grep -q "^packing windows: 6 of 6" stderr || fail "$ranks ranks: not all windows: $(cat stderr)"
    grep -Eq "^checking samples .0 bad among this rank's.: 30 of 30" stderr || fail "$ranks ranks: not all samples: $(cat stderr)"
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

# Of the files that are there only a verdict is replaced, which is asked before any work; so is the folder.
for file in recipe.yaml data/manifest.json model/config.json ../$(basename "$PWD")/recipe.yaml; do
    cp "$file" before
    expect_usage "out: $file is there already and is no verdict of data check" "$GRADUS" data check recipe.yaml --out "$file" --set model.vision=nowhere
    cmp "$file" before || fail "$file was changed"
done
expect_usage "is no verdict" mpirun -n 2 "$GRADUS" data check recipe.yaml --out torn.json
cp recipe.yaml lost.yaml
cp torn.json lost.check.json
expect_usage "lost.check.json is there already" "$GRADUS" data check lost.yaml
expect_code 74 "out: data: is a folder" "$GRADUS" data check recipe.yaml --out data --set model.vision=nowhere
expect_code 74 "out: none: no such folder" "$GRADUS" data check recipe.yaml --out none/v.json --set model.vision=nowhere
expect_code 0 "^file other.json$" "$GRADUS" data check recipe.yaml --no-memory --out other.json

# What does not fit is named, and nothing is measured.
expect_code 65 "samples cannot be trained on" "$GRADUS" data check recipe.yaml --set stages.warm-up.sequence_length=60
grep -q "^verdict bad$" stdout || fail "no bad verdict: $(cat stdout)"
grep -Eq "^  bad: data: sample [0-9]+ .*tokens, but sequence_length is 60" stdout || fail "the sample is not named: $(cat stdout)"
grep '"verdict": "bad"' recipe.check.json || fail "the file has no bad verdict"
# Equal faults are one line of a data set, with their number, and the same on any number of ranks.
[ "$(grep -c "^  bad: " stdout)" = 2 ] || fail "equal faults are not one line: $(cat stdout)"
bad=$(sed -n 's/^stage warm-up, data: .* \([0-9]*\) bad$/\1/p' stdout)
grep -q "^    \.\.\. and $((bad - 1)) more like it$" stdout || fail "$bad bad samples, but: $(cat stdout)"
for ranks in 1 2 3; do
    expect_code 65 "" mpirun -n $ranks "$GRADUS" data check recipe.yaml --no-memory --out bad$ranks.json --set stages.warm-up.sequence_length=60
    expect_json bad$ranks.json
    cmp bad1.json bad$ranks.json || fail "$ranks ranks come to another bad verdict"
done
# Training does not begin with a bad verdict, on any number of ranks; nothing is made. Without the file, a dry run reads the first
# step itself.
short=(--set stages.warm-up.sequence_length=60)
for how in "1 --dry-run" "1 --run refused" "2 --run refused"; do
    # shellcheck disable=SC2086 # words
    expect_code 65 "recipe.check.json: gradus data check found [1-9][0-9]* samples that cannot be trained on; the first: data: sample [0-9]+ .*tokens, but sequence_length is 60.*set bad_samples to drop.*remove that file" \
        on ${how%% *} recipe.yaml ${how#* } "${short[@]}"
done
[ ! -e refused ] || fail "a run that was refused left a folder"
cp recipe.check.json given.json
expect_code 65 "given.json: .*leave --check out" on 1 recipe.yaml --dry-run --check given.json "${short[@]}"
mv recipe.check.json aside.json
expect_code 65 "stage warm-up, step 1: .*sequence_length is 60" on 1 recipe.yaml --dry-run "${short[@]}"
mv aside.json recipe.check.json
expect_code 0 "^verdict good$" "$GRADUS" data check recipe.yaml --set stages.warm-up.sequence_length=60 --set stages.warm-up.bad_samples=drop
! grep -Eq "[^0-9]1 (samples|tiles|tokens|targets)" stdout || fail "one of something is none of several: $(cat stdout)"
grep -Eq "[1-9][0-9]* bad .left out." stdout || fail "what is left out is not counted: $(cat stdout)"
grep -Eq "^  left out by bad_samples: drop: [1-9][0-9]* of [0-9]+ samples .[0-9.]+ %.$" stdout || fail "no share of what is left out: $(cat stdout)"
grep -Eq "^  longer than sequence_length: [1-9][0-9]* of [0-9]+ samples .[0-9.]+ %., the longest has [0-9]+ tokens$" stdout || fail "no word of lengths: $(cat stdout)"
dropping=(--set stages.warm-up.sequence_length=60 --set stages.warm-up.bad_samples=drop)
expect_code 0 "warning: data: bad_samples: drop leaves out [1-9][0-9]* of [0-9]+ samples" "$GRADUS" train recipe.yaml --dry-run "${dropping[@]}"
grep -Eq "warning: stage warm-up, step 1: bad_samples: drop leaves out [1-9] of 8 samples .[0-9.]+ %.; the first: data: sample .* sequence_length is 60" stderr || fail "a dry run does not say what it drops: $(cat stderr)"
# Where none is left there is nothing to train on, and the reason is said.
none=(--set stages.warm-up.sequence_length=9 --set stages.warm-up.bad_samples=drop)
expect_code 65 "^verdict bad$" "$GRADUS" data check recipe.yaml --out none.json "${none[@]}"
expect_code 65 "step 1: bad_samples: drop leaves out all samples of the batch .16.; the first: data: sample .*tokens, but sequence_length is 9" "$GRADUS" train recipe.yaml --dry-run "${none[@]}"
expect_code 65 "step 1: bad_samples: drop leaves out all samples of the batch .16.; the first: data: sample .*tokens, but sequence_length is 9" mpirun -n 2 "$GRADUS" train recipe.yaml --run none "${none[@]}"
expect_code 65 "none.json: gradus data check found [1-9][0-9]* samples that cannot.*sequence_length is 9" on 1 recipe.yaml --dry-run --check none.json "${none[@]}"

# Of one data set only one task, as a source of its own.
expect_code 0 "^verdict good$" "$GRADUS" data check recipe.yaml --out task.json --set "stages.world.data=[{path: data, task: ocr}]" --set stages.world.steps=1
grep -Eq "^stage world, data: 10 samples, 10 tiles" stdout || fail "other samples than those of the task: $(cat stdout)"
expect_code 0 "^verdict good$" "$GRADUS" data check recipe.yaml --out half.json --set "stages.world.data=[{path: data, task: text, subset: [0, 0.5]}, {path: data, task: count, weight: 2}]" --set "stages.world.data[0].weight=1" --set stages.world.steps=1
grep -Eq "from data: weight 2 .66.7 % of the samples., task count$" <("$GRADUS" train recipe.yaml --dry-run --set "stages.world.data=[{path: data, task: text, weight: 1}, {path: data, task: count, weight: 2}]" 2>&1) || fail "the plan does not name the task"
expect_code 65 "data: none of its 90 samples is of the task .video." "$GRADUS" train recipe.yaml --dry-run --set "stages.world.data=[{path: data, task: video}]"
expect_code 65 "no samples: 1 data set with 90 samples, none in the parts asked for" "$GRADUS" train recipe.yaml --dry-run --set "stages.world.data=[{path: data, weight: 1, task: ocr, subset: [0, 1.0e-9]}]"

# The plan says what a mixture takes of each source; of one source alone there is nothing to say.
mixed='[{path: data, weight: 1, max_repeats: 1.5}, {path: held, weight: 3, subset: [0.0, 0.5]}]'
expect_code 0 "^  from data: weight 1 .25\.0 % of the samples., at most 1\.5 passes$" "$GRADUS" train recipe.yaml --dry-run --set "stages.warm-up.data=$mixed" --set stages.warm-up.steps=2
grep -q "^  from held: weight 3 (75.0 % of the samples), subset \[0, 0.5)$" stderr || fail "the second source is not in the plan: $(cat stderr)"
[ "$(grep -c "^  from " stderr)" = 2 ] || fail "a stage with one source has a mixture: $(cat stderr)"
expect_code 0 "^  from held: all of it in turn with the others$" "$GRADUS" train recipe.yaml --dry-run --set "stages.warm-up.data=[{path: data}, {path: held}]"
# A ledger's line is one compact map.
expect_code 0 "" "$GRADUS" train recipe.yaml --run dropped "${dropping[@]}"
grep -Eq '^\{"update":[0-9]+,"stage":"warm-up","step":[0-9]+,"set":"data","lane":[0-9]+,"path":"data","index":[0-9]+,"reason":"' dropped/ledger.jsonl || fail "the ledger's form: $(head -n 1 dropped/ledger.jsonl)"

# Damage: one byte of a picture, then a whole shard.
cp -r data sound
shard=data/shard-00001.h5
printf '\xff' | dd of=$shard bs=1 seek=$(($(stat -c %s $shard) / 2)) conv=notrunc status=none
for ranks in 1 2; do
    expect_code 65 "cannot be trained on" mpirun -n $ranks "$GRADUS" data check recipe.yaml --threads 1 --set "stages.warm-up.data=[{path: data}]"
    ! grep -q "left out" stdout || fail "a damaged shard is not left out: $(cat stdout)"
    grep -q "^  bad: .*shard-00001.h5" stdout || fail "the damaged shard is not named: $(cat stdout)"
done
rm $shard
expect_code 66 "shard-00001.h5" "$GRADUS" data check recipe.yaml
expect_code 78 "nonsense" "$GRADUS" data check recipe.yaml --set nonsense=1
expect_code 66 "nowhere.yaml" "$GRADUS" data check nowhere.yaml
expect_usage "RECIPE.yaml is missing" "$GRADUS" data check

echo "check: all as expected"
