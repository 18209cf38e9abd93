#!/usr/bin/env bash
# generate: an answer is printed; the picture and the weights matter, the threads do not.
. "$(dirname "$0")/lib.sh"

make_tokenizer tok
make_source src
expect_code 0 "" "$GRADUS" model init --config "$here/tiny.yaml" --seed 5 --out model --tokenizer tok
ask() { "$GRADUS" generate "$@" --prompt "What is it?" --max-new 12; }

expect_code 0 "" ask model --image src/a.png --threads 1
[ -s stdout ] && [ ! -s stderr ] || fail "no answer, or messages beside it"
mv stdout first
expect_code 0 "" ask model --image src/a.png --threads 2
cmp stdout first || fail "the same question got another answer"
expect_code 0 "" ask model
expect_code 0 "" ask model --image src/a.png --image src/b.png --system "Be brief."
expect_code 0 "" ask model --image src/a.png --template qwen2.5
expect_usage "expected one of chat, plain, qwen2.5" ask model --template qwen
expect_code 65 "no token <think>" ask model --template qwen3
expect_code 0 "" "$GRADUS" generate model --image src/a.png --prompt "Before <image> after" --max-new 3

expect_code 0 "" ask model --image src/a.png --json
expect_json stdout
for key in tiles ids tokens_per_second seconds new_tokens; do grep -q "\"$key\": " stdout || fail "--json does not say $key"; done
grep -q '"tiles": 1,' stdout || fail "one picture is not one tile"
grep -q '"end": "\(stop\|length\)"' stdout && grep -q '"prompt_tokens": [1-9]' stdout || fail "--json lacks a key"

# Tiles are further pictures: the answer changes, and a tiny picture's grid follows its aspect.
expect_code 0 "" ask model --image src/a.png --tiles 6
! cmp -s stdout first || fail "six tiles gave the answer of one"
expect_code 0 "" ask model --image src/a.png --image src/b.png --tiles 3 --alpha drop --exif ignore
expect_usage "tiles" ask model --image src/a.png --tiles 0
expect_usage "alpha" ask model --image src/a.png --alpha black

expect_code 66 "nowhere: no such folder" ask nowhere
# A run's folder is no model, but the message names those inside.
mkdir -p run/checkpoints
expect_code 66 "run is no model directory: it holds no config.json$" ask run
cp -r model run/checkpoints/update-00000009
cp -r model run/checkpoints/update-00000010
expect_code 66 "run is no model directory: .*; one of a model is inside: run/checkpoints/update-00000010" ask run
expect_code 66 "inside: run/checkpoints/update-00000010" ask run/checkpoints
cp -r model run/final
expect_code 66 "inside: run/final$" ask run

# bf16 where it can run; a plain word where it cannot.
if ask model --image src/a.png --precision bf16 >stdout 2>stderr; then
    [ -s stdout ] || fail "no answer in bf16"
    mv stdout bf16
    expect_code 0 "" ask model --image src/a.png --precision bf16 --threads 2
    cmp stdout bf16 || fail "two threads gave another answer in bf16"
else
    expect_code 69 "bf16: this (build|processor)" ask model --image src/a.png --precision bf16
fi

# Too long: said in tokens, before a picture is decoded (this one would not).
cp -r model short
sed -i 's/"max_position_embeddings": *[0-9]*/"max_position_embeddings": 20/' short/config.json
expect_code 65 "the prompt has [0-9]+ tokens, 4 of them of pictures; the model has 20 positions" ask short --image src/a.png
head -c 100 src/a.png >half.png
expect_code 65 "the prompt has [0-9]+ tokens, [0-9]+ of them of pictures; the model has 20" ask short --image half.png --tiles 6
# A tokenizer of another model.
cp -r model foreign
expect_code 0 "^ids 321$" "$GRADUS" tokenizer train --data tok.data --vocabulary 321 --out large
cp large/tokenizer.json foreign/
expect_code 65 "foreign: the tokenizer has 321 ids, the model's vocabulary only 320: it belongs to another model" ask foreign
expect_code 66 "nowhere.png" ask model --image nowhere.png
head -c 60 src/a.png >torn.png
expect_code 65 "torn.png" ask model --image torn.png
echo text >text.png
expect_code 65 "text.png" ask model --image text.png
make_model bare
expect_code 66 "bare holds no tokenizer.json" ask bare
expect_code 0 "" "$GRADUS" model export model --out encoder
expect_code 65 "encoder: the model has no language part" ask encoder
expect_code 0 "" "$GRADUS" model export model --part language --out text
expect_code 0 "" ask text
expect_code 65 "no vision part" ask text --image src/a.png
expect_usage "the prompt has 1 <image>, but 0 --image are given" "$GRADUS" generate model --prompt "<image> where?" --max-new 3
expect_usage "the prompt has 2 <image>, but 1 --image is given" "$GRADUS" generate model --prompt "<image><image>?" --image src/a.png

# Too few addresses are an error, never a wait without end: OpenBLAS asks for a buffer it cannot get for ever. The sanitizers'
# shadow memory is beyond any limit.
limited() (
    ulimit -v "$1"
    shift
    exec timeout 60 "$@"
)
if limited 4000000 "$GRADUS" --version >/dev/null 2>&1; then
    for most in 250000 600000 1000000; do
        for threads in 1 2; do
            status=0
            limited $most "$GRADUS" generate model --prompt hello --max-new 2 --threads $threads >stdout 2>stderr || status=$?
            [ $status = 0 ] || { [ $status = 1 ] && grep -Eq "ulimit -v|libgomp" stderr; } ||
                fail "exit $status with $threads threads and $most KiB of addresses: $(cat stderr)"
        done
    done
fi

echo "generate: all as expected"
