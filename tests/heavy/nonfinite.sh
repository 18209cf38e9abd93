#!/usr/bin/env bash
# R16: NaN, +Inf and -Inf in every tensor of the tiny model, on ranks 0 to 2 of 3, under each policy: in a lane's gradient, in the sum, in a rank's
# copy of the weights, in AdamW's moments; and in every sample's pixels. All ranks decide alike, nothing of it reaches a checkpoint or a result, and
# rank and tensor, or the sample, are named.
# usage: nonfinite.sh GRADUS FOLDER [FIRST [LAST]]    only these tensors, counted from 1
GRADUS=$(realpath "$1") folder=$2 first=${3:-1} last=${4:-9999}
export GRADUS OMP_NUM_THREADS=1
. "$(dirname "$0")/../cli/lib.sh" "$folder"

make_conversations src 45
expect_code 0 "samples 45" "$GRADUS" data import --from llava src/many.json --images src --out data
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
make_model model 7
cat >recipe.yaml <<END
seed: 5
lanes: 3
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 1, keep: 100, background: false}
digests: {every: 0}
stages:
  - {name: all, trains: [vision, connector, language], data: [{path: data}], global_batch: 9, sequence_length: 160, max_images: 3,
     steps: 5, learning_rate: 1.0e-3, schedule: constant}
END
expect_code 0 "complete: 5 steps" on 3 recipe.yaml --run sound --set digests.every=1
parts >sound.parts
# All have at least 8 numbers.
head -n 1 sound/digests.jsonl | sed 's/.*"tensors"://' | grep -o '"[a-z_]*\(model\|mlp1\)[^"]*"' | tr -d '"' | sed -n "$first,${last}p" >tensors
# What a run gives that leaves out step 3, made without a fault in any tensor.
GR_FLIP=loss:0:3:nan expect_code 0 "complete" on 1 recipe.yaml --run left --set nonfinite.skip=1
parts >left.parts
expect_differ left.parts sound.parts "leaving step 3 out changed nothing"

runs=0 stopped=0 skipped=0 replayed=0 harmless=0 resumed=0
# try FLIP ARGUMENTS...: a run on 3 ranks; its code in $code.
try() {
    local flip=$1
    shift
    rm -rf run
    code=0
    GR_FLIP=$flip timeout 120 mpirun -n 3 "$GRADUS" train recipe.yaml --run run "$@" >stdout 2>stderr </dev/null || code=$?
    runs=$((runs + 1))
}
bad() {
    fail "$1 (exit $code): $(cat stderr)"
}
# stops FLIP PATTERN LAST: exit 76, with this in the message, and checkpoint LAST is the newest.
stops() {
    [ "$code" = 76 ] && grep -Eq "stopped by the non-finite policy: $2" stderr || bad "$1: not said: $2"
    [ "$(ls run/checkpoints | tail -n 1)" = "update-0000000$3" ] || bad "$1: checkpoints $(ls run/checkpoints)"
    stopped=$((stopped + 1))
    if [ $((stopped % 9)) = 0 ]; then # it goes on as if nothing had been
        expect_code 0 "complete" on 2 recipe.yaml --run run
        expect_same sound.parts "$1, resumed"
        resumed=$((resumed + 1))
    fi
}
ends_as() { # REFERENCE FLIP
    [ "$code" = 0 ] || bad "$2"
    expect_same "$1" "$2"
}
# one_of_three KIND REST LAST PATTERN: the rank that holds the element stops the run, on the others it means nothing.
one_of_three() {
    local rank seen=0
    for rank in 0 1 2; do
        try "$1:$rank:$2"
        if [ "$code" = 0 ]; then
            ends_as sound.parts "$1:$rank:$2"
            harmless=$((harmless + 1))
        else
            stops "$1:$rank:$2" "rank $rank on .*$4" "$3"
            seen=$((seen + 1))
        fi
    done
    [ $seen = 1 ] || fail "$1:*:$2: $seen ranks stopped"
}

