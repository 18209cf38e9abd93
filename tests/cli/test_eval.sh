#!/usr/bin/env bash
# eval: what a model answers to the questions of data sets is counted, the same on any number of ranks; mistakes are named.
. "$(dirname "$0")/lib.sh"

expect_code 0 "" "$GRADUS" data synth --task coarse,count,text --count 60 --size 56 --seed 3 --out data
make_tokenizer tok
expect_code 0 "" "$GRADUS" model init --config "$here/tiny.yaml" --seed 5 --out model --tokenizer tok
ask() { "$GRADUS" eval model --max-new 3 --threads 1 "$@"; }

expect_code 0 "^suite data$" ask --suite data --out answers.jsonl
for task in coarse count text; do
    grep -Eq "^$task +[0-9]+ of +20 right +[0-9.]+ %  .95 %: [0-9.]+ to [0-9.]+.  guessing [0-9.]+ %$" stdout || fail "no score of $task: $(cat stdout)"
done
[ "$(wc -l <answers.jsonl)" = 60 ] || fail "not one line an answer"
mv stdout first
for ranks in 2 3; do
    expect_code 0 "" mpirun -n $ranks "$GRADUS" eval model --max-new 3 --threads 1 --suite data --out answers$ranks.jsonl
    cmp stdout first && cmp answers$ranks.jsonl answers.jsonl || fail "$ranks ranks count otherwise"
done
expect_code 0 "" ask --suite data --json
expect_json stdout
grep -q '"accuracy": ' stdout && grep -q '"chance": ' stdout || fail "--json lacks a key: $(cat stdout)"

# A part of the samples is a part of the answers, drawn over all of them.
expect_code 0 "" ask --suite data --samples 12 --out some.jsonl
[ "$(wc -l <some.jsonl)" = 12 ] && [ "$(sort -u some.jsonl | comm -12 - <(sort answers.jsonl) | wc -l)" = 12 ] || fail "12 samples are not 12 of the 60"
[ "$(grep -o '"index":[0-9]*' some.jsonl | sort -u -t: -k2n | tail -1 | cut -d: -f2)" -gt 20 ] || fail "the samples are the first ones"
expect_code 0 "" ask --suite data --suite data --samples 1
[ "$(grep -c "^suite data$" stdout)" = 1 ] || fail "one suite given twice is not one suite: $(cat stdout)"

# What the conversation says before a question is told: each assistant's turn is asked once.
make_source src
printf '[{"id": "two", "image": "a.png", "conversations": [{"from": "human", "value": "<image>\\nOne?"}, {"from": "gpt", "value": "1"},
  {"from": "human", "value": "Two?"}, {"from": "gpt", "value": "2"}]}]' >two.json
expect_code 0 "" "$GRADUS" data import --from llava two.json --images src --out two
expect_code 0 "^- +[01] of +2 right" ask --suite two --out two.jsonl
grep -q '"turn":1,"question":"<image>\\nOne?","expected":"1"' two.jsonl && grep -q '"turn":3,"question":"Two?","expected":"2"' two.jsonl || fail "other turns: $(cat two.jsonl)"

# Where the answers cannot be put is said before the first question; what fails after the last one does not take the scores away.
expect_code 74 "out: data: is a folder, expected a file or a new name" "$GRADUS" eval nowhere --suite data --out data
expect_code 74 "out: none: no such folder; make it first" mpirun -n 2 "$GRADUS" eval nowhere --suite data --out none/answers.jsonl
expect_code 74 "out: /proc/answers.tmp" "$GRADUS" eval nowhere --suite data --out /proc/answers
limited() {
    trap '' XFSZ
    ulimit -f 1
    local code=0
    "$GRADUS" eval model --max-new 3 --threads 1 --suite data --out full.jsonl 2>&1 || code=$?
    echo "code $code"
}
limited | cat >all
grep -q "full.jsonl.*File too large" all && grep -q "^code 74$" all && [ "$(grep -c "right" all)" = 3 ] || fail "a full disk took the scores: $(cat all)"

expect_usage "suite" ask
expect_usage "answers.jsonl is there already" ask --suite data --out answers.jsonl
expect_usage "expected one of chat" ask --suite data --template none
expect_code 66 "nowhere" ask --suite nowhere
expect_code 66 "nowhere: no such folder" "$GRADUS" eval nowhere --suite data
cp -r model short
sed -i 's/"max_position_embeddings": *[0-9]*/"max_position_embeddings": 12/' short/config.json
expect_code 65 "data: sample [0-9]+: turn 1: the prompt has [0-9]+ tokens; the model has 12 positions" "$GRADUS" eval short --suite data
cp -r data damaged
printf 'x' | dd of=damaged/shard-00000.h5 bs=1 seek=3000 conv=notrunc 2>/dev/null
expect_code 65 "damaged" mpirun -n 2 "$GRADUS" eval model --suite damaged
