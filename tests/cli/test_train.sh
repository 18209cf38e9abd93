#!/usr/bin/env bash
# gradus train: the same bits on any number of ranks and after any stop; frozen parts; damaged checkpoints; mistakes.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

make_conversations src 45
expect_code 0 "samples 45" "$GRADUS" data import --from llava src/many.json --images src --out data
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
make_model model 7

stage() { # NAME PARTS RATE
    cat <<END
  - name: $1
    trains: [$2]
    data: [{path: data, subset: [0.0, 0.9]}]
    validation: [{path: data, subset: [0.9, 1.0]}]
    validate_every: 4
    global_batch: 9
    sequence_length: 160
    max_images: 3
    steps: 10
    learning_rate: $3
    warmup_steps: 2
    weight_decay: 0.1
END
}
{
    cat <<END
seed: 5
lanes: 4
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 3, keep: 100}
stages:
END
    stage warm-up "connector" 1.0e-2
    stage alignment "vision, connector" 5.0e-3
    stage world "vision, connector, language" "{vision: 1.0e-3, connector: 2.0e-3, language: 3.0e-3}"
} >recipe.yaml

expect_code 0 "stage 3/3 world: 9 of [0-9]+ samples a step, 10 steps" on 1 recipe.yaml --dry-run
[ ! -s stdout ] || fail "--dry-run printed a result"
grep -Eq "^fp32, 1 rank of [0-9]+ threads?, OpenBLAS kernels [A-Za-z0-9]+, vectors [a-z0-9]+, 4 lanes$" stderr || fail "the log does not begin with what computes: $(cat stderr)"
grep -Eq "pictures in up to 1 tile of 4 tokens, rows of up to 160 tokens, fp32, activations kept$" stderr || fail "no word of pictures and memory in the plan: $(cat stderr)"
# What would fail at the first step fails here, on any number of ranks.
expect_code 65 "stage world, step 1: .*20" on 1 recipe.yaml --dry-run --set stages.world.sequence_length=20
expect_code 65 "step 1: .*20" on 2 recipe.yaml --dry-run --set stages.world.sequence_length=20

# One rank, then others; two threads.
expect_code 0 "complete: 30 steps, 270 samples" on 1 recipe.yaml --run one
grep -Eq "^stage 1/3 warm-up  step 10/10  loss [0-9.]+  0:00:00 left  [0-9.]+ samples/s  held-out [0-9.]+ .step 8.  [0-9]+ tokens/s  [0-9]+.[0-9]% of peak  data wait [0-9]+%  memory [0-9]+ MiB$" stderr ||
    fail "the progress lines are others: $(cat stderr)"
for said in "before step 1" "after step 4" "after step 10"; do # steps count from 1
    grep -q "^stage warm-up, $said of 10: held-out loss" stderr || fail "no held-out loss $said: $(cat stderr)"
done
parts >parts.one
[ "$(wc -l <parts.one)" = 3 ] || fail "expected three digests"
for ranks in 2 3 4; do
    expect_code 0 "complete: 30 steps" on $ranks recipe.yaml --run ranks$ranks
    cp stderr stderr.ranks
    expect_same parts.one "$ranks ranks"
done
expect_code 0 "complete" on 1 recipe.yaml --run threads --threads 2
expect_same parts.one "2 threads"
head -n 1 one/metrics.jsonl | grep -Eq '^\{"update": ?0, ?"step": ?0, ?"precision": ?"fp32", ?"threads": ?[0-9]+, ?"kernel": ?"[A-Za-z0-9]+"\}$' ||
    fail "metrics.jsonl does not begin with precision, threads and kernel: $(head -n 1 one/metrics.jsonl)"
untimed one >measures.one
untimed ranks3 >measures.three
cmp measures.one measures.three || fail "what is measured depends on the number of ranks"
[ "$(grep -c validation_loss measures.one)" -ge 11 ] || fail "too few validations"
grep '"loss"' one/metrics.jsonl | head -n 1 | grep -Eq '"seconds": *[0-9.e-]+, *"data_wait": *[0-9.e-]+, *"communication": *[0-9.e-]+, *"saving": *0.0, *"share_of_peak": *[0-9.e-]+, *"sent": *[0-9]+, *"memory": *[0-9]+, *"time": *[0-9]+' ||
    fail "a step's times are others: $(grep '"loss"' one/metrics.jsonl | head -n 1)"
