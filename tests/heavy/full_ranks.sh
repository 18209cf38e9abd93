#!/usr/bin/env bash
# Memory of training a full-size model on two ranks: SAILViT-Large at 448 pixels with Qwen2.5-0.5B, fresh weights, everything trains, bf16 with
# fp32 master weights; three steps of one picture with its conversation a rank, stopped behind them with a checkpoint. The peaks of
# both ranks together; fails above 22 GiB. Needs 23 GiB of memory, 13 GB of disk, avx512_bf16 and oneDNN, and some minutes.
# usage: full_ranks.sh GRADUS FOLDER [MODEL [RANKS]]     another model file, another number of ranks: no bound
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
GRADUS=$(realpath "$1") configs=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../configs" && pwd) model=${3:+$(realpath "$3")} ranks=${4:-2}
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh" "$2"
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
launcher=
trap '[ -z "$launcher" ] || kill -KILL "$launcher" 2>/dev/null || true' EXIT

expect_code 0 "" "$GRADUS" data synth --task fine --count 64 --seed 1 --out pictures
expect_code 0 "" "$GRADUS" tokenizer train --data pictures --vocabulary 350 --out words
cat >recipe.yaml <<END
lanes: $ranks
model: {vision: ${model:-$configs/bench/full.yaml}, connector: ${model:-$configs/bench/full.yaml}, language: ${model:-$configs/bench/full.yaml}}
tokenizer: words
precision: bf16
checkpoints: {background: false}
digests: {every: 0}
stages:
  - {name: all, trains: [vision, connector, language], data: [{path: pictures}], global_batch: $ranks, sequence_length: 640, steps: 10,
     learning_rate: 1.0e-5}
END
mpirun -n "$ranks" bash -c 'echo $$ >pid.$OMPI_COMM_WORLD_RANK; exec "$0" "$@"' "$GRADUS" train recipe.yaml --run run --stop-after 3 --watchdog 0 >stdout 2>log &
launcher=$!
while kill -0 $launcher 2>/dev/null; do
    for ((r = 0; r < ranks; r++)); do
        sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB$/\1/p' "/proc/$(cat pid.$r 2>/dev/null || echo none)/status" >peak.now 2>/dev/null || true
        [ ! -s peak.now ] || mv peak.now "peak.$r"
    done
    sleep 0.2
done
code=0
wait $launcher || code=$?
launcher=
[ $code = 75 ] || fail "exit $code: $(cat log)"
grep "step 3/" log || grep "stopped" log
cat peak.* | awk -v ranks="$ranks" -v bound="${model:-x}" '{ s += $1; printf "rank %d: %.2f GiB at most\n", NR - 1, $1 / 2^20 }
    END { printf "%d ranks together: %.2f GiB\n", ranks, s / 2^20; exit bound == "x" && s / 2^20 > 22 }' || fail "more than 22 GiB"
