#!/usr/bin/env bash
# Who takes a model from what training wrote compares its weights with the manifest there: damage is named, not answered with.
. "$(dirname "$0")/lib.sh"
. "$here/train_support.sh"

make_run
expect_code 0 "complete: 2 steps" "$GRADUS" train recipe.yaml --run run --set stages.all.steps=2
expect_code 0 "" "$GRADUS" data synth --task text --count 5 --out suite
checkpoint=$(echo run/checkpoints/update-*)
takers() {
    expect_code "$1" "$3" "$GRADUS" generate "$2" --prompt "What?" --max-new 2
    expect_code "$1" "$3" mpirun -n 2 "$GRADUS" eval "$2" --suite suite --max-new 2
    expect_code "$1" "$3" "$GRADUS" model export "$2" --out "out$((++made))"
    expect_code "$1" "$3" mpirun -n 2 "$GRADUS" train recipe.yaml --run "out$((++made))" --set stages.all.steps=1 --set model.vision="$2"
}
made=0
takers 0 run/final ""
takers 0 "$checkpoint" ""

# One byte of each part, in the middle of its numbers.
spoil() { printf '\x01' | dd of="$1/model-$2.safetensors" bs=1 seek=$(($(stat -c %s "$1/model-$2.safetensors") - 300)) conv=notrunc status=none; }
cp -r run/final spoiled
spoil spoiled vision
takers 65 spoiled "spoiled/gradus/manifest.json does not fit .*: spoiled/model-vision.safetensors is damaged: its digest should be [0-9a-f]{32} and is"
expect_code 65 "^gradus: .*model.vision: .*spoiled/model-vision.safetensors is damaged" "$GRADUS" train recipe.yaml --run out --set model.vision=spoiled
# Only the parts that are taken count.
expect_code 0 "" "$GRADUS" train recipe.yaml --run other --set stages.all.steps=1 --set model.connector=spoiled
expect_code 0 "" "$GRADUS" model export spoiled --part language --out other-language
cp -r "$checkpoint" spoiled-language
spoil spoiled-language language
expect_code 65 "spoiled-language/model-language.safetensors is damaged" "$GRADUS" generate spoiled-language --prompt "What?"
expect_code 0 "" "$GRADUS" model export spoiled-language --out encoder
# Whoever means it takes the manifest away.
rm -r spoiled/gradus
takers 0 spoiled ""

echo "changed weights: all as expected"
