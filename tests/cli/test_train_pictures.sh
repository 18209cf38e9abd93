#!/usr/bin/env bash
# gradus train: how a recipe shows pictures (one square or tiles), recomputation, precision; what is written says so.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

make_tokenizer tokenizer
make_model model 7
cat >recipe.yaml <<END
seed: 5
lanes: 2
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
stages:
  - name: all
    trains: [vision, connector, language]
    data: [{path: tokenizer.data}]
    validation: [{path: tokenizer.data}]
    global_batch: 3
    sequence_length: 400
    steps: 3
    learning_rate: 5.0e-3
END
train() { # RANKS ARGUMENTS...
    local ranks=$1
    shift
    mpirun -n "$ranks" "$GRADUS" train recipe.yaml "$@"
}
tiled=--set=stages.all.images='{tiles: 6}'

expect_code 0 "complete: 3 steps" train 1 --run fixed
parts >fixed.parts
[ "$(wc -l <fixed.parts)" = 3 ] || fail "expected three digests"
expect_code 0 "" train 2 --run same --set stages.all.images=fixed --set stages.all.recompute=true
parts >same.parts
cmp fixed.parts same.parts || fail "recomputing changed the bits"
grep -q '"dynamic_image_size": false' fixed/final/config.json || fail "fixed pictures are not said to be fixed"

grep -q '"chat_template": ".*add_generation_prompt' fixed/final/tokenizer_config.json || fail "no chat template"

# Tiles: the same bits on two ranks, other pixels than without, and written where generate finds them.
expect_code 0 "complete: 3 steps" train 1 --run tiled "$tiled"
parts >tiled.parts
expect_differ fixed.parts tiled.parts "tiles changed nothing"
expect_code 0 "" train 2 --run tiled2 "$tiled"
parts >tiled2.parts
cmp tiled.parts tiled2.parts || fail "tiles: other bits on two ranks"
for word in '"dynamic_image_size": true' '"max_dynamic_patch": 6' '"use_thumbnail": true'; do
    grep -q "$word" tiled/final/config.json && grep -q "$word" tiled/final/preprocessor_config.json ||
        fail "what was written does not say $word"
done
images() { grep -o '"images": *[0-9]*' "$1/metrics.jsonl" | head -n 1 | tr -dc 0-9; }
[ "$(images tiled)" -gt "$(images fixed)" ] || fail "tiles are not counted as images"
expect_code 0 "" "$GRADUS" debug pictures --model tiled/final --image tokenizer.data.source/a.png --out own
expect_code 0 "" "$GRADUS" debug pictures --model fixed/final --image tokenizer.data.source/a.png --out asked --tiles 6
cmp own asked || fail "the trained model cuts other tiles than it was trained with"
expect_code 65 "stage all, step 1: .*tiles of images, but max_images is 2" train 2 --dry-run "$tiled" --set stages.all.max_images=2
expect_code 0 "pictures in up to 6 tiles and a thumbnail of 4 tokens, .*blocks computed again" train 1 --dry-run "$tiled" --set stages.all.recompute=true
expect_code 65 "tiles of images, but max_images is 2" train 1 --run many "$tiled" --set stages.all.max_images=2

# Taken up when nothing is left to do but to write the model.
rm -r tiled/final
expect_code 0 "complete: 3 steps" train 2 --run tiled "$tiled"
grep -q '"max_dynamic_patch": 6' tiled/final/config.json || fail "a model written later forgot its tiles"
expect_code 78 "belongs to another recipe" train 1 --run tiled

# A vision part whose directory crops its pictures.
cp -r model cropped
sed -i '/dynamic_image_size\|dynamic_patch\|use_thumbnail\|pad2square/d' cropped/config.json
sed -i 's/"do_center_crop": false/"do_center_crop": true/' cropped/preprocessor_config.json
tr -d '\n' <cropped/preprocessor_config.json | sed 's/"size": *{[^}]*}/"size": {"shortest_edge": 16}/' >p
mv p cropped/preprocessor_config.json
expect_code 0 "" train 1 --run cropped-run --set model.vision=cropped
parts >cropped.parts
expect_differ fixed.parts cropped.parts "the crop changed nothing"
grep -q '"shortest_edge": 16' cropped-run/final/preprocessor_config.json || fail "the crop is not written"
expect_code 0 "" "$GRADUS" debug pictures --model cropped --image tokenizer.data.source/a.png --out one
expect_code 0 "" "$GRADUS" debug pictures --model cropped-run/final --image tokenizer.data.source/a.png --out two
cmp one two || fail "the written crop is another one"
expect_code 78 "stage all: images.tiles is 6, but .*crops pictures" train 1 --run bad --set model.vision=cropped "$tiled"
expect_code 0 "" train 1 --run stretched --set model.vision=cropped --set stages.all.images='{fit: stretch}'
parts >stretched.parts
cmp stretched.parts fixed.parts || fail "fit: stretch is not the whole picture"
expect_code 78 "expected stretch, crop or pad" train 1 --run bad --set stages.all.images='{fit: bend}'

# Dropped paths: the same ones on two ranks, others with another seed.
sed 's/model_type: aimv2/model_type: intern_vit_6b\n  norm_type: layer_norm\n  qkv_bias: true\n  qk_normalization: false\n  drop_path_rate: 0.4/' \
    "$here/tiny.yaml" >drop.yaml
drop=--set=model.vision=drop.yaml
expect_code 0 "" train 1 --run drop "$drop"
parts >drop.parts
expect_code 0 "" train 2 --run drop2 "$drop"
parts >drop2.parts
cmp drop.parts drop2.parts || fail "dropped paths: other bits on two ranks"
sed 's/drop_path_rate: 0.4/drop_path_rate: 0.0/' drop.yaml >stay.yaml
expect_code 0 "" train 1 --run stay --set model.vision=stay.yaml
parts >stay.parts
expect_differ drop.parts stay.parts "no path was dropped"

# bf16 where it can run; a plain word where it cannot.
if train 1 --run bf16 --set precision=bf16 >stdout 2>stderr; then
    parts >bf16.parts
    expect_differ fixed.parts bf16.parts "bf16 changed nothing"
    expect_code 0 "" train 2 --run bf16-2 --set precision=bf16
    parts >two.parts
    cmp bf16.parts two.parts || fail "bf16: other bits on two ranks"
else
    echo "skipped: training in bf16: $(cat stderr)"
    expect_code 69 "precision: .*bf16: this (build|processor)" train 1 --run no --set precision=bf16
fi
expect_code 78 "expected fp32 or bf16" train 1 --run bad --set precision=half
[ ! -e bad ] || fail "a run that could not begin left a folder"

echo "train, pictures: all as expected"
