#!/usr/bin/env bash
# gradus diff and gradus verify: made differences are named, recorded steps are computed again, damage is seen; a bit that flips in one
# rank's weights ends the run.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

make_conversations src 45
expect_code 0 "samples 45" "$GRADUS" data import --from llava src/many.json --images src --out data
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
make_model model 7
cat >recipe.yaml <<END
seed: 5
lanes: 4
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 3, keep: 100}
digests: {every: 1}
stages:
  - {name: first, trains: [connector, language], data: [{path: data}], global_batch: 9, window: 2, sequence_length: 160, max_images: 3,
     steps: 7, learning_rate: 1.0e-3, warmup_steps: 2, weight_decay: 0.1}
  - {name: second, trains: [vision, connector, language], data: [{path: data}], global_batch: 9, sequence_length: 160, max_images: 3,
     steps: 7, learning_rate: {vision: 1.0e-3, connector: 2.0e-3, language: 3.0e-3}, warmup_steps: 2, weight_decay: 0.1}
END
run() { # NAME RANKS ARGUMENTS...
    local name=$1 ranks=$2
    shift 2
    expect_code 0 "complete: 14 steps" on "$ranks" recipe.yaml --run "$name" "$@"
}
# says LINE...: each is a whole line (grep -E) of standard output.
says() {
    local line
    for line in "$@"; do
        grep -Eq "^$line\$" stdout || fail "not said: $line: $(cat stdout)"
    done
}
run a 2

# Alike: another number of ranks, threads, a stop; another recording: what both have.
run alike 3 --threads 2
expect_code 0 "" "$GRADUS" diff a alike
says "compared 14 records, alike up to step 14 of the run" "last step 14 of the first, 14 of the second"
! grep -q recipes stdout || fail "the recipes are the same"
expect_code 75 "" on 4 recipe.yaml --run stopped --stop-after 5
expect_code 0 "" "$GRADUS" diff a stopped
says "compared 5 records, alike up to step 5 of the run" "last step 14 of the first, 5 of the second"
run rarely 1 --set digests.every=4
[ "$(grep -o '^{"update":[0-9]*' rarely/digests.jsonl | tr -dc '0-9\n' | tr '\n' ' ')" = "0 1 4 7 8 12 14 " ] || fail "other updates were recorded"
expect_code 0 "" "$GRADUS" diff a rarely
says "compared 6 records, alike up to step 14 of the run"
! grep -q recipes stdout || fail "the recipes differ in nothing that decides bits"
run never 1 --set digests.every=0
[ ! -e never/digests.jsonl ] || fail "digests were recorded that nobody wanted"
# Another rhythm after a stop, also from none at all; each record is computed again as it is there.
expect_code 75 "" on 2 recipe.yaml --run turned --stop-after 5 --set digests.every=0
expect_code 75 "nothing that changes a bit: digests.every 0 -> 1, digests.lanes 1 -> 0" on 1 recipe.yaml --run turned --stop-after 4 --set digests.lanes=false
expect_code 0 "nothing that changes a bit: digests.every 1 -> 4, digests.lanes 0 -> 1" on 3 recipe.yaml --run turned --set digests.every=4
[ "$(grep -o '^{"update":[0-9]*' turned/digests.jsonl | tr -dc '0-9\n' | tr '\n' ' ')" = "0 6 7 8 9 12 14 " ] || fail "other updates were recorded: $(cut -c1-30 turned/digests.jsonl)"
expect_code 0 "" "$GRADUS" diff a turned
says "compared 6 records, alike up to step 14 of the run"
expect_code 0 "" "$GRADUS" verify turned
says "computed again steps 1 to 14, .*" "compared 6 records, all digests agree"

