#!/usr/bin/env bash
# heavy/order.sh on 220 samples of several pictures and none.
. "$(dirname "$0")/lib.sh"

make_tokenizer tokenizer
images=$(cd "$here/../fixtures/images" && pwd)
pictures=(rgb.png grey8.png rgb420.jpg lossy.webp)
for ((i = 0; i < 220; i++)); do
    case $((i % 5)) in
        0) image="" mark="" ;;
        4) image="\"image\": [\"${pictures[i % 4]}\", \"${pictures[(i + 1) % 4]}\"], " mark="<image><image>" ;;
        *) image="\"image\": \"${pictures[i % 4]}\", " mark="<image>" ;;
    esac
    printf '{"id": "r%d", %s"conversations": [{"from": "human", "value": "%swhat is it?"}, {"from": "gpt", "value": "%*s banner %d"}]}\n' \
        $i "$image" "$mark" $((i % 90)) "the" $i
done >many.jsonl
expect_code 0 "^samples 220$" "$GRADUS" data import --from llava many.jsonl --images "$images" --encode lossless --shard-bytes 30000 --out set
expect_code 0 "220 samples, each used exactly once" bash "$here/../heavy/order.sh" "$(dirname "$GRADUS")/tests/mpi_order" "$GRADUS" set tokenizer order 12
cat stdout

echo "order: all as expected"