# gradient FLIP RANK TENSOR POLICY: each rank has the lane of its number.
gradient() {
    case $4 in
    stop)
        try "$1"
        stops "$1" "rank $2 on .*: stage all, step 3: the gradient is not finite in lane $2, first in $3;" 2
        ;;
    skip)
        try "$1" --set nonfinite.skip=1
        ends_as left.parts "$1"
        skipped=$((skipped + 1))
        ;;
    *)
        try "$1" --set nonfinite=replay
        ends_as sound.parts "$1"
        grep -q '"update":3,.*"lane":'"$2"',"nonfinite":"transient"' run/ledger.jsonl || bad "$1: the ledger does not say transient"
        replayed=$((replayed + 1))
        ;;
    esac
}
# weights FLIP RANK TENSOR: after step 2, which is saved, and so looked through; then between saves, where a copy that no lane reads and that
# is another's is replaced by the owner's.
weights() {
    local policy=(--set nonfinite=replay)
    [ "$2" != 1 ] || policy=(--set nonfinite.skip=9)
    try "$1" "${policy[@]}"
    stops "$1" "rank $2 on .*: stage all, 2 steps of the run done: this rank's weights of $3 are not finite" 1
    try "$1" --set checkpoints.every=0
    if [ "$code" = 0 ]; then
        ends_as sound.parts "$1"
        harmless=$((harmless + 1))
    else
        grep -q "rank $2 on .*this rank's weights of $3 are not finite" stderr || bad "$1: not named"
        stopped=$((stopped + 1))
    fi
}

# In a Latin square: each rank with each policy, each value with each policy, each rank with each value.
RANDOM=1
values=(nan inf -inf) policies=(stop skip replay) n=0
while read -r tensor; do
    n=$((n + 1))
    for rank in 0 1 2; do
        for p in 0 1 2; do
            gradient "gradient:$rank:3:$tensor:$((RANDOM % 8)):${values[$(((n + rank + p) % 3))]}" $rank "$tensor" ${policies[$p]}
        done
        weights "weights:$rank:2:$tensor:$((RANDOM % 8)):${values[$(((n + rank) % 3))]}" $rank "$tensor"
    done
    place=$tensor:$((RANDOM % 8)):${values[$((n % 3))]}
    one_of_three sum 3:$place 2 "stage all, step 3: the sum of the lanes' gradients is not finite, first in $tensor,"
    one_of_three first 2:$place 1 "2 steps of the run done: this rank's AdamW's first moments of $tensor are not finite"
    one_of_three second 2:$place 1 "2 steps of the run done: this rank's AdamW's second moments of $tensor are not finite"
    echo "$tensor: as expected"
done <tensors
echo "tensors: $n, runs: $runs: $stopped stopped with rank and tensor named ($resumed of them resumed), $skipped left the step out, $replayed named a transient fault, $harmless unharmed"

# Pixels of one sample after another: replay names it and no other.
named=0 absent=0
for ((i = 0; i < 45; i++)); do
    [ $((i % 5)) != 0 ] || continue # every fifth has no picture
    id=$("$GRADUS" data show data $i --json | grep -o '"id": *"[0-9a-f]\{32\}"' | tail -n 1 | grep -o '[0-9a-f]\{32\}')
    value=$([ $((i % 2)) = 0 ] && echo nan || echo inf)
    try "pixels:$id:1+:$((RANDOM % 768)):$value" --set nonfinite=replay
    if grep -q "GR_FLIP" stderr; then
        [ "$code" = 76 ] && grep -q "it is sample $i of data (id $id, source \"s$i\")" stderr && [ "$(wc -l <run/ledger.jsonl)" = 1 ] ||
            bad "sample $i was not named, or others, too: $(cat run/ledger.jsonl)"
        named=$((named + 1))
    else
        ends_as sound.parts "sample $i"
        absent=$((absent + 1))
    fi
done
echo "samples: $named named, $absent not shown in the run"
