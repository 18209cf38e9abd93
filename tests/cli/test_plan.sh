#!/usr/bin/env bash
# plan: recipes whose data is not here, and beside a run what it said of it: parameters, checkpoints, messages, memory of passes. Times are
# not compared here: tests/heavy/plan.sh.
. "$(dirname "$0")/lib.sh"
source=$(cd "$here/../.." && pwd)

# number KEY [N]: the N-th value (1) of a key in the JSON in ./stdout.
number() {
    sed -n "s/^ *\"$1\": \([-0-9.e+]*\),*$/\1/p" stdout | sed -n "${2:-1}p"
}
# expect_number WHAT GOT WANT
expect_number() {
    [ -n "$2" ] && [ "$2" = "$3" ] || fail "$1: plan says \"$2\", it is \"$3\""
}
in_source() {
    (cd "$source" && "$@")
}

# Every recipe of ours is planned as it stands, without its models and data, on any number of ranks; more than it has lanes are refused as training does.
[ "$(ls "$source"/configs/recipes/*.yaml | wc -l)" -ge 6 ] || fail "recipes are missing"
for recipe in "$source"/configs/recipes/*.yaml; do
    lanes=$(sed -n 's/^lanes: *\([0-9]*\).*/\1/p' "$recipe")
    stages=$(grep -c "^  - name:" "$recipe")
    for ranks in 1 3 "$lanes"; do
        expect_code 0 "^run  .*steps.*memory.*disk" in_source "$GRADUS" plan "$recipe" --ranks "$ranks" --no-time
        [ "$(grep -c "^stage " stdout)" = "$stages" ] || fail "$recipe: not $stages stages: $(cat stdout)"
        [ "$(grep -c "^  memory .*weights.*gradients.*moments.*activations" stdout)" = "$stages" ] || fail "$recipe: memory is missing: $(cat stdout)"
    done
    expect_code 78 "$((lanes + 1)) ranks, but the recipe has $lanes lanes: start at most as many" in_source "$GRADUS" plan "$recipe" --ranks $((lanes + 1)) --no-time
    expect_code 66 "things that the recipe names are not here: .*data: " in_source "$GRADUS" train "$recipe" --dry-run
    [ "$(grep -c "^stage .* of data that cannot be read here" stderr)" = "$stages" ] || fail "$recipe: a dry run does not describe its stages: $(cat stderr)"
done
# The other language models, and what the published sizes come to.
expect_code 0 "^parameters .*vision 682031616, .*language 7615616512," in_source "$GRADUS" plan configs/recipes/sailvit-huge.yaml --no-time --ranks 128 --nodes 16 \
    --set model.language=models/Qwen2.5-7B-Instruct --set tokenizer=models/Qwen2.5-7B-Instruct --set template=qwen2.5
expect_code 0 '"language": 1720574976$' in_source "$GRADUS" plan configs/recipes/sailvit-large.yaml --no-time --json --ranks 64 \
    --set model.language=models/Qwen3-1.7B --set tokenizer=models/Qwen3-1.7B --set template=qwen3
expect_json stdout
expect_number "steps of stage I" "$(number steps)" 4167
expect_code 2 "3 nodes for 2 ranks" in_source "$GRADUS" plan configs/recipes/demo.yaml --ranks 2 --nodes 3 --no-time

# Beside a run.
expect_code 0 "^samples 60$" "$GRADUS" data synth --task fine,text --count 60 --seed 1 --size 56 --out data
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
make_model model 7
cat >recipe.yaml <<END
seed: 5
lanes: 4
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 3, keep: 1, keep_every: 6}
stages:
  - {name: connect, trains: [connector], data: [{path: data}], global_batch: 8, sequence_length: 200, steps: 4, learning_rate: 1.0e-3}
  - {name: all, trains: [vision, connector, language], data: [{path: data}], global_batch: 8, window: 2, sequence_length: 200, max_images: 3,
     steps: 8, learning_rate: 1.0e-3}
