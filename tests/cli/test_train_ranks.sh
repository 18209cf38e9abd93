#!/usr/bin/env bash
# The ranks of a run: the same bits on 1 to 8 of them, with images, packing, two stages and a border, in fp32 and bf16; going on
# on another number than wrote the checkpoint; what checkpoints share and keep; memory that falls with the ranks.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

make_conversations src 60
expect_code 0 "samples 60" "$GRADUS" data import --from llava src/many.json --images src --out data
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
make_model model 7
cat >recipe.yaml <<END
seed: 5
lanes: 8
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 4, keep: 100}
digests: {every: 3}
messages: {overlap: always, stripe: 1} # as over a network: gradients and parameters move while the rest is computed
stages:
  - {name: first, trains: [connector, language], data: [{path: data}], global_batch: 12, window: 2, sequence_length: 160,
     steps: 10, learning_rate: 1.0e-3, warmup_steps: 2, weight_decay: 0.1}
  - {name: second, trains: [vision, connector, language], data: [{path: data}], global_batch: 12, sequence_length: 160,
     steps: 50, learning_rate: {vision: 1.0e-3, connector: 2.0e-3, language: 3.0e-3}, warmup_steps: 2, weight_decay: 0.1}
END

precisions="fp32"
if grep -q avx512_bf16 /proc/cpuinfo 2>/dev/null && "$GRADUS" bench step --model "$here/tiny.yaml" --images 0 --tokens 8 --rounds 1 --precision bf16 >/dev/null 2>&1; then
    precisions="fp32 bf16"
else
    echo "notice: bf16 INACTIVE: no AVX512_BF16 or no oneDNN here"
fi
for precision in $precisions; do
    set="--set precision=$precision"
    expect_code 0 "complete: 60 steps" on 1 recipe.yaml --run $precision-1 $set
    parts >parts.$precision
    [ "$(wc -l <parts.$precision)" = 3 ] || fail "expected three digests"
    [ $precision = fp32 ] && counts="2 3 4 5 8" || counts="3 5 8"
    for ranks in $counts; do
        expect_code 0 "complete: 60 steps" on $ranks recipe.yaml --run $precision-$ranks $set
        expect_same parts.$precision "$ranks ranks, $precision"
    done
    expect_code 0 "complete" on 2 recipe.yaml --run $precision-threads --threads 2 $set
    expect_same parts.$precision "2 threads, $precision"
    expect_code 0 "complete" on 2 recipe.yaml --run $precision-apart $set --set messages.overlap=never --set messages.stripe=64
    expect_same parts.$precision "nothing moves beside the computation, $precision"
done
[ "$precisions" = fp32 ] || expect_differ parts.fp32 parts.bf16 "bf16 gave fp32's bits: it was not used"

# What is written is the same on any number of ranks, too: every file, byte for byte.
for ranks in 3 8; do
    for update in 00000004 00000010 00000044; do
        diff -r fp32-1/checkpoints/update-$update fp32-$ranks/checkpoints/update-$update >/dev/null ||
            fail "checkpoint $update of $ranks ranks differs from that of one"
    done
    diff -r fp32-1/final fp32-$ranks/final >/dev/null || fail "the model of $ranks ranks differs"
done
tail -n +2 fp32-1/digests.jsonl >steps.fp32 # without the first line, which has the recipe
[ "$(wc -l <fp32-1/digests.jsonl)" = 24 ] || fail "digests.jsonl: expected a first line, updates 1, 10, 11 and each third of 60"
for precision in $precisions; do
    for run in $precision-*; do
        [ $run != $precision-apart ] || continue # its first line has another recipe
        cmp $precision-1/digests.jsonl $run/digests.jsonl || fail "the digests of the steps of $run are others"
    done
done

# On 4 from what 1 wrote, on 1 from what 3 wrote, inside the second stage; and each in the foreground.
for pair in "1 4" "3 1" "5 2"; do
    set -- $pair
    expect_code 75 "stopped in stage second after step 7" on "$1" recipe.yaml --run from-$1 --stop-after 17
    expect_code 0 "going on from from-$1/checkpoints/update-00000017: 17 of 60" on "$2" recipe.yaml --run from-$1
    expect_same parts.fp32 "$2 ranks after $1"
    tail -n +2 from-$1/digests.jsonl | cmp - steps.fp32 || fail "the digests of the steps depend on the stop"
