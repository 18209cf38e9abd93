#!/usr/bin/env bash
# Reports in a real browser (report_browser.py says what is looked at): of a run of three stages that was stopped and taken up, with predictions, of two runs
# side by side, and of one with hostile names. Trains them first, some minutes on two cores; what is there is not made again. cli/test_report.sh is the short
# form, without a browser.
# usage: report.sh GRADUS FOLDER [CHROMIUM]      (chromium: apt-get install chromium; python3)
set -eu
gradus=$(realpath "$1") here=$(realpath "$(dirname "$0")")
chromium=${3:-$(command -v chromium || command -v google-chrome || true)}
[ -n "$chromium" ] || { echo "no chromium: name one, or apt-get install chromium" >&2 && exit 66; }
export OMP_NUM_THREADS=1
mkdir -p "$2"
cd "$2"

[ -e data/manifest.json ] || "$gradus" data synth --count 3000 --seed 1 --out data
[ -e more/manifest.json ] || "$gradus" data synth --task count --count 1000 --seed 3 --out more
[ -e held/manifest.json ] || "$gradus" data synth --count 60 --seed 2 --split test --out held
[ -e tokenizer/tokenizer.json ] || "$gradus" tokenizer train --data data --vocabulary 600 --out tokenizer
[ -e model/config.json ] || "$gradus" model init --config "$here/../../configs/demo/model.yaml" --seed 1 --tokenizer tokenizer --out model
cat >recipe.yaml <<END
lanes: 2
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 100, keep: 3}
stages:
  - {name: warm-up, trains: [connector], data: [{path: data}], validation: [{path: held}], validate_every: 25, global_batch: 16,
     sequence_length: 512, steps: 120, learning_rate: 5.0e-3, warmup_steps: 10}
  - {name: alignment, trains: [vision, connector], data: [{path: data}], validation: [{path: held}], validate_every: 25, global_batch: 16,
     sequence_length: 512, steps: 150, learning_rate: {vision: 1.0e-3, connector: 2.0e-3}, warmup_steps: 15}
  - {name: world-knowledge, trains: [vision, connector, language], data: [{path: data, weight: 3}, {path: more, weight: 1}],
     validation: [{path: held}], validate_every: 50, global_batch: 16, sequence_length: 512, steps: 500,
     learning_rate: {vision: 5.0e-4, connector: 1.0e-3, language: 2.0e-3}, warmup_steps: 20, weight_decay: 0.05}
END
train() {
    local run=$1
    shift
    [ -e "$run/final/config.json" ] || mpirun -n 2 "$gradus" train recipe.yaml --run "$run" "$@"
}
[ -e runs/base ] || train runs/base --stop-after 330 || [ $? = 75 ]
train runs/base
train runs/high --set stages.world-knowledge.learning_rate=6.0e-3 --set stages.alignment.learning_rate=4.0e-3
hostile="runs/<img src=http:~~127.0.0.1:9~x onerror=alert(1)>'\"&"
train "$hostile" --set "stages.warm-up.steps=20" --set stages.alignment.steps=20 --set stages.world-knowledge.steps=20
"$gradus" report runs/base --predictions 12 --out one.html
"$gradus" report runs/base runs/high --out two.html
"$gradus" report "$hostile" runs/base --predictions 4 --out hostile.html
python3 "$here/../well_formed.py" one.html >/dev/null
python3 "$here/report_browser.py" "$chromium" . one.html two.html hostile.html
