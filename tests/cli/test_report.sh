#!/usr/bin/env bash
# gradus report: one page of a run or several, well formed, whatever stands in names and texts; the same figures as JSON.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

evil='<script>alert(1)</script>'
make_conversations src 30
sed -i '$ s/]$//' src/many.json
printf ',{"id": "long", "conversations": [{"from": "human", "value": "Say"}, {"from": "gpt", "value": "%s"}]}]' "$(printf 'zebra number %d, ' $(seq 200))" >>src/many.json
expect_code 0 "samples 31" "$GRADUS" data import --from llava src/many.json --images src --out data
cat >evil.json <<END
[{"id": "$evil", "image": "a.png", "conversations": [{"from": "human", "value": "<image>\nIs it $evil?"}, {"from": "gpt", "value": "\"'& $evil"}]}]
END
expect_code 0 "samples 1" "$GRADUS" data import --from llava evil.json --images src --out "held $evil"
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
make_model model 7
cat >recipe.yaml <<END
lanes: 2
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 3}
stages:
  - {name: "first $evil", trains: [connector], data: [{path: data}], bad_samples: drop, validation: [{path: "held $evil"}], validate_every: 4,
     global_batch: 31, sequence_length: 160, steps: 4, learning_rate: 1.0e-2}
  - {name: second, trains: [vision, connector, language], data: [{path: data, subset: [0, 0.5], weight: 1}, {path: data, subset: [0.5, 1], weight: 3}],
     bad_samples: drop, validation: [{path: "held $evil"}], global_batch: 8, sequence_length: 160, steps: 130, learning_rate: 1.0e-3}
END

# well_formed FILE: by python3; what it is made of stays in ./elements.
well_formed() {
    if command -v python3 >/dev/null; then
        python3 "$here/../well_formed.py" "$1" >elements || fail "$1: $(cat elements)"
        ! grep -q 'script=[^1]' elements || fail "$1: $(cat elements)"
    else
        echo "notice: no python3, $1 was not parsed"
    fi
    ! grep -qi '<script>alert\|<img src=x' "$1" || fail "$1: a text was not escaped"
}
says() { grep -q -e "$2" "$1" || fail "$1 does not say '$2'"; }

# Training leaves a report, after a stop and at the end, and ends as it did before.
run="runs/one <img src=x onerror=alert(2)> \"'&"
mkdir runs
expect_code 75 "stopped in stage first .* after step 2 of 4" on 2 recipe.yaml --run "$run" --stop-after 2
well_formed "$run/report.html"
says "$run/report.html" "not complete"
expect_code 0 "complete: 134 steps" on 1 recipe.yaml --run "$run"
well_formed "$run/report.html"
cp "$run/report.html" page.html
says page.html "&lt;script&gt;alert(1)&lt;/script&gt;"
says page.html "134<small> of 134"
for section in overview stage-1 stage-2 time samples checkpoints starts recipe; do
    says page.html "<section id=\"$section\">"
done
for chart in "Loss over the whole run" "Training loss" "Held-out loss" "Learning rates" "Gradient norm" "Speed" "Share of the peak"; do
    says page.html "<b>$chart</b>"
done
says page.html "aria-label=\"Training loss: Training loss from [0-9.]* at 1 to [0-9.]* at 130, smallest"
says page.html "class=\"spread c0" # 130 steps are more than are shown one by one
says page.html "nats per target token"
says page.html "tokens, but sequence_length is 160"
says page.html "<code>checkpoints/update-00000134</code>"
says page.html "Open MPI"
! grep -q 'NaN\|inf\b\|-0<' page.html || fail "numbers that are none: $(grep -o '.\{20\}NaN\|.\{20\}inf\b\|.\{20\}-0<' page.html | head -n 3)"

# The same figures as JSON; the sample that is too long came once in each of 4 steps, and in the mixture as often as the ledger says.
expect_code 0 "" "$GRADUS" report "$run" --json
mv stdout figures.json
expect_json figures.json
if command -v python3 >/dev/null; then
    python3 - "$run" <<'END' || fail "other figures: $(cat figures.json)"
