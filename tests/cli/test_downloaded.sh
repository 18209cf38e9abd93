#!/usr/bin/env bash
# Training with parts that come from elsewhere: an encoder's directory, a language model's directory, a connector made new.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

make_conversations src 45
expect_code 0 "samples 45" "$GRADUS" data import --from llava src/many.json --images src --out data
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
expect_code 0 "" "$GRADUS" model init --config "$here/tiny.yaml" --seed 7 --tokenizer tokenizer --out whole
expect_code 0 "" "$GRADUS" model export whole --layout transformers --out encoder
expect_code 0 "" "$GRADUS" model export whole --part language --out language
echo 'connector: {}' >connector.yaml
cat >recipe.yaml <<END
lanes: 2
model: {vision: encoder, connector: connector.yaml, language: language}
tokenizer: language
checkpoints: {every: 2}
stages:
  - {name: align, trains: [connector], data: [{path: data}], global_batch: 4, sequence_length: 160, steps: 4, learning_rate: 1.0e-3}
END
expect_code 0 "stage 1/1 align: .* 1440 parameters train" "$GRADUS" train recipe.yaml --dry-run
! grep -q "tokens more" stderr || fail "a tokenizer that has all tokens got some: $(cat stderr)"
expect_code 0 "^verdict good$" "$GRADUS" data check recipe.yaml
expect_code 0 "complete: 4 steps" "$GRADUS" train recipe.yaml --run run
parts >parts.run
expect_code 0 "complete: 4 steps" mpirun -n 2 "$GRADUS" train recipe.yaml --run two
expect_same parts.run "2 ranks"
cmp encoder/model.safetensors <("$GRADUS" model export run/final --layout transformers --out same && cat same/model.safetensors) ||
    fail "the encoder did not stay as it was"

# Any parts in one file are a description; what is no model is refused where a model is needed.
sed '/^language:/,$d' "$here/tiny.yaml" >seeing.yaml
expect_code 0 "complete" "$GRADUS" train recipe.yaml --run described --set model.vision=seeing.yaml --set model.connector=seeing.yaml
for command in "model info" "model init --seed 1 --out x --config" "bench matmul --model"; do
    # shellcheck disable=SC2086 # words
    expect_code 65 "connector.yaml: a model is vision, connector and language together" "$GRADUS" $command connector.yaml
done
[ ! -e x ] || fail "a model of a connector alone was made"
expect_code 78 "model.vision: connector.yaml describes no vision part" "$GRADUS" train recipe.yaml --dry-run --set model.vision=connector.yaml
echo 'connector: {select_layer: -3}' >deep.yaml # of an encoder with two blocks
expect_code 65 "recipe.yaml:2:[0-9]+: model: connector: select_layer -3, expected -2 to -1" "$GRADUS" train recipe.yaml --dry-run --set model.connector=deep.yaml
echo 'connector: {selct_layer: -1}' >typo.yaml
expect_code 65 "typo.yaml:1:.*selct_layer.*select_layer" "$GRADUS" train recipe.yaml --dry-run --set model.connector=typo.yaml

# A language model that never saw pictures has no tokens for them: they get rows of its embedding that no id has.
cp -r language blind
sed -i 's/"<img>"/"<one>"/; s/"<\/img>"/"<two>"/; s/"<IMG_CONTEXT>"/"<three>"/' blind/tokenizer.json blind/tokenizer_config.json
blind=(--set model.language=blind --set tokenizer=blind)
expect_code 0 "the tokenizer blind gets 3 tokens more" "$GRADUS" train recipe.yaml --dry-run "${blind[@]}"
expect_code 0 "^verdict good$" "$GRADUS" data check recipe.yaml "${blind[@]}"
expect_code 75 "stopped" "$GRADUS" train recipe.yaml --run seeing --stop-after 2 "${blind[@]}"
expect_code 0 "complete: 4 steps" "$GRADUS" train recipe.yaml --run seeing "${blind[@]}"
for token in 280:"<img>" 281:"</img>" 282:"<IMG_CONTEXT>"; do
    expect_code 0 "^${token%%:*}$" "$GRADUS" tokenizer encode --tokenizer seeing/final --special "${token#*:}"
done
for token in 280 281 282; do
    grep -q "\"$token\": *{" seeing/final/tokenizer_config.json || fail "tokenizer_config.json does not know token $token"
done
expect_code 0 "" "$GRADUS" generate seeing/final --image src/a.png --prompt "What is it?" --max-new 3
expect_code 0 "complete: 4 steps" "$GRADUS" train recipe.yaml --run on --set 'model={vision: seeing/final, connector: seeing/final, language: seeing/final}' --set tokenizer=seeing/final
# Text alone needs none; without room for them there is no training with pictures.
expect_code 0 "" "$GRADUS" train recipe.yaml --dry-run --set 'model={language: blind}' --set tokenizer=blind --set 'stages.align.trains=[language]' --set "stages.align.data=[{path: data}]" --set stages.align.bad_samples=drop --set stages.align.global_batch=40
! grep -q "tokens more" stderr || fail "a language model alone got tokens of pictures"
sed 's/vocab_size: 320/vocab_size: 281/' "$here/tiny.yaml" >narrow.yaml
expect_code 78 "tokenizer blind lacks 3 of the tokens <img>, </img> and <IMG_CONTEXT>, .* behind its 280 ids .* 281 rows has no room" \
    "$GRADUS" train recipe.yaml --dry-run --set model.language=narrow.yaml --set tokenizer=blind

echo "downloaded: all as expected"
