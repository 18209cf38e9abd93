#!/usr/bin/env bash
# A loss, a gradient, weights, moments or pixels that are not finite: the policies stop, skip and replay, on any number of ranks the same.
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
digests: {every: 4}
stages:
  - {name: first, trains: [connector, language], data: [{path: data}], global_batch: 9, window: 2, sequence_length: 160, max_images: 3,
     steps: 4, learning_rate: 1.0e-3, schedule: constant}
  - {name: second, trains: [vision, connector, language], data: [{path: data}], global_batch: 9, sequence_length: 160, max_images: 3,
     steps: 5, learning_rate: 1.0e-3}
END
expect_code 0 "complete: 9 steps" on 2 recipe.yaml --run sound
parts >sound.parts
w=mlp1.1.weight
# faulty FLIP CODE PATTERN RANKS ARGUMENTS...
faulty() {
    local flip=$1 code=$2 pattern=$3
    shift 3
    GR_FLIP=$flip expect_code "$code" "$pattern" on "$@"
}
# same_lines FILE RUN RUN: the file of both, but for the recipe's digest in a first line.
same_lines() {
    cmp -s <(grep -v '"identity"' "$2/$1") <(grep -v '"identity"' "$3/$1") || fail "$1 of $2 and $3 differ"
}
samples_in_ledger() { # RUN UPDATE: how many samples of a skipped step
    grep -c "^{\"update\":$2,.*\"index\":.*\"id\":\"[0-9a-f]\{32\}\",\"source\":\"s[0-9]*\",\"nonfinite\":\"skipped\"" "$1/ledger.jsonl"
}

# A recipe that says it badly; a fault that says it badly.
expect_code 78 "nonfinite: expected stop, replay or" on 1 recipe.yaml --run bad --set nonfinite=go
expect_code 78 "nonfinite.skip: expected an integer from 1" on 1 recipe.yaml --run bad --set nonfinite.skip=0
expect_code 78 "skips" on 1 recipe.yaml --run bad --set nonfinite.skips=2
for flip in loss:1:2:0 loss:1:2:nan:3 gradient:0:1:none:0:nan gradient:@:1:$w:0:nan pixels:12:1:0:nan sum:@0:1:$w:0:inf; do
    faulty "$flip" 2 "GR_FLIP=$flip: expected" 1 recipe.yaml --run bad
done

# stop: the rank and its lane and tensor are named, a save under way ends, the next call goes on to the same bits.
faulty gradient:2:7:$w:3:nan 76 "rank 1 on .*stage second, step 3: the gradient is not finite in lane 2, first in $w; no update was made of step 7" \
    2 recipe.yaml --run stop
[ -e stop/checkpoints/update-00000006/gradus/manifest.json ] || fail "the last checkpoint did not stay"
expect_code 0 "complete: 9 steps" on 3 recipe.yaml --run stop
expect_same sound.parts "after a stop"
faulty loss:3:2:-inf 76 "rank 2 on .*stage first, step 2: the loss is -inf in lane 3;" 3 recipe.yaml --run loss
# Gradients that are on their way while backward goes on.
faulty loss:0:2:nan 76 "the loss is nan in lane 0;" 3 recipe.yaml --run way --set messages.overlap=always
for rank in 0 1; do # the one whose range has the element
    GR_FLIP=sum:$rank:2:$w:3:inf on 2 recipe.yaml --run sum$rank >out 2>err && continue
    grep -q "rank $rank on .*: the sum of the lanes' gradients is not finite, first in $w, and each lane's is;" err || fail "the sum: $(cat err)"
    touch sum.seen
done
[ -e sum.seen ] || fail "a sum that is infinite was used"

# Weights and moments: named, whatever the policy, and never saved.
faulty weights:1:5:$w:3:inf 76 "rank 1 on .*5 steps of the run done: this rank's weights of $w are not finite" 3 recipe.yaml --run weights \
    --set digests.every=0 --set nonfinite.skip=9
faulty weights:0:6:vision_model.preprocessor.pos_embed:3:nan 76 "rank 0 on .*6 steps of the run done: this rank's weights of vision_model" 2 recipe.yaml \
    --run saved --set digests.every=0
[ ! -e saved/checkpoints/update-00000006 ] || fail "weights that are not finite were saved"
faulty second:0:2:$w:3:nan 76 "2 steps of the run done: this rank's AdamW's second moments of $w are not finite" 1 recipe.yaml --run moments
# Nothing of those reaches another rank: they go on from the last checkpoint to the same bits.
expect_code 0 "complete" on 2 recipe.yaml --run saved
expect_same sound.parts "after weights that were not finite"

# skip: the same decision, record and bits on any number of ranks, also at a stage's last step.
for ranks in 1 2 4; do
    faulty gradient:1:4:$w:3:-inf 0 "step 4: the gradient is not finite in lane 1, first in $w: no update is made of the step \(1 of at most 1 in a row\)" \
        $ranks recipe.yaml --run skip$ranks --set nonfinite.skip=1
    [ $ranks != 1 ] || parts >skip.parts
    expect_same skip.parts "a step left out on $ranks ranks"
    same_lines ledger.jsonl skip1 skip$ranks
    same_lines digests.jsonl skip1 skip$ranks
