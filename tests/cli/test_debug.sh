#!/usr/bin/env bash
# debug step: what comes out, and what is refused.
. "$(dirname "$0")/lib.sh"

make_tokenizer tok
expect_code 0 "" "$GRADUS" model init --config "$here/tiny.yaml" --seed 3 --out model --tokenizer tok
expect_code 0 "^[0-9]+$" "$GRADUS" tokenizer encode --tokenizer tok --special "<IMG_CONTEXT>"
image=$(cat stdout)

# batch IDS LABELS [SEQUENCE BORDERS]: with one grey-ish picture of 16 x 16 unless PIXELS=none.
batch() {
    local ids=$1 labels=$2 borders=${3:-} n at parts
    n=$(wc -w <<<"$ids")
    at=$((16 * n))
    parts="\"input_ids\":{\"dtype\":\"I64\",\"shape\":[$n],\"data_offsets\":[0,$((8 * n))]}"
    parts+=",\"labels\":{\"dtype\":\"I64\",\"shape\":[$(wc -w <<<"$labels")],\"data_offsets\":[$((8 * n)),$at]}"
    if [ "${PIXELS:-}" != none ]; then
        parts+=",\"pixel_values\":{\"dtype\":\"F32\",\"shape\":[${SHAPE:-1,3,16,16}],\"data_offsets\":[$at,$((at + 3072))]}"
        at=$((at + 3072))
    fi
    if [ -n "$borders" ]; then
        parts+=",\"cu_seqlens\":{\"dtype\":\"I32\",\"shape\":[$(wc -w <<<"$borders")],\"data_offsets\":[$at,$((at + 4 * $(wc -w <<<"$borders")))]}"
    fi
    safetensors "{$parts}"
    local i
    for i in $ids $labels; do little "$i" 8; done
    [ "${PIXELS:-}" = none ] || for ((i = 0; i < 767; i++)); do printf '\0\0\200\077'; done # 1.0
    [ "${PIXELS:-}" = none ] || printf "${LAST:-\\0\\0\\200\\077}"
    for i in $borders; do little "$i" 4; done
}

# tensor FILE NAME: the first number of a float32 tensor.
tensor() {
    local size begin
    size=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    begin=$(head -c $((size + 8)) "$1" | tail -c "$size" | grep -o "\"$2\":{[^}]*}" | sed 's/.*offsets":\[\([0-9]*\),.*/\1/')
    [ -n "$begin" ] || fail "$1 has no tensor $2"
    od -An -tf4 -j $((size + 8 + begin)) -N4 "$1" | tr -d ' '
}

near() { awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { exit !(a - b <= t && b - a <= t) }'; }

ids="10 $image $image $image $image 20 30 40"
labels="-100 -100 -100 -100 -100 -100 30 40"
batch "$ids" "$labels" >batch.safetensors
expect_code 0 "" "$GRADUS" debug step --model model --batch batch.safetensors --out out.safetensors --threads 1
[ ! -s stdout ] || fail "debug step prints nothing"
for name in loss logits vision_features grad.vision_model.preprocessor.pos_embed grad.mlp1.1.weight \
    grad.language_model.model.embed_tokens.weight; do
    tensor out.safetensors "$name" >/dev/null
done
grep -aq '"logits":{"dtype":"F32","shape":\[8,320\]' out.safetensors || fail "wrong shape of logits"
grep -aq '"vision_features":{"dtype":"F32","shape":\[1,16,16\]' out.safetensors || fail "wrong shape of features"
# Fresh weights know nothing: the loss is about ln 320.
near "$(tensor out.safetensors loss)" 5.7683 0.1 || fail "loss is $(tensor out.safetensors loss)"

# Threads change no bit; a part that does not train has no gradients and changes no other.
expect_code 0 "" "$GRADUS" debug step --model model --batch batch.safetensors --out two.safetensors --threads 2
cmp out.safetensors two.safetensors || fail "two threads gave other bits"
expect_code 0 "" "$GRADUS" debug step --model model --batch batch.safetensors --out some.safetensors --train connector
if grep -aq 'grad.vision\|grad.language' some.safetensors; then fail "gradients of frozen parts"; fi
[ "$(tensor some.safetensors grad.mlp1.1.bias)" = "$(tensor out.safetensors grad.mlp1.1.bias)" ] || fail "freezing changed a gradient"

# Blocks computed again in backward give the same bits; logits can be left out; so can the square.
expect_code 0 "" "$GRADUS" debug step --model model --batch batch.safetensors --out again.safetensors --recompute
cmp out.safetensors again.safetensors || fail "--recompute gave other bits"
grep -Eq "peak memory [0-9.]+ GiB, of it activations 0.0" stderr || fail "no word about memory"
expect_code 0 "" "$GRADUS" debug step --model model --batch batch.safetensors --out less.safetensors --no-logits
if grep -aq '"logits"' less.safetensors; then fail "logits in spite of --no-logits"; fi
[ "$(tensor less.safetensors loss)" = "$(tensor out.safetensors loss)" ] || fail "--no-logits changed the loss"
SHAPE=1,3,32,8 batch "$ids" "$labels" >wide.safetensors
expect_code 0 "" "$GRADUS" debug step --model model --batch wide.safetensors --out wide.out
[ "$(tensor wide.out loss)" != "$(tensor out.safetensors loss)" ] || fail "the positions of another grid are the same"

# Two sequences in one row: the mean over all targets; a label at a border's far side is never used.
PIXELS=none batch "10 20 30 40" "-100 20 -100 40" >text1.safetensors
PIXELS=none batch "50 60 70" "-100 60 70" >text2.safetensors
PIXELS=none batch "10 20 30 40 50 60 70" "-100 20 -100 40 99 60 70" "0 4 7" >packed.safetensors
for b in text1 text2 packed; do
    expect_code 0 "" "$GRADUS" debug step --model model --batch $b.safetensors --out $b.out --train language
done
mean=$(awk -v a="$(tensor text1.out loss)" -v b="$(tensor text2.out loss)" 'BEGIN { printf "%.7f", (a + b) / 2 }')
near "$(tensor packed.out loss)" "$mean" 1e-5 || fail "packed loss $(tensor packed.out loss), expected $mean"

# What is wrong with a batch says whose, and an empty list of parts is no list.
expect_usage 'debug step: --train is empty: expected PARTS' "$GRADUS" debug step --model model --batch batch.safetensors --out x --train ""
expect_usage 'got ""' "$GRADUS" debug step --model model --batch batch.safetensors --out x --train vision,
sed 's/max_position_embeddings: 512/max_position_embeddings: 7/' "$here/tiny.yaml" >short.yaml
expect_code 0 "" "$GRADUS" model init --config short.yaml --seed 3 --out short --tokenizer tok
expect_code 65 "batch.safetensors: positions\[7\]: expected 0 to 6, got 7: a sequence is longer than" \
    "$GRADUS" debug step --model short --batch batch.safetensors --out x

# What is no file is never replaced, and a place that cannot be written to is known before anything is computed.
mkfifo pipe
for b in "74 pipe pipe:.is.a.pipe" "74 model model:.is.a.folder" "74 no/where no:.no.such.folder"; do
    # shellcheck disable=SC2086 # three words
    set -- $b
    expect_code "$1" "$3" "$GRADUS" debug step --model model --batch nothing --out "$2"
done
[ -p pipe ] || fail "a pipe was replaced"
expect_usage "debug step: --out is empty: expected FILE.safetensors" "$GRADUS" debug step --model model --batch batch.safetensors --out ""

# A model without tokenizer needs the id; a text model needs no picture; an encoder alone gives features.
make_model bare 3
expect_code 65 "give --image-token" "$GRADUS" debug step --model bare --batch batch.safetensors --out x
expect_code 0 "" "$GRADUS" debug step --model bare --batch batch.safetensors --out bare.safetensors --image-token "$image"
cmp bare.safetensors out.safetensors || fail "--image-token gave another result"
expect_code 0 "" "$GRADUS" model export model --part language --out text
expect_code 0 "" "$GRADUS" debug step --model text --batch text1.safetensors --out text.out
[ "$(tensor text.out loss)" = "$(tensor text1.out loss)" ] || fail "the language part alone gives another loss"
# Gradients have the names of the model's own files.
for name in model.embed_tokens.weight model.layers.1.mlp.up_proj.weight model.norm.weight; do
    [ "$(tensor text.out "grad.$name")" = "$(tensor text1.out "grad.language_model.$name")" ] || fail "another gradient of $name alone"
done
if grep -aq 'grad.language_model' text.out; then fail "names that the model's files have not"; fi
expect_code 65 "no vision part" "$GRADUS" debug step --model text --batch batch.safetensors --out x
expect_code 0 "" "$GRADUS" model export model --out encoder
expect_code 65 '"labels": the model has no language part, so there is no loss' \
    "$GRADUS" debug step --model encoder --batch batch.safetensors --out x
{
    safetensors '{"pixel_values":{"dtype":"F32","shape":[1,3,16,16],"data_offsets":[0,3072]}}'
    for ((i = 0; i < 768; i++)); do printf '\0\0\200\077'; done
} >pixels-only.safetensors
expect_code 0 "" "$GRADUS" debug step --model encoder --batch pixels-only.safetensors --out encoder.out
expect_usage "nothing can train, since encoder has no language part" \
    "$GRADUS" debug step --model encoder --batch pixels-only.safetensors --out x --train vision
safetensors '{}' >nothing.safetensors
expect_code 65 '"pixel_values" is missing' "$GRADUS" debug step --model encoder --batch nothing.safetensors --out x
[ "$(tensor encoder.out vision_features)" = "$(tensor out.safetensors vision_features)" ] || fail "the encoder alone gives other features"

# Refused.
step() { "$GRADUS" debug step --model model --batch "$1" --out x; }
batch "10 $image 20" "-100 -100 20" >b; expect_code 65 "expected 4 image tokens .*got 1" step b
PIXELS=none batch "10 320" "-100 20" >b; expect_code 65 '"input_ids": position 1: .* 0 to 319, got 320' step b
PIXELS=none batch "10 20" "-100 -5" >b; expect_code 65 '"labels": position 1: .* got -5' step b
PIXELS=none batch "10 20" "10 -100" >b; expect_code 65 "no position has a target" step b
PIXELS=none batch "10 20 30" "-100 20 30" "0 2 2 4" >b; expect_code 65 "cu_seqlens.*rise from 0 to 3" step b
# Pixels that are not finite; image tokens without pictures, which stay what transformers makes of them.
LAST='\0\0\300\177' batch "$ids" "$labels" >b; expect_code 65 'b: tensor "pixel_values": image 0, value 767 of it is nan: expected finite' step b
LAST='\0\0\200\377' batch "$ids" "$labels" >b; expect_code 65 'value 767 of it is -inf: expected finite' step b
PIXELS=none batch "$ids" "$labels" >b; expect_code 0 "warning: b: 4 image tokens .id $image., but no \"pixel_values\"" "$GRADUS" debug step --model model --batch b --out warned
PIXELS=none batch "10 20 30" "-100 20 30" >b; expect_code 0 "" "$GRADUS" debug step --model model --batch b --out warned
! grep -q warning stderr || fail "a text is warned of: $(cat stderr)"
SHAPE=1,3,256 batch "$ids" "$labels" >b; expect_code 65 'pixel_values.*expected F32 \[any, 3, any, any\], got F32 \[1, 3, 256\]' step b
SHAPE=1,3,128,2 batch "$ids" "$labels" >b; expect_code 65 'pixel_values.*images of width 2: expected a multiple of the patch size 4' step b
SHAPE=1,3,64,4 batch "$ids" "$labels" >b; expect_code 65 'images of width 4: 1 patches are odd' step b
sed 's/"labels"/"lables"/' text1.safetensors >b; expect_code 65 '"lables" is not known; did you mean "labels"' step b
PIXELS=none batch "10 20" "10 20" "0 1 2" | sed 's/cu_seqlens/cu_seq_len/' >b; expect_code 65 '"cu_seq_len" is not known; did you mean "cu_seqlens"' step b
PIXELS=none batch "10 20" "10 20" "0 1 2" | sed 's/cu_seqlens/attn__mask/' >b; expect_code 65 '"attn__mask" is not known; expected input_ids' step b
head -c 60 text1.safetensors >b; expect_code 65 "b" step b
expect_code 66 "nowhere" step nowhere
cp -r model own
expect_usage "would overwrite what is read" "$GRADUS" debug step --model own --batch batch.safetensors --out own/model-language.safetensors
expect_usage "would overwrite what is read" "$GRADUS" debug step --model model --batch batch.safetensors --out ./batch.safetensors
cmp own/model-language.safetensors model/model-language.safetensors || fail "the model was overwritten"
expect_usage 'got "visoin"' "$GRADUS" debug step --model model --batch b --out x --train visoin
expect_usage "no vision part" "$GRADUS" debug step --model text --batch b --out x --train vision
expect_code 74 "out" "$GRADUS" debug step --model model --batch batch.safetensors --out nowhere/out
[ ! -e x ] || fail "a failed step left a file"

# debug pictures: what the directory says is done, and what it says that is not computed is refused by its name.
make_source src
pictures() { "$GRADUS" debug pictures --model seen --image src/a.png --image src/b.png --out pixels.safetensors "$@"; }
cp -r model seen
expect_code 0 "" pictures
grep -aq '"pixel_values":{"dtype":"F32","shape":\[2,3,16,16\]' pixels.safetensors || fail "wrong shape of pixels"
cp pixels.safetensors fixed.safetensors
expect_code 0 "" pictures --tiles 6
grep -aq '"pixel_values":{"dtype":"F32","shape":\[1[0-9],3,16,16\]' pixels.safetensors || fail "no tiles"
cp pixels.safetensors tiled.safetensors
sed -i 's/"dynamic_image_size": false/"dynamic_image_size": true/; s/"max_dynamic_patch": 1/"max_dynamic_patch": 6/
s/"use_thumbnail": false/"use_thumbnail": true/' seen/config.json
expect_code 0 "" pictures
cmp pixels.safetensors tiled.safetensors || fail "config.json's tiles are not those of --tiles"
expect_code 0 "" pictures --tiles 1
cmp pixels.safetensors fixed.safetensors || fail "--tiles 1 is not the whole picture"
sed -i 's/"resample": 3/"resample": 1/' seen/preprocessor_config.json
expect_code 65 "preprocessor_config.json: resample: 1 is not computed" pictures
sed -i 's/"resample": 1/"resample": 3, "do_pad": true/' seen/preprocessor_config.json
expect_code 65 "do_pad: is not known" pictures
expect_code 66 "nowhere" "$GRADUS" debug pictures --model nowhere --image src/a.png --out x
expect_code 65 "no vision part" "$GRADUS" debug pictures --model text --image src/a.png --out x
expect_usage "[-]-image FILE is missing" "$GRADUS" debug pictures --model model --out x
expect_code 0 "  --image FILE +PNG, JPEG or WebP; repeat it for several$" "$GRADUS" debug pictures --help

echo "debug: all as expected"

# bf16, where this build and processor have it: near, but not the same; else refused with its reason.
if "$GRADUS" debug step --model model --batch batch.safetensors --out bf16.safetensors --precision bf16 2>stderr; then
    near "$(tensor out.safetensors loss)" "$(tensor bf16.safetensors loss)" 0.05 || fail "bf16 is far from fp32"
    cmp -s out.safetensors bf16.safetensors && fail "bf16 gave the bits of fp32"
    expect_code 0 "" "$GRADUS" debug step --model model --batch batch.safetensors --out two.safetensors --precision bf16 --threads 2
    cmp bf16.safetensors two.safetensors || fail "threads changed the bits in bf16"
else
    echo "skipped: steps in bf16: $(cat stderr)"
    expect_code 69 "bf16: this (build|processor)" "$GRADUS" debug step --model model --batch batch.safetensors \
        --out no.safetensors --precision bf16
fi