grep '"step": *6,' one/metrics.jsonl | grep -v '"saving": *0.0,' | grep -q saving || fail "saves after step 5 held nothing"
expect_code 0 "communication [0-9]+%  memory" cat stderr.ranks

# What a stage does not train keeps its bits; what it trains does not.
weights() { echo "$1/model-$2.safetensors"; }
first=one/checkpoints/update-00000010 second=one/checkpoints/update-00000020 third=one/final
cmp "$(weights model vision)" "$(weights $first vision)" || fail "stage I changed the vision part"
cmp "$(weights model language)" "$(weights $first language)" || fail "stage I changed the language part"
cmp "$(weights model language)" "$(weights $second language)" || fail "stage II changed the language part"
expect_differ "$(weights model connector)" "$(weights $first connector)" "stage I did not train the connector"
expect_differ "$(weights $first vision)" "$(weights $second vision)" "stage II did not train the vision part"
expect_differ "$(weights $second language)" "$(weights $third language)" "stage III did not train the language part"

# A run that goes on inside a stage still shows the held-out loss of before.
expect_code 75 "step 6 of 10" on 1 recipe.yaml --run shows --stop-after 6
expect_code 75 "step 7/10 .*held-out [0-9.]+ .step 4." on 2 recipe.yaml --run shows --stop-after 1

# Stopped inside a stage and at a border, each time taken up on another number of ranks.
expect_code 75 "stopped in stage warm-up after step 7 of 10" on 2 recipe.yaml --run stopped --stop-after 7
expect_code 75 "stopped before stage alignment" on 4 recipe.yaml --run stopped --stop-after 3
expect_code 75 "stopped in stage world after step 1 of 10" on 3 recipe.yaml --run stopped --stop-after 11
expect_code 0 "going on from stopped/checkpoints/update-00000021: 21 of 30" on 1 recipe.yaml --run stopped
expect_same parts.one "stopped three times"
[ "$(grep -c '"loss"' stopped/metrics.jsonl)" = 30 ] || fail "metrics.jsonl does not have one line per update"
expect_code 0 "complete: 30 steps" on 2 recipe.yaml --run stopped
expect_same parts.one "finished and run again"

# A signal: the step is finished and saved.
"$GRADUS" train recipe.yaml --run signal --set stages.world.steps=100000 >stdout 2>stderr &
pid=$!
trap 'kill -KILL $pid 2>/dev/null || true' EXIT
for _ in $(seq 600); do
    [ "$(grep -c '"loss"' signal/metrics.jsonl 2>/dev/null)" -gt 21 ] 2>/dev/null && break
    sleep 0.1
done
expect_code 2 "signal is in use by $(uname -n) pid $pid" on 2 recipe.yaml --run signal --set stages.world.steps=100000
kill -TERM $pid
code=0
wait $pid || code=$?
trap - EXIT
[ $code = 75 ] || fail "after SIGTERM: exit $code, expected 75"
newest=$(ls signal/checkpoints | tail -n 1)
grep -q "stopped in stage world after step $((10#${newest#update-} - 20)) of 100000" stderr || fail "the newest checkpoint is not the stop"

# The same through the launcher, which passes SIGUSR1 on.
mpirun -n 2 "$GRADUS" train recipe.yaml --run usr1 --set stages.world.steps=100000 >stdout 2>stderr &
pid=$!
trap 'kill -KILL $pid 2>/dev/null || true' EXIT
for _ in $(seq 600); do
    [ "$(grep -c '"loss"' usr1/metrics.jsonl 2>/dev/null)" -gt 21 ] 2>/dev/null && break
    sleep 0.1
done
kill -USR1 $pid
code=0
wait $pid || code=$?
trap - EXIT
[ $code = 75 ] || fail "after SIGUSR1 to mpirun: exit $code, expected 75: $(cat stderr)"
grep -q "stopped in stage world after step" stderr || fail "no word of the stop: $(cat stderr)"

# Killed at a border: the validation before the next stage is not in the metrics twice.
expect_code 75 "stopped before stage alignment" on 1 recipe.yaml --run border --stop-after 10
cp -r border/metrics.jsonl border.at-stop
expect_code 75 "after step 1 of 10" on 2 recipe.yaml --run border --stop-after 1
rm -r border/checkpoints/update-00000011
expect_code 0 "going on from border/checkpoints/update-00000010" on 2 recipe.yaml --run border
expect_same parts.one "killed at a border"
untimed border | cmp measures.one - || fail "measures after a restart at a border"

