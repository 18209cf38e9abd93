#!/usr/bin/env bash
# model init, info, export.
. "$(dirname "$0")/lib.sh"

make_model one
make_model again
make_model other 2
for part in vision connector language; do
    cmp "one/model-$part.safetensors" "again/model-$part.safetensors" || fail "the same seed gave other weights"
    ! cmp -s "one/model-$part.safetensors" "other/model-$part.safetensors" || fail "another seed gave the same weights"
done

# 2 (4 16^2 + 3 16 24 + 2 16) + 48 16 + 16 + 16 + 16 16 + 16
expect_code 0 "^vision +aimv2 +5488 parameters" "$GRADUS" model info one
# 2 64 + (64 + 1) 16 + (16 + 1) 16
grep -Eq "^connector +mlp +1440 parameters" stdout || fail "wrong count of the connector"
# 320 16 + 2 (16 (16 + 16) + 2 16 8 + 32 + 3 16 24 + 2 16) + 16
grep -Eq "^language +qwen2 +9104 parameters" stdout || fail "wrong count of the language model"
grep -Eq "^total +16032 parameters" stdout || fail "wrong total"
grep -Eq "^weights +3 files, .* 51 F32$" stdout || fail "wrong files"
expect_code 0 "^mlp1.1.weight \[16, 64\] 1024$" "$GRADUS" model info one --tensors
expect_code 0 '"parameters": 16032' "$GRADUS" model info one --json --tensors
expect_json stdout
[ ! -s stderr ] || fail "a result came with messages"

