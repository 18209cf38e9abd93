#!/usr/bin/env bash
# bench: that it measures and prints; never how fast.
. "$(dirname "$0")/lib.sh"

expect_code 0 "% of the product" "$GRADUS" bench step --model "$here/tiny.yaml" --images 1 --tokens 8 --rounds 2 --threads 2
grep -Eq "^batch +1 image, 12 tokens in 1 sequence, 7 targets$" stdout || fail "the batch is another"
expect_code 0 '"share": 0\.[0-9]' "$GRADUS" bench step --model "$here/tiny.yaml" --images 2 --tokens 9 --rounds 1 \
    --threads 1 --clock cpu --train connector --json
expect_json stdout
grep -q '"clock": "cpu"' stdout || fail "no clock"
expect_code 0 '"share"' "$GRADUS" bench step --model "$here/tiny.yaml" --images 0 --tokens 8 --rounds 1 --json

expect_code 0 "^language +12 +24 +16 " "$GRADUS" bench matmul --model "$here/tiny.yaml" --images 1 --tokens 8 --threads 2
expect_code 0 '"threads": 2' "$GRADUS" bench matmul --model "$here/tiny.yaml" --images 0 --tokens 8 --threads 2 --json
expect_json stdout

for ranks in 2 3; do
    expect_code 0 '"hidden": -?[0-9.]+' mpirun -n $ranks "$GRADUS" bench step --model "$here/tiny.yaml" --images 1 --tokens 8 --rounds 2 --steps 2 --threads 1 --json
    expect_json stdout
done
expect_code 0 "^here +serial: [0-9.]+ of the time with the MPI library's sums" mpirun -n 2 "$GRADUS" bench step --model "$here/tiny.yaml" \
    --images 1 --tokens 8 --rounds 1 --threads 1 --train connector

sed -n '/^language:/,$p' "$here/tiny.yaml" >decoder.yaml
expect_usage "0 pictures and 0 text tokens leave nothing to multiply" "$GRADUS" bench matmul --model "$here/tiny.yaml" --images 0 --tokens 0
expect_usage "no vision part and cannot take 1 image:" "$GRADUS" bench step --model decoder.yaml --tokens 8 --rounds 1
expect_code 0 "tokens/s" "$GRADUS" bench step --model decoder.yaml --tokens 8 --rounds 1 --images 0
expect_usage "does not train" "$GRADUS" bench step --model "$here/tiny.yaml" --images 0 --train vision
expect_usage "the longest of 2 sequences has 604 tokens, 4 of them of a picture, and the model 512 positions" \
    "$GRADUS" bench step --model "$here/tiny.yaml" --images 2 --tokens 1200
expect_usage "no target" "$GRADUS" bench step --model "$here/tiny.yaml" --images 2 --tokens 1
expect_usage "bench step: --train: expected vision" "$GRADUS" bench step --model "$here/tiny.yaml" --train eyes
expect_usage "clock" "$GRADUS" bench step --model "$here/tiny.yaml" --clock sun
expect_code 66 "" "$GRADUS" bench matmul --model nowhere.yaml
expect_usage "second word" "$GRADUS" bench

make_tokenizer tokenizer
expect_code 0 "^loader +[0-9.]+ images/s +[0-9.]+ %$" "$GRADUS" bench data --data tokenizer.data --model "$here/tiny.yaml" --tokenizer tokenizer \
    --samples 8 --global-batch 4 --lanes 2 --sequence-length 256 --rounds 1 --threads 2
grep -Eq "^memory +[1-9][0-9.]* (KiB|MiB)$" stdout || fail "no memory in units of its size: $(cat stdout)"
expect_code 0 '"share": ' "$GRADUS" bench data --data tokenizer.data --model "$here/tiny.yaml" --tokenizer tokenizer --samples 6 \
    --global-batch 3 --lanes 1 --window 2 --sequence-length 256 --rounds 1 --clock cpu --threads 1 --json
expect_json stdout
expect_code 0 "^rank +the first of 2: 2 of 5 lanes$" "$GRADUS" bench data --data tokenizer.data --model "$here/tiny.yaml" --tokenizer tokenizer \
    --samples 10 --global-batch 10 --lanes 5 --ranks 2 --sequence-length 256 --rounds 1 --threads 1
expect_usage "3 ranks and 2 lanes: each rank needs a lane" "$GRADUS" bench data --data tokenizer.data --model "$here/tiny.yaml" \
    --tokenizer tokenizer --samples 4 --global-batch 4 --lanes 2 --ranks 3
expect_usage "7 samples are no whole number of steps of 4" "$GRADUS" bench data --data tokenizer.data --model "$here/tiny.yaml" \
    --tokenizer tokenizer --samples 7 --global-batch 4
expect_code 65 "tokens, but sequence_length is 9" "$GRADUS" bench data --data tokenizer.data --model "$here/tiny.yaml" \
    --tokenizer tokenizer --samples 4 --global-batch 4 --sequence-length 9 --threads 1
expect_code 66 "" "$GRADUS" bench data --data nowhere --model "$here/tiny.yaml" --tokenizer tokenizer

for ranks in 2 3; do
    expect_code 0 '"reduce_scatter_ratio": [0-9.]+' mpirun -n $ranks "$GRADUS" bench reduce --mib 1 --rounds 2 --piece 16 --depth 3 --json
    expect_json stdout
    grep -q "\"ranks\": $ranks" stdout || fail "bench reduce: $(cat stdout)"
done
expect_code 0 "^and gather .* ms +MPI_Allreduce .* times" mpirun -n 2 "$GRADUS" bench reduce --mib 1 --rounds 1
expect_usage "one rank has nothing to add up: start several" "$GRADUS" bench reduce --mib 1 --rounds 1
expect_usage "one rank has nothing" mpirun -n 1 "$GRADUS" bench reduce --mib 1 --rounds 1 --json
expect_usage "depth" "$GRADUS" bench reduce --depth 99

expect_code 0 "^a checkpoint every 2 steps: the run takes [0-9.]+ times as long, all costs together$" "$GRADUS" bench checkpoint --model "$here/tiny.yaml" --out saved --tokens 8 --steps 2 --rounds 1 --threads 1
[ -z "$(ls saved)" ] || fail "bench checkpoint left something: $(ls saved)"
expect_code 0 '"stall_ratio": [0-9.]+' mpirun -n 2 "$GRADUS" bench checkpoint --model "$here/tiny.yaml" --out saved --tokens 8 --steps 2 --rounds 2 \
    --threads 1 --train language --json
expect_json stdout
touch saved/mine
expect_usage "saved is not empty" "$GRADUS" bench checkpoint --model "$here/tiny.yaml" --out saved