# Data: one word of one sample; one picture; another order.
cp -r data data.kept
with_data() { # NAME SED
    sed "$2" src/many.json >src/other.json
    rm -r data
    expect_code 0 "samples 45" "$GRADUS" data import --from llava src/other.json --images src --out data
    run "$1" 2
    rm -r data
    cp -r data.kept data
}
with_data word 's/number 17 of the bandana/number 17 of the banzana/'
expect_code 1 "" "$GRADUS" diff a word
first=$(grep -n -m 1 '"samples":"[^"]*0:17:' a/digests.jsonl | sed 's/:.*//')
# Two steps are packed together: the change moves samples in the first of the two, whichever has it.
says "parted at step ($((first - 1))|$((first - 2))) of the run, stage (first|second), step [0-9]+" "began in data: .*" "lane [0-3].*" "changed tokens of sample 17 of data"
with_data picture '19s/a.png/b.png/'
expect_code 1 "" "$GRADUS" diff a picture
says "began in data: pixels of sample 17 of data" "changed pixels of sample 17 of data"
run order 2 --set seed=6
expect_code 1 "" "$GRADUS" diff a order
says "parted at step 1 of the run, .*" "began in data: which samples the lane has" "first sample [0-9]+ of data" "second sample [0-9]+ of data" "recipes differ, first in seed"
! grep -q "^changed" stdout || fail "no sample is another"

# Gradients: one bit of one number of one lane, on whichever rank has it; the same in the sum. Low bits may vanish in the sum, and are named.
flip() { # NAME RANKS FLIP ARGUMENTS...
    local name=$1 ranks=$2 what=$3
    shift 3
    GR_FLIP=$what run "$name" "$ranks" "$@"
    [ "$(grep -c "GR_FLIP: .* is flipped" stderr)" = 1 ] || fail "nothing was flipped: $(cat stderr)"
}
for case in "0 1 0" "2 2 30" "3 4 22"; do
    read -r lane ranks bit <<<"$case"
    flip lane$lane "$ranks" "gradient:$lane:9:mlp1.1.weight:7:$bit"
    expect_code 1 "" "$GRADUS" diff a lane$lane
    says "parted at step 9 of the run, stage second, step 2" "began in backward: the lane's gradient" "lane $lane" "tensor mlp1.1.weight"
done
flip sum 2 "sum:0:3:language_model.model.embed_tokens.weight:70:20"
expect_code 1 "" "$GRADUS" diff a sum
says "parted at step 3 of the run, stage first, step 3" "began in reduction: the sum of the lanes' gradients" "tensor language_model.model.embed_tokens.weight"
! grep -q "^lane" stdout || fail "the sum is no lane's"
flip blind 2 "gradient:1:9:mlp1.1.weight:7:30" --set digests.lanes=false
expect_code 1 "" "$GRADUS" diff a blind
says "began in reduction: .* not recorded \(digests.lanes\)" "tensor mlp1.1.weight"

# Updates: one learning rate, clipping, decay of the weights, a frozen part that trains.
run rate 2 --set stages.second.learning_rate.connector=0.0021
expect_code 1 "" "$GRADUS" diff a rate
says "parted at step 8 of the run, stage second, step 1" "began in update: learning rate of connector" "first 0.001" "second 0.00105" "recipes differ, first in stages\[1\].learning_rate.connector"
run clip 2 --set stages.second.clip=0.5
expect_code 1 "" "$GRADUS" diff a clip
says "parted at step 8 of the run, .*" "began in update: factor of the gradient: targets and clipping" "recipes differ, first in stages\[1\].clip"
run decay 2 --set stages.second.weight_decay=0.2
expect_code 1 "" "$GRADUS" diff a decay
says "parted at step 8 of the run, .*" "began in update: weights after the update"
run parts 2 --set "stages.second.trains=[connector, language]" --set "stages.second.learning_rate=0.001"
expect_code 1 "" "$GRADUS" diff a parts
says "parted at step 8 of the run, .*" "began in backward: which parts train" "first vision" "second without"
run betas 2 --set "stages.first.betas=[0.9, 0.99]"
expect_code 1 "" "$GRADUS" diff a betas
says "parted at step 1 of the run, .*" "began in update: AdamW's second moment" "tensor mlp1.0.weight \(the first of [0-9]+\)"