# A damaged checkpoint is passed over, with a word; the result stays.
expect_code 75 "after step 5 of 10" on 2 recipe.yaml --run damaged --stop-after 5
printf x | dd of=damaged/checkpoints/update-00000005/model-connector.safetensors bs=1 seek=900 conv=notrunc 2>/dev/null
expect_code 0 "update-00000005 is passed over: .*model-connector.safetensors is damaged" on 2 recipe.yaml --run damaged
grep -q "going on from damaged/checkpoints/update-00000003" stderr || fail "did not go on from the checkpoint before"
expect_same parts.one "damaged checkpoint"

# A finished run that is started again leaves its model alone.
before=$(stat -c %i one/final)
expect_code 0 "complete: 30 steps" on 1 recipe.yaml --run one
[ "$before" = "$(stat -c %i one/final)" ] || fail "a finished run wrote its model again"

# Ranks and restarts that differ in what decides the bits.
expect_code 78 "rank 1 has another recipe than rank 0" mpirun -n 1 "$GRADUS" train recipe.yaml --run apart : -n 1 "$GRADUS" train recipe.yaml --run apart --set seed=9
expect_code 78 "2 ranks, but the recipe has 1 lane: start at most as many" mpirun -n 1 "$GRADUS" train recipe.yaml --run apart : -n 1 "$GRADUS" train recipe.yaml --run apart --set lanes=1
expect_code 75 "stopped" on 1 recipe.yaml --run swapped --stop-after 3
cp -r data data.kept
sed 's/banner/manner/' src/many.json >src/other.json
rm -r data
expect_code 0 "samples 45" "$GRADUS" data import --from llava src/other.json --images src --out data
expect_code 78 "update-00000003 belongs to another data set" on 2 recipe.yaml --run swapped
rm -r data
mv data.kept data
expect_code 0 "complete" on 2 recipe.yaml --run swapped
expect_same parts.one "data put back"
expect_code 0 "ids 270" "$GRADUS" tokenizer train --data data --vocabulary 270 --out other-tokenizer
expect_code 78 "tokenizer other-tokenizer is another one" on 1 recipe.yaml --run bad --set tokenizer=other-tokenizer --set model.language=one/final

# When all checkpoints are damaged the run ends: it does not begin anew and throw away what was done. Whoever wants that moves them
# away; something of a later number that is no checkpoint does no harm.
expect_code 75 "after step 7 of 10" on 1 recipe.yaml --run lost --stop-after 7 --set checkpoints.keep=1
: >lost/checkpoints/update-00000007/model-language.safetensors
expect_code 65 "the only checkpoint is damaged.*--resume" on 2 recipe.yaml --run lost --set checkpoints.keep=1
rm -r lost/checkpoints
expect_code 75 "after step 4 of 10" on 2 recipe.yaml --run lost --stop-after 4 --set checkpoints.keep=1
[ "$(grep -c "warning: lost: 7 steps of an earlier call are recorded, but no checkpoint is there: beginning anew" stderr)" = 1 ] || fail "a run began anew without a word: $(cat stderr)"
mkdir lost/checkpoints/update-00000099
expect_code 0 "going on from lost/checkpoints/update-00000004" on 1 recipe.yaml --run lost --set checkpoints.keep=1
expect_same parts.one "begun anew"

# A run that goes astray.
expect_code 76 "loss is" on 2 recipe.yaml --run astray --set "stages=[{name: e, trains: [connector], data: [{path: data}], validation: [{path: data}], global_batch: 4, sequence_length: 160, steps: 3, learning_rate: 1000, weight_decay: 1000, schedule: constant}]"
[ ! -e astray/final ] || fail "a run that went astray left a model"

# A damaged sample stops the run, or counts nothing and is in the ledger: the same bits and lines on any number of ranks, after
# any stop, with windows of several steps and weights.
cp -r data data-bad
LC_ALL=C sed -i 's/is number 7 of the/is numbeR 7 of the/' data-bad/shard-00000.h5
sed 's/path: data,/path: data-bad,/; s/global_batch: 9/global_batch: 9\n    window: 3/' recipe.yaml >odd.yaml
expect_code 65 "stage (warm-up|world), step [1-9][0-9]*, lane [0-3]: data-bad/shard-00000.h5: sample [0-9]+ .*is damaged" on 2 odd.yaml --run odd-stop
[ ! -e odd-stop/ledger.jsonl ] || fail "a run that stopped wrote a ledger"
sed 's/    window: 3/    window: 3\n    bad_samples: drop/' odd.yaml >drop.yaml
expect_code 0 "complete: 30 steps" on 1 drop.yaml --run drop
parts >parts.drop
grep -q "1 sample of \(data\|validation\) cannot be used and counts nothing: see drop/ledger.jsonl" stderr || fail "no word of the dropped sample"
grep -Eq '^\{"update": ?[0-9]+, ?"stage": ?"[a-z-]+", ?"step": ?[0-9]+, ?"set": ?"(data|validation)", ?"lane": ?[0-9]+, ?"path": ?"data-bad", ?"index": ?7, ?"reason": ?".*damaged' drop/ledger.jsonl ||
    fail "the ledger does not name the sample: $(cat drop/ledger.jsonl)"
