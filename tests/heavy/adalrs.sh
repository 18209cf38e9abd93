#!/usr/bin/env bash
# AdaLRS on a small model: begun 10 times below and 10 times above the best fixed learning rate, it ends within 0.05 of that one's held-out
# loss. Some minutes on two cores.
# usage: adalrs.sh GRADUS FOLDER [STEPS] [WINDOW]     (1000 steps, 30 steps)
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
GRADUS=$(realpath "$1") steps=${3:-1000} window=${4:-30}
configs=$(cd "$(dirname "$0")/../../configs" && pwd)
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh" "$2"
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_hwloc_base_binding_policy=none

mpirun -n 2 "$GRADUS" data synth --task fine,ocr --count $((steps * 16 + 1000)) --size 56 --grid 8 --out data >/dev/null 2>&1
"$GRADUS" tokenizer train --data data --vocabulary 300 --out tokenizer >/dev/null 2>&1
share=$(awk -v n="$steps" 'BEGIN { print n * 16 / (n * 16 + 1000) }')
cat >recipe.yaml <<END
seed: 4
lanes: 2
model: {vision: $configs/demo/drawn.yaml, connector: $configs/connector.yaml, language: $configs/demo/decoder.yaml}
tokenizer: tokenizer
digests: {every: 0}
stages:
  - {name: one, trains: [vision, connector, language], data: [{path: data, subset: [0.0, $share]}], validation: [{path: data, subset: [$share, 1.0]}],
     global_batch: 16, sequence_length: 1024, steps: $steps, schedule: constant, warmup_steps: 10, betas: [0.9, 0.95], learning_rate: 1.0e-3}
END

# loss_at RATE [SEARCH]: the held-out loss at the end.
loss_at() {
    local run=run-$1${2:+-search}
    mpirun -n 2 "$GRADUS" train recipe.yaml --run "$run" --set stages.one.learning_rate="$1" ${2:+--set "stages.one.adalrs=$2"} >"$run.log" 2>&1 ||
        fail "$run: $(tail -n 5 "$run.log")"
    sed -n 's/.*after step .*held-out loss \([0-9.]*\) .*/\1/p' "$run.log" | tail -n 1
}

best= best_loss=
for rate in 1e-4 3e-4 1e-3 3e-3 1e-2; do
    loss=$(loss_at $rate)
    echo "fixed $rate: $loss"
    if [ -z "$best" ] || awk -v a="$loss" -v b="$best_loss" 'BEGIN { exit !(a < b) }'; then
        best=$rate best_loss=$loss
    fi
done
bad=0
for factor in 0.1 10; do
    rate=$(awk -v b="$best" -v f="$factor" 'BEGIN { print b * f }')
    loss=$(loss_at "$rate" "{window: $window}")
    scale=$(grep '"adalrs"' "run-$rate-search/metrics.jsonl" | tail -n 1 | sed 's/.*"scale": *\([0-9.e+-]*\).*/\1/')
    echo "begun at $rate, $factor times the best: $loss, ends with $(awk -v r="$rate" -v s="${scale:-1}" 'BEGIN { print r * s }'); alone $(loss_at "$rate")"
    grep -o 'learning rate [a-z]*, now [0-9.e+-]* times' "run-$rate-search.log" | sed 's/^/    /'
    awk -v a="$loss" -v b="$best_loss" 'BEGIN { exit !(a > b + 0.05) }' && bad=1
done
[ $bad = 0 ] || fail "not within 0.05 of the best, $best: $best_loss"
echo "best fixed rate $best: $best_loss; both within 0.05"