# What was not recorded in both cannot be named more closely; other weights to begin with; another model.
expect_code 1 "" "$GRADUS" diff rarely lane2
says "compared 5 records, alike up to step 8 of the run" "parted at step 12 of the run, .*" "began before the step: weights of vision .* steps 9 to 11 of the run, which are not recorded in both.*"
make_model other 8
run fresh 1 --set model.connector=other
expect_code 1 "" "$GRADUS" diff a fresh --json
mv stdout fresh.json
expect_json fresh.json
grep -q '"phase": "before the step"' fresh.json || fail "not said: other weights: $(cat fresh.json)"
grep -q '"update": 1,' fresh.json || fail "not said where: $(cat fresh.json)"
run small 1 --set model.vision=null --set model.connector=null --set "stages=[{name: first, trains: [language], data: [{path: data}], global_batch: 9, sequence_length: 160, bad_samples: drop, steps: 14, learning_rate: 0.001}]"
expect_code 65 "train different models" "$GRADUS" diff a small

# One rank's copy of the weights: caught before it is computed with, of a part that trains and of one that does not, in another rank's
# range and in its own.
for case in "1 language_model.model.norm.weight" "0 language_model.model.norm.weight" "1 vision_model.preprocessor.pos_embed" "2 mlp1.3.bias"; do
    read -r rank tensor <<<"$case"
    rm -rf copy
    GR_FLIP=weights:$rank:3:$tensor:5:0 expect_code 1 "stage first, before step 4 \(4 of the run\): rank $rank's copy of the weights is not what the step before left, first in $tensor" on 3 recipe.yaml --run copy
    [ "$(grep -c '"loss"' copy/metrics.jsonl)" = 3 ] || fail "the step was made"
    expect_code 0 "" "$GRADUS" diff a copy
done
expect_code 0 "going on from copy/checkpoints/update-00000003" on 3 recipe.yaml --run copy
expect_code 0 "" "$GRADUS" diff a copy
says "compared 14 records, alike up to step 14 of the run" "last step 14 of the first, 14 of the second"
GR_FLIP=weights:1:7:vision_model.preprocessor.pos_embed:5:0 expect_code 1 "stage second, before step 1 \(8 of the run\): the copies of the weights on rank 0 and rank 1 differ, first in vision_model.preprocessor.pos_embed" \
    on 2 recipe.yaml --run copy8
GR_FLIP=weights:1:3 expect_code 2 "GR_FLIP=weights:1:3: expected" on 2 recipe.yaml --run bad

# Computed again: from the beginning and from a checkpoint, on any number of ranks; nothing in the folder changes.
find a -type f | sort | xargs ls -l >a.list
expect_code 0 "" "$GRADUS" verify a
says "computed again steps 1 to 14, from the beginning" "compared 14 records, all digests agree"
expect_code 0 "" mpirun -n 3 "$GRADUS" verify a --from 9 --to 12
says "computed again steps 8 to 12, from a/checkpoints/update-00000007" "compared 5 records, all digests agree"
expect_code 0 "" "$GRADUS" verify rarely --from 5 --threads 2
says "computed again steps 4 to 14, from rarely/checkpoints/update-00000003" "compared 5 records, all digests agree"
expect_code 0 "" "$GRADUS" verify stopped
says "computed again steps 1 to 5, .*" "compared 5 records, all digests agree"
find a -type f | sort | xargs ls -l >a.now
cmp a.list a.now || fail "verify changed the run"

# A step that went wrong, from a checkpoint before it: the run alone shows it.
expect_code 1 "" mpirun -n 2 "$GRADUS" verify lane2 --from 8
says "parted at step 9 of the run, stage second, step 2" "began in backward: the lane's gradient" "lane 2" "tensor mlp1.1.weight"
expect_code 1 "" "$GRADUS" verify sum --json
mv stdout sum.json
expect_json sum.json
grep -q '"phase": "reduction"' sum.json || fail "verify --json: $(cat sum.json)"