expect_code 0 "complete: 30 steps" on 3 drop.yaml --run drop3
expect_code 75 "stopped" on 2 drop.yaml --run drop-stopped --stop-after 14
expect_code 0 "complete: 30 steps" on 1 drop.yaml --run drop-stopped
parts >parts.now
cmp parts.now parts.drop || fail "dropping after a stop: other bits"
for run in drop3 drop-stopped; do
    cmp drop/ledger.jsonl $run/ledger.jsonl || fail "the ledger of $run is another: $(cat drop/ledger.jsonl $run/ledger.jsonl)"
done
grep -q '"dropped": *1' drop/metrics.jsonl || ! grep -q '"set": *"data"' drop/ledger.jsonl || fail "metrics do not count the dropped sample"
grep -Eq '"fill": *0\.[0-9]+, *"image_balance": *[1-9]' drop/metrics.jsonl || fail "metrics do not say how full the rows are"
sed 's/data: \[{path: data, subset: \[0.0, 0.9\]}\]/data: [{path: data, subset: [0.0, 0.5], weight: 3}, {path: data, subset: [0.5, 0.9], weight: 1, max_repeats: 1}]/' recipe.yaml >mixed.yaml
expect_code 0 "complete: 30 steps, 270 samples" on 1 mixed.yaml --run mixed
parts >parts.mixed
expect_code 0 "complete: 30 steps, 270 samples" on 4 mixed.yaml --run mixed4
parts >parts.now
cmp parts.now parts.mixed || fail "a mixture on 4 ranks: other bits"
sed 's/weight: 3/weight: 3, max_repeats: 2/' mixed.yaml >short.yaml
expect_code 78 "stage warm-up, data: the stage uses 90 samples, but max_repeats allows [0-9]+: raise it" on 2 short.yaml --run bad

# Keys that decide no bit may change while a run is stopped, and what changed is said; ranks must share these keys all the same: they save together.
expect_code 75 "stopped" on 2 recipe.yaml --run changed --stop-after 4
expect_code 75 "the recipe changed since, in nothing that changes a bit: checkpoints.every 3 -> 2, checkpoints.keep 100 -> 1, checkpoints.background 1 -> 0, world.recompute 0 -> 1$" on 1 recipe.yaml --run changed --stop-after 9 --set 'checkpoints={every: 2, keep: 1, background: false}' --set stages.world.recompute=true
[ "$(ls changed/checkpoints | wc -l)" -le 3 ] || fail "checkpoints.keep did not change: $(ls changed/checkpoints)"
expect_code 0 "changes a bit: .*world.validate_every 4 -> 0" on 3 recipe.yaml --run changed --set stages.world.validate_every=0
expect_same parts.one "keys that decide no bit changed"
expect_code 78 "rank 1 has another recipe \(in what changes no bit\) than rank 0" mpirun -n 1 "$GRADUS" train recipe.yaml --run apart : -n 1 "$GRADUS" train recipe.yaml --run apart --set checkpoints.every=1
expect_code 78 "first difference from one/recipe.json: seed\)" on 1 recipe.yaml --run one --set checkpoints.every=9 --set seed=6

# The chat template of what was trained is the recipe's, and stays that of a model that came with another than a new tokenizer's.
template() { sed -n 's/^ *"chat_template": *//p' "$1/tokenizer_config.json"; }
[ -n "$(template tokenizer)" ] && [ "$(template tokenizer)" = "$(template one/final)" ] || fail "the chat template is not that of the recipe"
plainly=(--set stages.world.template=plain --stop-after 21)
expect_code 75 "stopped" on 1 recipe.yaml --run plain "${plainly[@]}"
newest=plain/checkpoints/$(ls plain/checkpoints | tail -n 1)
[ -n "$(template "$newest")" ] && [ "$(template "$newest")" != "$(template tokenizer)" ] || fail "training with plain texts says chat: $(template "$newest")"
sed -i 's/"chat_template": *"/&{# mine #}/' tokenizer/tokenizer_config.json
expect_code 75 "stopped" on 1 recipe.yaml --run mine "${plainly[@]}"
newest=mine/checkpoints/$(ls mine/checkpoints | tail -n 1)
[ "$(template "$newest")" = "$(template tokenizer)" ] || fail "the chat template that came with the tokenizer is another now"
sed -i 's/{# mine #}//' tokenizer/tokenizer_config.json