import json, pathlib, sys
run = pathlib.Path(sys.argv[1])
(got,) = json.load(open("figures.json"))["runs"]
lines = [json.loads(line) for line in open(run / "metrics.jsonl")]
ledger = [json.loads(line) for line in open(run / "ledger.jsonl")]
assert got["complete"] and got["steps"] == got["planned_steps"] == 134 and got["starts"] == 2 and got["run"] == str(run)
assert got["dropped"] == len([l for l in ledger if l["set"] == "data"]) == sum(l["count"] for l in got["left_out"]) >= 4
assert got["memory"] == max(l.get("memory", 0) for l in lines)
for stage in got["stages"]:
    steps = [l for l in lines if l.get("stage") == stage["name"] and "loss" in l]
    held = [l for l in lines if l.get("stage") == stage["name"] and "validation_loss" in l]
    assert stage["steps"] == len(steps) and stage["samples"] == sum(l["samples"] for l in steps)
    assert stage["tokens"] == sum(l["tokens"] for l in steps)
    near = lambda a, b: abs(a - b) <= 1e-9 * abs(b)
    last = [l["loss"] for l in steps][-20:]
    assert near(stage["loss"], sum(last) / len(last))
    assert stage["first_validation_loss"] == held[0]["validation_loss"] and stage["validation_loss"] == held[-1]["validation_loss"]
    for key in "data_wait", "communication", "saving":
        assert near(stage[key], sum(l[key] for l in steps))
    assert near(stage["computing"], sum(l["seconds"] - l["data_wait"] - l["communication"] for l in steps))
    assert near(stage["validating"], sum(l["seconds"] for l in held))
    assert near(stage["seconds"], sum(stage[k] for k in ("computing", "data_wait", "communication", "saving", "validating")))
first = got["stages"][0]
assert first["steps"] == 4 and first["dropped"] == 4 and first["samples"] == 124
used = [sum(l["sources"][i] for l in lines if "sources" in l) for i in (0, 1)]
assert sum(used) == 130 * 8
END
fi

# Predictions: what `gradus generate` answers, kept in the run folder, with pictures in the page. They stay in later reports.
expect_code 0 "answers of runs" "$GRADUS" report "$run" --predictions 3 --out predictions.html
[ "$(wc -l <"$run/predictions.jsonl")" = 1 ] || fail "one held-out sample, other predictions: $(cat "$run/predictions.jsonl")"
well_formed predictions.html
says predictions.html 'src="data:image/webp;base64,UklGR'
says predictions.html "Is it &lt;script&gt;alert(1)&lt;/script&gt;?"
says predictions.html "<dd>&quot;&#39;&amp; &lt;script&gt;"
says predictions.html "Answers of <code>final</code>"
expect_code 0 "" "$GRADUS" report "$run" --data data --predictions 7 --max-new 5 --out predictions.html
[ "$(wc -l <"$run/predictions.jsonl")" = 7 ] || fail "expected 7 predictions"
well_formed predictions.html
if command -v python3 >/dev/null; then
    python3 - "$GRADUS" "$run" <<'END' || fail "generate answers otherwise"
import base64, json, pathlib, subprocess, sys
gradus, run = sys.argv[1], pathlib.Path(sys.argv[2])
shown = 0
for line in open(run / "predictions.jsonl"):
    p = json.loads(line)
    sample = json.loads(subprocess.check_output([gradus, "data", "show", "data", str(p["index"]), "--json"]))
    asked, expected = (turn["value"] for turn in sample["text"]["conversations"])
    assert p["expected"] == expected and p["question"] == asked.replace("<image>", "").strip(), (p, asked, expected)
    command = [gradus, "generate", run / "final", "--prompt", asked, "--max-new", "5", "--json"]
    for i in range(len(p["pictures"])):
        name = f"asked-{p['index']}-{i}.webp"
        subprocess.check_call([gradus, "data", "show", "data", str(p["index"]), "--image", str(i), "--out", name], stdout=subprocess.DEVNULL)
        command += ["--image", name]
        assert base64.b64decode(p["pictures"][i]["webp"])[:4] == b"RIFF" and p["pictures"][i]["width"] > 0
    got = json.loads(subprocess.check_output(command))
    assert p["answer"] == got["text"] and p["end"] == got["end"] and p["same"] == (got["text"].strip() == expected.strip()), (p, got)
    shown += len(p["pictures"])