done
[ "$(samples_in_ledger skip1 4)" -ge 8 ] || fail "the step's samples are not in the ledger: $(cat skip1/ledger.jsonl)"
grep -q '^{"update":4,.*"grad_norm":null,.*"skipped":true,' skip2/metrics.jsonl || fail "the metrics do not say skipped"
! grep -q '^{"update":[^4].*skipped' skip2/metrics.jsonl || fail "another step was skipped"
expect_differ skip.parts sound.parts "a step that was left out changed nothing"
# Nothing changes but the count of steps.
faulty loss:1:6:nan 75 "" 3 recipe.yaml --run still --set nonfinite.skip=1 --set checkpoints.every=1 --stop-after 6
for file in model-connector.safetensors model-language.safetensors model-vision.safetensors gradus/optimizer.safetensors; do
    cmp "still/checkpoints/update-00000005/$file" "still/checkpoints/update-00000006/$file" || fail "a step that was left out changed $file"
done
grep -q '"skipped_in_a_row": 1' still/checkpoints/update-00000006/gradus/state.json || fail "the count is not in the checkpoint"
[ "$(grep optimizer_updates still/checkpoints/update-0000000[56]/gradus/state.json | sed 's/.*"opt/opt/' | sort -u | wc -l)" = 1 ] || fail "AdamW counted it"

# Too many in a row, also over a stop and a border between stages; two that are not in a row.
faulty loss:0:3+:nan 76 "step 2: the loss is nan in lane 0; .*The 2 steps before it in a row were left out, the most" 2 recipe.yaml --run many --set nonfinite.skip=2 \
    --set stages.first.steps=3
faulty loss:0:5+:nan 75 "" 2 recipe.yaml --run over --set nonfinite.skip=3 --stop-after 6
faulty loss:0:5+:nan 76 "step 8 of the run .*The 3 steps before it" 1 recipe.yaml --run over --set nonfinite.skip=3
faulty loss:0:5+:nan 76 "step 8 of the run .*The 3 steps before it" 3 recipe.yaml --run whole --set nonfinite.skip=3
same_lines ledger.jsonl over whole
[ "$(tail -n 1 over/ledger.jsonl | cut -d, -f1)" = '{"update":7' ] || fail "the last step that was left out: $(tail -n 1 over/ledger.jsonl)"

# diff and verify.
expect_code 0 "compared 5 records, alike" "$GRADUS" diff skip1 skip4
expect_code 1 "began in update: whether an update was made of the step" "$GRADUS" diff sound skip1
expect_code 0 "step 4 of the run made no update, .* computed again it is finite" "$GRADUS" verify skip2
grep -q "left out 1 step that" stdout || fail "verify does not say that a step was left out: $(cat stdout)"
expect_code 0 "all digests agree" mpirun -n 3 "$GRADUS" verify skip2 --from 5

# replay: finite the second time.
for ranks in 1 3; do
    faulty gradient:1:6:$w:3:nan 0 "in lane 1, first in $w; computed again it is finite: a transient fault" $ranks recipe.yaml --run moment$ranks --set nonfinite=replay
    expect_same sound.parts "a transient fault on $ranks ranks"
    same_lines digests.jsonl sound moment$ranks
    grep -q '^{"update":6,.*"lane":1,"nonfinite":"transient",' moment$ranks/ledger.jsonl || fail "the ledger does not name it: $(cat moment$ranks/ledger.jsonl)"
done
same_lines ledger.jsonl moment1 moment3

# A sample that is not finite whenever it is shown, and who is to blame otherwise.
id=$("$GRADUS" data show data 7 --json | grep -o '"id": *"[0-9a-f]\{32\}"' | tail -n 1 | grep -o '[0-9a-f]\{32\}')
for ranks in 1 3; do
    faulty "pixels:$id:5+:40:nan" 76 "the loss is nan in lane [0-3], and so when step [0-9]* of the run was computed again: it is sample 7 of data \(id $id, source \"s7\"\)" \
        $ranks recipe.yaml --run sample$ranks --set nonfinite=replay
    step=$(sed -n 's/^{"update":\([0-9]*\),.*"path":"data","index":7,.*"nonfinite":"sample",.*/\1/p' sample$ranks/ledger.jsonl)
    [ "$(wc -l <sample$ranks/ledger.jsonl)" = 1 ] || fail "others are blamed, too: $(cat sample$ranks/ledger.jsonl)"
    [ -e "sample$ranks/checkpoints/update-$(printf %08d $((step - 1)))/gradus/manifest.json" ] || fail "the state before step $step was not saved"
done
same_lines ledger.jsonl sample1 sample3
faulty "pixels:$id:5+:40:nan" 0 "nothing that changes a bit: nonfinite replay -> skip 1" 2 recipe.yaml --run sample3 --set nonfinite.skip=1
faulty gradient:2:6+:$w:3:inf 76 "no sample alone is non-finite; no update was made of it, lane/checkpoints/update-00000005 holds" 3 recipe.yaml --run lane --set nonfinite=replay
grep -q '"lane":2,"nonfinite":"no sample"' lane/ledger.jsonl || fail "the ledger: $(cat lane/ledger.jsonl)"
faulty gradient:@1:6+:$w:3:inf 76 "rank 2 computes the same lane and it is finite, so this rank's machine miscalculates" 3 recipe.yaml --run rank --set nonfinite=replay
faulty loss:1:1+:inf 76 "it is the run's first step" 2 recipe.yaml --run begin --set nonfinite=replay
expect_code 0 "complete" on 2 recipe.yaml --run begin
expect_same sound.parts "after a first step that was not finite"