# Tampered records, each kind.
tamper() { # SED PATTERN...
    cp -r a tampered
    sed -i -E "$1" tampered/digests.jsonl
    ! cmp -s a/digests.jsonl tampered/digests.jsonl || fail "nothing was tampered with: $1"
    shift
    expect_code 1 "" "$GRADUS" verify tampered --from 4 --to 6
    says "parted at step 5 of the run, stage first, step 5" "$@"
    rm -r tampered
}
tamper '6s/"loss":([0-9]+)\.([0-9])/"loss":\1.1\2/' "began in forward: sum of the lane's token losses" "lane 0" "recorded .*" "computed .*"
tamper '6s/("gradient":"[^"]*"[^"]*"samples":"[0-9]+:)([0-9]+)/\11\2/; 6s/("data":")[0-9a-f]{2}/\1zz/2' "began in data: which samples the lane has" "lane 1"
tamper '6s/("grad_norm":)[0-9]/\17/' "began in update: norm of the gradient"
tamper '6s/("before":\{"vision":")[0-9a-f]{2}/\1zz/' "began before the step: weights of vision at the step's beginning"
tamper '6s/("weights":\{"connector":"[0-9a-f]{16})[0-9a-f]{2}/\1zz/' "began in update: weights after the update" "tensor mlp1.0.bias"
cp -r a tampered
sed -i '3s/"lanes"/"lanez"/' tampered/digests.jsonl
expect_code 65 "tampered/digests.jsonl:3: .*lanes" "$GRADUS" diff a tampered
sed -i '2s/^./x/' tampered/digests.jsonl
expect_code 65 "tampered/digests.jsonl:2" mpirun -n 2 "$GRADUS" verify tampered
sed '4s/"update":3/"update":2/' a/digests.jsonl >tampered/digests.jsonl
expect_code 65 "tampered/digests.jsonl:4.*update" "$GRADUS" diff a tampered
: >tampered/digests.jsonl
expect_code 65 "is empty" "$GRADUS" diff a tampered
# A line that is being written is none.
cp a/digests.jsonl tampered/
printf '{"update":15,"sta' >>tampered/digests.jsonl
expect_code 0 "last step 14 of the first, 14 of the second" "$GRADUS" diff a tampered

# What the run was made of is changed: named before anything is computed. A damaged sample takes no room, so
# the first step that is packed together with it has other samples.
sed 's/banner/manner/' src/many.json >src/other.json
rm -r data
expect_code 0 "samples 45" "$GRADUS" data import --from llava src/other.json --images src --out data
expect_code 78 "a/digests.jsonl belongs to another data set" "$GRADUS" verify a
rm -r data
cp -r data.kept data
LC_ALL=C sed -i 's/is number 7 of the/is numbeR 7 of the/' data/shard-00000.h5
expect_code 1 "" "$GRADUS" verify a
says "parted at step 1 of the run, .*" "began in data: which samples the lane has"
rm -r data
cp -r data.kept data
# A damaged checkpoint is passed over.
printf x | dd of=a/checkpoints/update-00000007/model-connector.safetensors bs=1 seek=900 conv=notrunc 2>/dev/null
expect_code 0 "update-00000007 is passed over" "$GRADUS" verify a --from 9 --to 10
says "computed again steps 7 to 10, from a/checkpoints/update-00000006" "compared 4 records, all digests agree"

# Each memory request of a comparison failing: an error, nothing lost (under the sanitizer), never a wrong verdict.
for n in $(seq 1 40) 100 300; do
    GR_MEM_FAIL_AT=$n expect_code 1 "out of memory|part at step 9 of the run" "$GRADUS" diff a lane2
done

# Mistakes.
expect_code 2 "steps 1 to 99: a recorded steps up to 14" "$GRADUS" verify a --to 99
expect_code 2 "steps 9 to 8" mpirun -n 2 "$GRADUS" verify a --from 9 --to 8
expect_code 2 "none of the steps 10 to 11 was recorded .*longer" "$GRADUS" verify rarely --from 11 --to 11 --threads 1
expect_code 66 "never/digests.jsonl is missing: .*digests.every is 0" "$GRADUS" verify never
expect_code 66 "never/digests.jsonl is missing" "$GRADUS" diff a never
expect_code 66 "nowhere" "$GRADUS" diff nowhere a
expect_code 78 "digests.*evry.*every" on 1 recipe.yaml --run bad --set digests.evry=3
expect_code 78 "digests.every" on 1 recipe.yaml --run bad --set digests.every=-1