# Training goes on from a finished run with a recipe whose parts it is.
sed 's/^model: .*/model: {vision: one\/final, connector: one\/final, language: one\/final}/; s/^tokenizer: .*/tokenizer: one\/final/' recipe.yaml >more.yaml
expect_code 0 "complete: 30 " on 2 more.yaml --run more
expect_differ one/final/model-language.safetensors more/final/model-language.safetensors "a run that begins with another's result did not train"

# Mistakes.
sed '0,/steps: 10/s//epochs: 0.001/' recipe.yaml >short.yaml
expect_code 78 "stage warm-up: 0.001 epochs of [0-9]+ samples are no step" on 1 short.yaml --run bad
expect_code 78 "warmup_steps is 2, but the stage has only 1 step$" on 1 recipe.yaml --run bad --set stages.world.steps=1
# --resume: neither a word that it knows nor a checkpoint; said before anything is loaded or made.
echo "nowhere|there is no such folder
Auto|there is no such folder
model|is no checkpoint: it has no gradus/manifest.json
recipe.yaml|is a file
one|is a run, whose checkpoints are in its folder checkpoints
one/checkpoints|is no checkpoint" | while IFS='|' read -r path message; do
    expect_code 66 "--resume $path: $message.*; expected auto, never or a checkpoint, a folder such as" on 1 recipe.yaml --run bad --resume "$path"
    ! grep -q "^stage" stdout stderr || fail "--resume $path: the model was loaded first"
