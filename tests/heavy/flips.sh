#!/usr/bin/env bash
# R16: one bit, chosen at random, flipped in a lane's gradient, in the sum, or in one rank's copy of the weights, at a random update on 3 ranks:
# gradus diff names update, lane and tensor of each, and a copy ends the run before the next update.
# usage: flips.sh GRADUS FOLDER [COUNT [SEED]]
GRADUS=$(realpath "$1") folder=$2 count=${3:-100} RANDOM=${4:-1}
export GRADUS OMP_NUM_THREADS=1
. "$(dirname "$0")/../cli/lib.sh" "$folder"

make_conversations src 45
expect_code 0 "samples 45" "$GRADUS" data import --from llava src/many.json --images src --out data
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
make_model model 7
cat >recipe.yaml <<END
seed: 5
lanes: 4
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
digests: {every: 1}
stages:
  - {name: all, trains: [vision, connector, language], data: [{path: data}], global_batch: 9, sequence_length: 160, max_images: 3,
     steps: 6, learning_rate: 1.0e-3}
END
expect_code 0 "" on 3 recipe.yaml --run sound
# All have at least 8 numbers.
head -n 1 sound/digests.jsonl | sed 's/.*"tensors"://' | grep -o '"[a-z_]*\(model\|mlp1\)[^"]*"' | tr -d '"' >tensors

# Runs with flip $1.
try() {
    rm -rf run
    GR_FLIP=$1 on 3 recipe.yaml --run run >out 2>err && return
    # The guard of the norm may see a gradient first, before anything is made of it; a copy of the weights must be seen.
    grep -q "is not finite\|loss is\|copy of the weights is not" err || fail "$1: $(cat err)"
}
# what_differs FLIP UPDATE LINE...: diff says so, unless the guard did.
what_differs() {
    local flip=$1 update=$2 line
    shift 2
    ! grep -q "is not finite\|loss is" err || return 0
    for line in "parted at step $update of the run,.*" "$@"; do
        grep -Eq "^$line\$" diff.txt || fail "$flip: not said: $line: $(cat diff.txt)"
    done
}
guarded=0
for ((i = 0; i < count; i++)); do
    kind=$((RANDOM % 3)) update=$((RANDOM % 5 + 1)) lane=$((RANDOM % 4)) rank=$((RANDOM % 3))
    tensor=$(sed -n "$((RANDOM % $(wc -l <tensors) + 1))p" tensors)
    place=$update:$tensor:$((RANDOM % 8)):$((RANDOM % 32))
    case $kind in
    0)
        try gradient:$lane:$place
        "$GRADUS" diff sound run >diff.txt 2>/dev/null || true
        what_differs gradient:$lane:$place $update "began in backward: the lane's gradient" "lane $lane" "tensor $tensor"
        ;;
    1)
        for rank in 0 1 2; do # the one whose range has the element: elsewhere it means nothing
            try sum:$rank:$place
            "$GRADUS" diff sound run >diff.txt 2>/dev/null || break
        done
        what_differs sum:$rank:$place $update "began in reduction: the sum of the lanes' gradients" "tensor $tensor"
        ;;
    *)
        try weights:$rank:$place
        grep -q "before step [0-9]* ($((update + 1)) of the run): rank $rank's copy of the weights is not what the step before left, first in $tensor:" err ||
            fail "weights:$rank:$place was not caught: $(cat err)"
        ;;
    esac
    ! grep -q "is not finite\|loss is" err || guarded=$((guarded + 1))
done
echo "flips: $count of $count named, $guarded of them by the guard against gradients that are not finite"
