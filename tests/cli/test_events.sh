#!/usr/bin/env bash
# TensorBoard's file of a run: the values of metrics.jsonl as fp32, each step once, however often the run was stopped or killed.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

make_conversations src 30
expect_code 0 "samples 30" "$GRADUS" data import --from llava src/many.json --images src --out data
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
make_model model 7
cat >recipe.yaml <<END
lanes: 2
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 3}
stages:
  - {name: first, trains: [connector], data: [{path: data}], validation: [{path: data, subset: [0, 0.3]}], validate_every: 4, global_batch: 6,
     sequence_length: 160, steps: 8, learning_rate: 1.0e-2}
  - {name: "second, <b>", trains: [vision, connector, language], data: [{path: data, subset: [0, 0.5], weight: 1}, {path: data.tiny, weight: 3}],
     validation: [{path: data, subset: [0, 0.3]}], global_batch: 8, sequence_length: 160, steps: 9, learning_rate: 1.0e-3}
END
expect_code 0 "samples" "$GRADUS" data import --from llava src/source.json --images src --out data.tiny

# read_run RUN: its one file that holds anything, into ./events.
read_run() {
    set -- $(find "$1" -name 'events.out.tfevents.*' -size +0)
    [ $# = 1 ] || fail "expected one file, got $*"
    "$(dirname "$GRADUS")/tests/read_events" "$1" >events || fail "$1 cannot be read"
    [ -z "$(awk '{ $NF = ""; print }' events | sort | uniq -d)" ] || fail "$1: a value stands there twice: $(awk '{ $NF = ""; print }' events | sort | uniq -d)"
}
# expect_as_metrics RUN: every value of ./events follows from metrics.jsonl, and none is missing.
expect_as_metrics() {
    if ! command -v python3 >/dev/null; then
        echo "notice: no python3, values were not compared with $1/metrics.jsonl"
        return
    fi
    python3 - "$1/metrics.jsonl" <<'END' >expected
import json, struct, sys

stages = []
for line in open(sys.argv[1]):
    m = json.loads(line)
    if "stage" not in m:
        continue
    if m["stage"] not in stages:
        stages.append(m["stage"])
    if "validation_loss" in m:
        values = {"loss/validation/" + m["stage"]: m["validation_loss"]}
    else:
        values = {"stage": len(stages), "loss/training": m["loss"], "gradient_norm": m["grad_norm"],
                  **{"learning_rate/" + k: v for k, v in m["learning_rate"].items()},
                  "speed/samples_per_second": m["samples"] / m["seconds"], "speed/tokens_per_second": m["tokens"] / m["seconds"],
                  "speed/share_of_peak": m["share_of_peak"], "seconds/step": m["seconds"], "seconds/data_wait": m["data_wait"],
                  "seconds/communication": m["communication"], "seconds/saving": m["saving"], "memory_gib": m["memory"] / 2**30}
    for tag, value in values.items():
        print(m["update"], tag, struct.pack(">f", value).hex())
END
    cmp expected events || fail "$1: other values than in metrics.jsonl: $(diff expected events | head -n 5)"
}
steps() {
    grep -c " loss/training " events
}

expect_code 0 "complete: 17 steps" on 1 recipe.yaml --run calm
read_run calm
expect_as_metrics calm
[ "$(steps)" = 17 ] || fail "$(steps) steps, expected 17"
[ "$(grep -c " loss/validation/second, <b> " events)" = 2 ] || fail "the second stage's validations: $(grep validation events)"
values() { sed -n '/ stage \| loss\/\|norm\|rate/p' events; }
values >values.calm

# Stopped inside a stage; at a border, behind which the next stage measured; killed; its file removed.
expect_code 75 "after step 4 of 8" on 2 recipe.yaml --run run --stop-after 4
expect_code 75 "stopped before stage second" on 1 recipe.yaml --run run --stop-after 4
expect_code 75 "after step 2 of 9" on 1 recipe.yaml --run run --stop-after 2
rm -r run/checkpoints/update-00000010 run/checkpoints/update-00000009
rm run/events.out.tfevents.*
expect_code 137 "" env GR_FAILPOINT=append.written:12 bash -c '"$GRADUS" train recipe.yaml --run run'
expect_code 137 "" env GR_FAILPOINT=file.renamed:2 bash -c '"$GRADUS" train recipe.yaml --run run'
expect_code 0 "complete: 17 steps" on 2 recipe.yaml --run run
read_run run
expect_as_metrics run
values | cmp values.calm - || fail "after a kill TensorBoard shows other values"

# A mixture: what came from each data set.
grep '"stage": *"second' run/metrics.jsonl | grep '"loss"' | sed 's/.*"sources": *\[\([0-9]*\), *\([0-9]*\)\].*/\1 \2/' | awk '
    { first += $1; second += $2; if ($1 + $2 != 8) bad = 1 }
    END { print first, second; exit bad || first != 18 || second != 54 }' >sources || fail "samples of each source: $(cat sources)"

echo "events: all as expected"