END
expect_code 0 "" "$GRADUS" data check recipe.yaml --threads 1
mapfile -t checked < <(sed -n 's/^ *"memory": \([0-9]*\)$/\1/p' recipe.check.json)
[ ${#checked[@]} = 2 ] || fail "data check measured ${#checked[@]} stages"
expect_code 0 "" "$GRADUS" plan recipe.yaml --ranks 2 --threads 1 --steps 100 --no-time --json
expect_json stdout
cp stdout plan.json
for stage in 1 2; do
    expect_number "activations of stage $stage" "$(number activations $stage)" "${checked[stage - 1]}"
    [ "$(number activations_full_row $stage)" -ge "$(number activations $stage)" ] || fail "a full row of stage $stage takes less than one that is there"
done
for part in vision connector language; do
    "$GRADUS" model info model | awk -v p=$part '$1 == p { print $3 }' >info
    expect_number "parameters of $part" "$(number $part)" "$(cat info)"
done
saved=$(number checkpoint_bytes 2) disk=$(number disk_bytes 2)
expect_number "new bytes of a stage in which all trains" "$(number checkpoint_new_bytes 2)" "$saved"
[ "$(number checkpoint_new_bytes 1)" -lt "$(number checkpoint_bytes 1)" ] || fail "a part that does not train is written again"
expect_code 0 "complete: 12 steps" mpirun -n 2 "$GRADUS" train recipe.yaml --run run --threads 1
# Update 6 and 12 stay for good; 9 was in the second stage, with moments. What a folder holds beside these files is small.
for checkpoint in run/checkpoints/update-00000006; do
    real=$(find $checkpoint -name '*.safetensors' -printf '%s\n' | awk '{ s += $1 } END { print s }')
    expect_number "bytes of $checkpoint" "$saved" "$real"
done
real=$(find run -name '*.safetensors' -printf '%i %s\n' | sort -u | awk '{ s += $2 } END { print s }')
[ "$real" -le "$disk" ] || fail "the run folder holds $real bytes, plan says at most $disk"
cp plan.json stdout
for stage in 1 2; do
    name=$([ $stage = 1 ] && echo connect || echo all)
    sed -n "s/.*\"stage\":\"$name\".*\"sent\":\([0-9]*\).*/\1/p" run/metrics.jsonl | sort -u >sent
    [ -s sent ] && expect_number "bytes sent in a step of $name" "$(number sent_bytes_rank_0 $stage)" "$(cat sent)"
done

# Times: there are some, and they add up; on ranks that measure together messages are measured, too.
expect_code 0 "^  time  .*a step.*the stage: passes" "$GRADUS" plan recipe.yaml --ranks 2 --threads 1
grep -q "^assumes .*this one" stdout || fail "nothing is said of what is assumed: $(cat stdout)"
expect_code 0 '"messages_measured": true' mpirun -n 2 "$GRADUS" plan recipe.yaml --threads 1 --json
expect_json stdout
expect_number "ranks of a plan on 2 ranks" "$(number ranks)" 2
awk -v s="$(number step)" -v p="$(number passes)" -v u="$(number update)" -v g="$(number digests)" -v d="$(number data 2)" -v m="$(number messages)" \
    'BEGIN { exit !(p > 0 && u > 0 && m > 0 && d > 0 && (s - p - u - g - d - m) ^ 2 < 1e-12 * s * s) }' || fail "the times do not add up: $(cat stdout)"
# Twice the rate is half the time.
expect_code 0 "planned for 1000000 GFLOP/s" "$GRADUS" plan recipe.yaml --ranks 2 --threads 1 --rate 1000000

# What is not here and what is not assumed.
expect_code 66 "stage all: nowhere is not here, and the recipe does not say" "$GRADUS" plan recipe.yaml --ranks 2 --no-time --set 'stages.all.data=[{path: nowhere}]'
gone='assume={data: {nowhere: {samples: 30, tokens: 90, targets: 10, tiles: 1}}}'
expect_code 0 "^stage 2/2 all: 8 steps of 8 samples .30 assumed." "$GRADUS" plan recipe.yaml --ranks 2 --no-time --set 'stages.all.data=[{path: nowhere}]' --set "$gone"
expect_code 78 "stage all: samples are assumed to have 300 tokens" "$GRADUS" plan recipe.yaml --ranks 2 --no-time --set 'stages.all.data=[{path: nowhere}]' \
    --set 'assume={data: {nowhere: {samples: 30, tokens: 300, targets: 10, tiles: 1}}}'
expect_code 66 "model.vision: elsewhere: no such model directory.*assume.models" "$GRADUS" plan recipe.yaml --no-time --set model.vision=elsewhere
expect_code 0 "^not here    model.vision: elsewhere .planned as model.$" "$GRADUS" plan recipe.yaml --no-time --set model.vision=elsewhere --set 'assume={models: {elsewhere: model}}'
expect_code 66 "1 thing that the recipe names is not here: data: nowhere" "$GRADUS" train recipe.yaml --dry-run --set 'stages.all.data=[{path: nowhere}]' --set "$gone"
grep -q "^stage 1/2 connect: 8 of 60 samples a step, 4 steps" stderr || fail "what is here was not planned: $(cat stderr)"
expect_code 65 "stage connect, step 1: .*sequence_length is 20" "$GRADUS" train recipe.yaml --dry-run --set 'stages.all.data=[{path: nowhere}]' --set "$gone" --set stages.connect.sequence_length=20
expect_code 66 "data: nowhere" mpirun -n 2 "$GRADUS" train recipe.yaml --dry-run --set 'stages.all.data=[{path: nowhere}]' --set "$gone"
# A recipe that assumes nothing is meant to have all of it: what lacks first is named with its place.
expect_code 66 "stages.1..data.0..path: nowhere: there is no such folder" "$GRADUS" train recipe.yaml --dry-run --set 'stages.all.data=[{path: nowhere}]'
# What decides no bit may change while a run is stopped.
expect_code 0 "complete" "$GRADUS" train recipe.yaml --run run --threads 1 --set "$gone"
expect_usage "RECIPE.yaml is missing" "$GRADUS" plan

echo "plan: all as expected"
