# A small run that would never end, and ways to look at it; sourced after lib.sh by tests of faults.

make_run() {
    make_conversations src 60
    expect_code 0 "samples 60" "$GRADUS" data import --from llava src/many.json --images src --out data
    expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
    make_model model 7
    cat >recipe.yaml <<END
seed: 5
lanes: 8
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 4, keep: 3}
stages:
  - {name: all, trains: [vision, connector, language], data: [{path: data}], global_batch: 12, sequence_length: 160,
     steps: 100000, learning_rate: 1.0e-3}
END
}

steps_done() {
    local n
    n=$(grep -c '"loss"' "$1/metrics.jsonl" 2>/dev/null) || true
    echo "${n:-0}"
}

# wait_for_steps RUN COUNT PID: until the run has done so many steps.
wait_for_steps() {
    local i
    for ((i = 0; i < 1200; i++)); do
        [ "$(steps_done "$1")" -lt "$2" ] || return 0
        kill -0 "$3" 2>/dev/null || fail "$1 ended before step $2: $(tail -n 5 log)"
        sleep 0.05
    done
    fail "$1 did not reach step $2"
}

# Seconds since the epoch, to the millisecond.
now() {
    date +%s.%3N
}

since() {
    awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f\n", b - a }'
}