assert shown >= 4
END
fi
expect_code 0 "" "$GRADUS" report "$run" --out later.html
says later.html '<section id="predictions">'
cp -r "$run" stopped
rm -r stopped/final stopped/predictions.jsonl
printf x | dd of=stopped/checkpoints/update-00000134/config.json bs=1 seek=20 conv=notrunc 2>/dev/null
expect_code 0 "update-00000134 is passed over" "$GRADUS" report stopped --predictions 1
grep -q '"model": *"checkpoints/update-00000132"' stopped/predictions.jsonl || fail "other predictions: $(cat stopped/predictions.jsonl)"
rm -r stopped/checkpoints
expect_code 66 "neither a trained model nor a whole checkpoint" "$GRADUS" report stopped --predictions 1
expect_code 66 "nowhere" "$GRADUS" report "$run" --predictions 1 --data nowhere

# Several runs in one page, told apart by name or path, with what their recipes do not share.
mkdir other
expect_code 0 "complete: 10 steps" on 1 recipe.yaml --run other/two --set stages.second.steps=6 --set stages.second.learning_rate=2.0e-3
cp -r other/two runs/two
expect_code 0 "" "$GRADUS" report "$run" runs/two other/two --out both.html
well_formed both.html
says both.html "beside"
says both.html "<code>stages.second.learning_rate</code>"
says both.html "other/two"
says both.html "class=\"line c2"
! grep -q "<code>stages.second.global_batch</code>" both.html || fail "what is alike is called a difference"
# The old page is replaced, and stays where there is no new one.
cp both.html before.html
expect_code 66 "no such folder; expected the folder of a run" "$GRADUS" report runs/two nowhere --out both.html
expect_code 66 "holds no metrics.jsonl" "$GRADUS" report src --out both.html
cmp both.html before.html || fail "a report that failed changed the file"
expect_code 74 "" "$GRADUS" report runs/two --out missing/page.html
expect_usage "give --out FILE.html, --json or both" "$GRADUS" report runs/two
expect_usage "RUN" "$GRADUS" report --out page.html

# A folder in which much is missing or damaged, and a line under way.
mkdir bare
{
    echo '{"update":1,"stage":"a","step":1,"loss":2.5}'
    echo 'no json'
    echo '{"update":2,"stage":"a","step":2,"loss":2.25,"seconds":0}'
    echo '{"update":2,"stage":"b","step":0,"validation_loss":1.5}'
    printf '{"update":3,"stage":"b","st'
} >bare/metrics.jsonl
echo '{"starts": [1, {}]}' >bare/capsule.json
echo '[' >bare/recipe.json
echo '{"stage": 1}' >bare/ledger.jsonl
mkdir -p bare/checkpoints/update-7 bare/checkpoints/update-00000002.tmp
expect_code 0 '"steps": 2,' "$GRADUS" report bare --json --out bare.html
well_formed bare.html
says bare.html "1 of the lines of metrics.jsonl of bare could not be read"
: >bare/metrics.jsonl
expect_code 0 '"steps": 0,' "$GRADUS" report bare --json --out bare.html
well_formed bare.html

# A report that cannot be written is a warning, and the run is complete all the same.
rm -r runs/two/final runs/two/report.html
mkdir runs/two/report.html
expect_code 0 "warning: no report: runs/two/report.html" on 1 recipe.yaml --run runs/two --set stages.second.steps=6 --set stages.second.learning_rate=2.0e-3
grep -q "complete: 10 steps" stderr || fail "the run is not complete: $(cat stderr)"

echo "report: all as expected"