done
expect_code 0 "complete" on 3 recipe.yaml --run foreground --set checkpoints.background=false
expect_same parts.fp32 "written in the foreground"

# What did not change is the same file; what did is another. keep and keep_every.
inode() { stat -c %i "$1"; }
old=fp32-3/checkpoints/update-00000004 new=fp32-3/checkpoints/update-00000008
[ "$(inode $old/model-vision.safetensors)" = "$(inode $new/model-vision.safetensors)" ] || fail "the frozen part was written twice"
[ "$(inode $old/model-language.safetensors)" != "$(inode $new/model-language.safetensors)" ] || fail "a part that trains was linked"
[ "$(inode fp32-3/checkpoints/update-00000060/model-vision.safetensors)" = "$(inode fp32-3/final/model-vision.safetensors)" ] ||
    fail "the final model was written twice"
expect_code 75 "stopped in stage second after step 20" on 2 recipe.yaml --run kept --stop-after 30 --set checkpoints.keep=2 --set checkpoints.keep_every=8
[ "$(ls kept/checkpoints | tr '\n' ' ')" = "update-00000008 update-00000016 update-00000024 update-00000028 update-00000030 " ] ||
    fail "kept: $(ls kept/checkpoints)"
expect_code 0 "going on from kept/checkpoints/update-00000030" on 3 recipe.yaml --run kept --set checkpoints.keep=2 --set checkpoints.keep_every=8
expect_same parts.fp32 "with keep_every"
# What stays for good shares no file with others, which share the frozen part all the same.
expect_code 75 "stopped before stage second" on 3 recipe.yaml --run alone --stop-after 10 --set checkpoints.keep=5 --set checkpoints.keep_every=8
vision() { stat -c "%i %h" "alone/checkpoints/update-000000$1/model-vision.safetensors"; }
[ "$(vision 04)" = "$(vision 10)" ] && [[ "$(vision 04)" == *" 2" && "$(vision 08)" == *" 1" ]] || fail "shared files: $(vision 04), $(vision 08), $(vision 10)"
[ -z "$(find . -name '*.tmp*')" ] || fail "left behind: $(find . -name '*.tmp*')"

# Damage to what ranks wrote together: named, passed over.
cp -r fp32-3/checkpoints/update-00000044 torn
printf x | dd of=torn/gradus/optimizer.safetensors bs=1 seek=30000 conv=notrunc 2>/dev/null
expect_code 65 "optimizer.safetensors is damaged: its digest" on 2 recipe.yaml --run torn-run --resume torn
truncate -s -1 torn/model-language.safetensors
rm torn/gradus/optimizer.safetensors
expect_code 65 "model-language.safetensors is damaged: it should have" on 2 recipe.yaml --run torn-run --resume torn

# A disk that is full for one rank's share: everybody ends with it, and nothing half-written has a checkpoint's name.
expect_code 74 "cannot save checkpoint full/checkpoints/update-00000004: .*(File too large|cannot write)" mpirun -n 1 "$GRADUS" train recipe.yaml --run full : \
    -n 1 bash -c 'trap "" XFSZ; ulimit -f 1; exec "$0" "$@"' "$GRADUS" train recipe.yaml --run full
[ -z "$(ls full/checkpoints | grep -v '\.tmp$')" ] || fail "a checkpoint that was not written whole: $(ls full/checkpoints)"
expect_code 0 "complete" on 2 recipe.yaml --run full
expect_same parts.fp32 "after a failed save"

# A run that ends in an error completes the save that was under way: of the last good step.
for ranks in 1 3; do
    expect_code 76 "stage e, step [0-9]+: .*the checkpoint under way is completed" on $ranks recipe.yaml --run astray$ranks --set checkpoints.every=1 \
        --set "stages=[{name: e, trains: [connector], data: [{path: data}], global_batch: 8, sequence_length: 160, steps: 9, learning_rate: 1000, weight_decay: 1000, schedule: constant}]"
    step=$(sed -n 's/.*stage e, step \([0-9]*\): the .*/\1/p' stderr | head -n 1)
    [ "$step" -gt 1 ] || fail "no step was good"
    [ -e "astray$ranks/checkpoints/update-$(printf %08d $((step - 1)))/gradus/manifest.json" ] || fail "the save before step $step was lost: $(ls astray$ranks/checkpoints)"
done