# Published sizes, from a description alone.
cat >large.yaml <<END
vision: {model_type: aimv2, image_size: 448, patch_size: 14, hidden_size: 1024, num_attention_heads: 8, intermediate_size: 2816, num_hidden_layers: 24}
END
expect_code 0 " 309984256 parameters" "$GRADUS" model info large.yaml
sed 's/448/224/' large.yaml >small.yaml
expect_code 0 " 309197824 parameters" "$GRADUS" model info small.yaml
cat >huge.yaml <<END
vision: {model_type: aimv2, image_size: 448, patch_size: 14, hidden_size: 1536, num_attention_heads: 12, intermediate_size: 4096, num_hidden_layers: 24}
connector: {}
language: {model_type: qwen2, vocab_size: 151936, hidden_size: 1536, num_hidden_layers: 28, num_attention_heads: 12, num_key_value_heads: 2, intermediate_size: 8960, rope_theta: 1000000, tie_word_embeddings: true}
END
expect_code 0 "^vision .* 682031616 parameters" "$GRADUS" model info huge.yaml
grep -Eq "^connector .* 11811840 parameters" stdout || fail "wrong count of the connector"
grep -Eq "^language .* 1543714304 parameters" stdout || fail "wrong count of Qwen2.5-1.5B"
mkdir qwen
cat >qwen/config.json <<END
{"model_type": "qwen2", "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
 "intermediate_size": 4864, "vocab_size": 151936, "rope_theta": 1000000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16"}
END
expect_code 0 "^language .* 494032768 parameters" "$GRADUS" model info qwen

# What is said of pictures must leave their pixels finite.
sed 's/^vision:/&\n  image_mean: [.nan, 0, 0]/' "$here/tiny.yaml" >nan.yaml
expect_code 65 "vision: image_mean\[0\] is -?nan, expected a number" "$GRADUS" model init --config nan.yaml --seed 1 --out x

# An interrupted download leaves links that lead nowhere: no reason to take defaults.
cp -r one link
ln -sf nowhere link/preprocessor_config.json
expect_code 66 "link/preprocessor_config.json: cannot open" "$GRADUS" model info link

# Two sets of weights: transformers would open the other.
cp -r one both
echo >both/model.safetensors
expect_code 65 "both/model.safetensors: stands beside both/model.safetensors.index.json.*two sets" \
    "$GRADUS" model export both --out x

# What is not finished is no model (test_interrupted.sh has the kills).
make_tokenizer words
cp -r words stuck
mkfifo stuck/vocab.json
expect_code 74 "stuck/vocab.json: is a pipe" "$GRADUS" model init --config "$here/tiny.yaml" --seed 1 --tokenizer stuck --out half0
[ ! -e half0 ] || fail "a failed command left its folder"
cp -r one stuck1
cp stuck/tok* stuck1/
mkfifo stuck1/vocab.json
expect_code 74 "stuck1/vocab.json: is a pipe" "$GRADUS" model export stuck1 --part language --out half1
[ ! -e half1 ] || fail "a failed command left its folder"

# Parts as models of their own.
expect_code 0 "" "$GRADUS" model export one --out sailvit
expect_code 0 "^vision .* 5488 parameters" "$GRADUS" model info sailvit
grep -q trunk.blocks.1.attn.qkv.weight sailvit/model.safetensors || fail "not the published names"
expect_code 0 "" "$GRADUS" model export one --out aimv2 --layout transformers
expect_code 0 "^vision .* 5488 parameters" "$GRADUS" model info aimv2
grep -q encoder.layers.1.attention.q_proj.weight aimv2/model.safetensors || fail "not transformers' names"
expect_code 0 "" "$GRADUS" model export one --out qwen2 --part language
expect_code 0 "^language .* 9104 parameters" "$GRADUS" model info qwen2
# There and back: the transformers layout, read again, is the same encoder.
expect_code 0 "" "$GRADUS" model export aimv2 --out back
cmp back/model.safetensors sailvit/model.safetensors || fail "the transformers layout changed the weights"
expect_code 65 "no language part" "$GRADUS" model export sailvit --part language --out x
# The type of the weights stays unless another is asked for; bf16 read and written again is the same file.
grep -q '"torch_dtype": "float32"' aimv2/config.json || fail "fp32 did not stay"
expect_code 0 "" "$GRADUS" model export one --out half --layout transformers --dtype bf16
expect_code 0 "^weights .* BF16$" "$GRADUS" model info half
expect_code 0 "" "$GRADUS" model export half --out half2 --layout transformers
cmp half/model.safetensors half2/model.safetensors || fail "bf16 did not stay"
cmp half/config.json half2/config.json || fail "config.json changed"
expect_code 0 "" "$GRADUS" model export half --out full --dtype fp32
expect_code 0 "^weights .* F32$" "$GRADUS" model info full
expect_code 0 "" "$GRADUS" model export one --out fp16 --layout transformers --dtype fp16
expect_code 0 "^weights .* F16$" "$GRADUS" model info fp16
grep -q '"torch_dtype": "float16"' fp16/config.json || fail "config.json does not say float16"
expect_code 0 "" "$GRADUS" model export fp16 --out fp16again --layout transformers
cmp fp16/model.safetensors fp16again/model.safetensors || fail "fp16 did not stay"
cp -r sailvit loud # 70000 as the file's last number
printf '\0\270\210\107' | dd of=loud/model.safetensors bs=1 conv=notrunc \
    seek=$(($(stat -c %s loud/model.safetensors) - 4)) 2>/dev/null
expect_code 65 "tensor vision_model\.[a-z0-9_.]+, element [0-9]+ is 70000, which F16 cannot hold \(largest: 65504\)" \
    "$GRADUS" model export loud --out x --dtype fp16
[ ! -e x ] || fail "a failed export left its folder"
expect_code 0 "" "$GRADUS" model export loud --out loud16 --dtype bf16
expect_usage "source" "$GRADUS" model export one --out x --dtype fp8
grep -q '"eos_token_id": null' qwen2/generation_config.json || fail "an end token out of nowhere"

# Mistakes.
expect_code 66 "nowhere" "$GRADUS" model init --config nowhere.yaml --seed 1 --out x
expect_code 66 "nowhere" "$GRADUS" model info nowhere
expect_code 66 "nowhere" "$GRADUS" model export nowhere --out x
expect_usage "one is not empty" "$GRADUS" model init --config "$here/tiny.yaml" --seed 1 --out one
expect_code 66 "tokenizer.json" "$GRADUS" model init --config "$here/tiny.yaml" --seed 1 --out x --tokenizer one
make_tokenizer tok
expect_code 0 "" "$GRADUS" model init --config "$here/tiny.yaml" --seed 1 --out speaking --tokenizer tok
expect_code 0 "" "$GRADUS" model export speaking --out spoken --part language
end=$("$GRADUS" tokenizer encode --tokenizer tok --special "<|im_end|>")
for name in config.json generation_config.json; do
    grep -q "\"eos_token_id\": $end" spoken/$name || fail "$name does not say what ends an answer"
done
# The chat template of a new tokenizer is there, in new models and their exports; training puts its own in that place (test_train.sh).
for dir in tok speaking spoken; do
    grep -q '"chat_template": ".*<|im_start|>.*add_generation_prompt' $dir/tokenizer_config.json || fail "$dir has no chat template"
done
cp -r speaking lost
sed -i "s/\"llm_config\": {/\"llm_config\": {\"eos_token_id\": 320,/" lost/config.json
expect_code 65 "lost/config.json: llm_config.eos_token_id: .* 0 to 319.* 320" "$GRADUS" model export lost --part language --out x
sed -i 's/"eos_token_id": 320/"eos_token_id": [1, "two"]/' lost/config.json
expect_code 65 "eos_token_id\[1\]: expected .*string" "$GRADUS" model export lost --part language --out x
sed -i 's/"eos_token_id": \[1, "two"\]/"eos_token_id": [1, 319]/' lost/config.json
expect_code 0 "" "$GRADUS" model export lost --part language --out found
sed 's/vocab_size: 320/vocab_size: 100/' "$here/tiny.yaml" >narrow.yaml
expect_code 65 "tok: the tokenizer has [0-9]+ ids, the model's vocabulary only 100: .* language.vocab_size must be at least" \
    "$GRADUS" model init --config narrow.yaml --seed 1 --out x --tokenizer tok
sed 's/hidden_size: 16/hiden_size: 16/' "$here/tiny.yaml" >typo.yaml
expect_code 65 'typo.yaml:6:.*hiden_size.*hidden_size' "$GRADUS" model init --config typo.yaml --seed 1 --out x
sed 's/num_attention_heads: 2/num_attention_heads: 3/' "$here/tiny.yaml" >heads.yaml
expect_code 65 "heads" "$GRADUS" model info heads.yaml
cp -r qwen text
sed -i 's/: 896/: "896"/' text/config.json
expect_code 65 "text/config.json.*hidden_size.*integer.*string" "$GRADUS" model info text
echo '{"model_type": ' >text/config.json
expect_code 65 "text/config.json" "$GRADUS" model info text
cp -r one wide
sed -i 's/"intermediate_size": 24/"intermediate_size": 32/' wide/config.json
expect_code 65 'mlp.fc1.weight: shape \[24, 16\], expected \[32, 16\]' "$GRADUS" model export wide --out x
cp -r one torn
truncate -s -8 torn/model-vision.safetensors
expect_code 65 "torn/model-vision.safetensors" "$GRADUS" model export torn --out x
echo text >file
expect_code 74 "file" "$GRADUS" model init --config "$here/tiny.yaml" --seed 1 --out file/model
[ ! -e x ] || fail "a failed command left its folder"

echo "model: all as expected"