done
expect_code 66 "--resume nowhere: there is no such folder" on 3 recipe.yaml --run bad --resume nowhere
expect_code 66 "--resume nowhere: there is no such folder" on 1 recipe.yaml --dry-run --resume nowhere
expect_code 2 "resume is empty: expected auto.never.PATH" on 1 recipe.yaml --run bad --resume ""
mkdir used
echo '{}' >used/recipe.json
expect_code 2 "already holds a run" on 1 recipe.yaml --run used --resume never
expect_code 78 "one/checkpoints/update-[0-9]+ belongs to another recipe; .*\(first difference from one/recipe.json: seed\)" on 1 recipe.yaml --run one --set seed=6
expect_code 78 "first difference from one/recipe.json: stages\[1\]\.clip\)" on 2 recipe.yaml --run one --set stages.alignment.clip=3
expect_code 2 "already holds a run" on 1 recipe.yaml --run one --resume never
# A folder that is no run's is left as it is, by a dry run too; a run that was killed before it had a recipe goes on.
mkdir foreign
echo thesis >foreign/thesis.tex
for how in "2 --resume auto" "1 --resume never" "1 --dry-run"; do
    # shellcheck disable=SC2086 # words
    expect_code 2 "^gradus: .*--run foreign: is no run of gradus .it holds \"thesis.tex\", but no recipe.json.: give a new or empty folder" on ${how%% *} recipe.yaml --run foreign ${how#* }
    ! grep -q "^stage" stdout stderr || fail "the model was loaded before the folder was looked at"
done
[ "$(ls -A foreign)" = thesis.tex ] || fail "a run left something in a stranger's folder: $(ls -A foreign)"
expect_code 74 "--run recipe.yaml: is a file, expected a new folder" on 2 recipe.yaml --run recipe.yaml
mkdir begun empty
touch begun/lock begun/recipe.json.tmp.123
for run in begun empty; do
    expect_code 75 "stopped" on 1 recipe.yaml --run $run --stop-after 1
done
expect_code 2 "train: --run is given twice" mpirun -n 3 "$GRADUS" train recipe.yaml --run a --run b
[ "$(grep -c "given twice" stderr)" = 1 ] || fail "a usage error is said more than once: $(cat stderr)"
expect_code 2 "unknown option --rnu" mpirun -n 1 "$GRADUS" train recipe.yaml --run bad : -n 1 "$GRADUS" train recipe.yaml --rnu bad
# What the recipe names and is not there: with the place in it.
sed 's/vision: model,/vision: VISION,/' recipe.yaml >away.yaml
from_where="paths are relative to the folder in which gradus was started, $PWD$"
expect_code 66 "away.yaml:3:9: model.vision: VISION: no such model directory.*; $from_where" on 1 away.yaml --dry-run
sed 's/path: data, subset: .0.9/path: nowhere, subset: [0.9/' recipe.yaml >away.yaml
expect_code 66 "away.yaml:10:[0-9]+: stages.0..validation.0..path: nowhere: there is no such folder: expected a data set; $from_where" on 2 away.yaml --dry-run
expect_code 66 " --set: tokenizer: nowhere.*$from_where" on 1 recipe.yaml --dry-run --set tokenizer=nowhere
expect_code 66 "tokenizer: $PWD/nowhere" on 1 recipe.yaml --dry-run --set "tokenizer=$PWD/nowhere"
! grep -q "relative" stderr || fail "an absolute path is called relative"
expect_code 66 "validation.0..path: src is no data set: it has no manifest.json" on 1 recipe.yaml --dry-run --set "stages.world.validation=[{path: src}]"
! grep -q "relative" stderr || fail "what is there is not looked for elsewhere"
expect_code 66 "recipe.yaml: is a file, expected the folder of a data set" on 1 recipe.yaml --dry-run --set "stages.world.data=[{path: recipe.yaml}]"
# A part that trains has a rate.
expect_code 78 "stages.2..learning_rate: language trains here, but learning_rate is missing for it: expected one number .* {language: 1.0e-4}" on 1 recipe.yaml --dry-run --set "stages.world.learning_rate={vision: 1, connector: 1}"
sed '0,/learning_rate: .*/s///' recipe.yaml >bad.yaml
expect_code 78 "stages.0.: connector trains here, but learning_rate is missing: expected one number" on 1 bad.yaml --dry-run
# One of something.
expect_code 0 "^complete: 1 step, 4 samples, [0-9]+ tokens$" on 1 recipe.yaml --run single --set lanes=1 --set "stages=[{name: e, trains: [connector], data: [{path: data}], global_batch: 4, sequence_length: 160, steps: 1, learning_rate: 1}]"
grep -q ", 1 lane$" stderr && grep -q "samples a step, 1 step, " stderr || fail "one of something is many: $(cat stderr)"
expect_code 78 "5 ranks, but the recipe has 4 lanes" on 5 recipe.yaml --run five
sed 's/learning_rate: 1.0e-2/learning_rte: 1.0e-2/' recipe.yaml >bad.yaml
expect_code 78 "bad.yaml:[0-9]+:[0-9]+.*learning_rte.*learning_rate" on 1 bad.yaml --run bad
expect_code 66 "nowhere.yaml" on 2 nowhere.yaml --run bad
sed 's/path: data,/path: nowhere,/' recipe.yaml >bad.yaml
expect_code 66 "nowhere" on 1 bad.yaml --run bad
sed 's/sequence_length: 160/sequence_length: 20/' recipe.yaml >bad.yaml
expect_code 65 "20" on 2 bad.yaml --run long
expect_code 2 "run DIR" on 1 recipe.yaml
expect_code 74 "/proc/nowhere" on 1 recipe.yaml --run /proc/nowhere
[ ! -e bad ] || fail "a run that could not begin left a folder"
# A recipe on top of another is the same run as one with everything in place; a mistake below is named where it stands.
mkdir -p below
sed 's/seed: 5/seed: 6/; s/learning_rate: 1.0e-2/learning_rate: 7.0/' recipe.yaml >below/recipe.yaml
printf 'include: below/recipe.yaml\nseed: 5\nstages: [{name: warm-up, learning_rate: 1.0e-2}]\n' >on-top.yaml
expect_code 0 "" on 1 recipe.yaml --dry-run
mv stdout in-place
expect_code 0 "" on 1 on-top.yaml --dry-run
cmp stdout in-place || fail "a recipe on top of another comes to something else"
sed -i 's/steps: 10/stepz: 10/' below/recipe.yaml
expect_code 78 "^gradus: .*below/recipe.yaml:[0-9]+:[0-9]+: stages.0..stepz: .*steps" on 1 on-top.yaml --dry-run
printf 'include: nowhere.yaml\n' >on-top.yaml
expect_code 66 "on-top.yaml:1:1: include.*nowhere.yaml" on 2 on-top.yaml --dry-run
