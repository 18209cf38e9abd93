#!/usr/bin/env bash
# Memory of one step of a full-size model, fp32: SAILViT-Large at 448 pixels with Qwen2.5-0.5B, fresh weights, one picture and 256
# text tokens; for what each stage trains, and with blocks computed again. Fails above 9 GiB, or when a stage
# does not take less than the one after it. Needs about 10 GB of disk in the folder, 10 GB of memory, some minutes.
# usage: memory.sh GRADUS FOLDER
set -euo pipefail
gradus=$(realpath "$1") here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
cd "$2"
. "$here/../cli/binary.sh"

image=151667 text=256 tokens=512 side=448
if [ ! -e model/config.json ]; then
    "$gradus" model init --config "$here/../../configs/models/sailvit-large-qwen2.5-0.5b.yaml" --seed 1 --out model
fi
pixels=$((3 * side * side * 4)) ids=$((8 * tokens))
{
    safetensors "{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[$tokens],\"data_offsets\":[0,$ids]},\"labels\":{\"dtype\":\"I64\",\"shape\":[$tokens],\"data_offsets\":[$ids,$((2 * ids))]},\"pixel_values\":{\"dtype\":\"F32\",\"shape\":[1,3,$side,$side],\"data_offsets\":[$((2 * ids)),$((2 * ids + pixels))]}}"
    for ((t = 0; t < tokens; t++)); do little $((t < text ? image : 1000 + t)) 8; done
    for ((t = 0; t < tokens; t++)); do little $((t < text ? -100 : 1000 + t)) 8; done
    head -c $pixels /dev/zero
} >batch.safetensors

# step PARTS OPTIONS...: prints the peak in MiB, what is in memory of files included.
step() {
    local parts=$1
    shift
    "$gradus" debug step --model model --batch batch.safetensors --out out.safetensors --image-token $image --train "$parts" \
        --no-logits "$@" 2>stderr || { cat stderr >&2; exit 1; }
    rm -f out.safetensors
    sed -n 's/.*peak memory \([0-9.]*\) GiB, of it activations \([0-9.]*\) GiB.*/\1 \2/p' stderr
}

printf '%-44s %10s %12s\n' "trains" "peak GiB" "activations"
previous=0
for parts in connector vision,connector vision,connector,language; do
    read -r peak activations < <(step "$parts")
    printf '%-44s %10s %12s\n' "$parts" "$peak" "$activations"
    awk -v a="$previous" -v b="$peak" 'BEGIN { exit !(a < b) }' || { echo "FAIL: not more than the stage before" >&2; exit 1; }
    previous=$peak
done
awk -v p="$previous" 'BEGIN { exit !(p <= 9) }' || { echo "FAIL: more than 9 GiB" >&2; exit 1; }
read -r peak activations < <(step vision,connector,language --recompute)
printf '%-44s %10s %12s\n' "vision,connector,language, recomputed" "$peak" "$activations"
awk -v a="$peak" -v b="$previous" 'BEGIN { exit !(a < b) }' || { echo "FAIL: --recompute saves nothing" >&2; exit 1; }
