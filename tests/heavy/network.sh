#!/usr/bin/env bash
# Over a cable between two hosts: how full the sums make it, how much of moving is hidden, how many bytes it takes, and that no bit
# depends on it: slow, lossy. Bench figures mean something on an idle machine only.
# usage: network.sh GRADUS FOLDER [ROUNDS]     ROUNDS of each figure (7). As root, in network namespaces with no way out.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
GRADUS=$(realpath "$1") rounds=${3:-7} configs=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../configs" && pwd)
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh" "$2"
. "$here/train_support.sh"
. "$here/../heavy/two_hosts.sh"
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 \
    OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_rmaps_base_oversubscribe=1
trap two_hosts_down EXIT
two_hosts_up || fail "no network namespaces: $(cat network.log 2>/dev/null)"
number() { sed -n "s/.*\"$1\": \([-0-9.e+]*\),\{0,1\}$/\1/p" "$2"; }


# How full: 50 MiB at 1 Gbit/s. Either half of the work sends half of the vector each way.
two_hosts_rate 1gbit
(two_hosts_mpirun 2 -- "$GRADUS" bench reduce --mib 50 --rounds "$rounds" --json) >reduce.json
awk -v rs="$(number reduce_scatter_seconds reduce.json)" -v gather="$(number gather_seconds reduce.json)" \
    -v ratio="$(number reduce_scatter_ratio reduce.json)" -v all="$(number reduce_scatter_gather_ratio reduce.json)" 'BEGIN {
    ideal = 25 * 2^20 * 8 / 1e9
    printf "1 Gbit/s, 50 MiB: reduce-scatter %.0f ms, %.3f of line rate, %.2f times as fast as MPI_Reduce_scatter_block; gather %.0f ms, %.3f; both %.2f times as fast as MPI_Allreduce\n",
        rs * 1e3, ideal / rs, ratio, gather * 1e3, ideal / gather, all }'

# How much is hidden where moving takes 0.7 times as long as backward, two thirds of the computation.
two_hosts_rate 100gbit
step() { two_hosts_mpirun 2 -- "$GRADUS" bench step --model "$configs/bench/small.yaml" --images 2 --tokens 1024 --threads 1 --json "$@"; }
(step --rounds 2) >fast.json
rate=$(awk -v n="$(number elements fast.json)" -v t="$(number together_seconds fast.json)" 'BEGIN { printf "%d", n * 32 / (0.7 * t * 2 / 3) / 1e6 }')
two_hosts_rate "${rate}mbit"
(step --rounds "$rounds") >step.json
for what in together serial overlap allreduce scattered; do
    printf '%s %.0f ms, ' $what "$(awk -v t="$(number ${what}_seconds step.json)" 'BEGIN { print t * 1e3 }')"
done
echo "at $rate Mbit/s: hidden $(number hidden step.json); $(number determinism step.json) of the time with the MPI library's sums"

# How many bytes: what some more steps send, over what they must.
two_hosts_rate 100gbit
sed -n '/^language:/,$p' "$configs/bench/small.yaml" >decoder.yaml
expect_code 0 "" "$GRADUS" data synth --task text --count 64 --seed 1 --out text
expect_code 0 "" "$GRADUS" tokenizer train --data text --vocabulary 300 --out words
cat >text.yaml <<'END'
lanes: 2
model: {language: decoder.yaml}
tokenizer: words
digests: {every: 0}
stages:
  - {name: text, trains: [language], data: [{path: text}], global_batch: 4, sequence_length: 512, steps: 12, learning_rate: 1.0e-4}
END
sent_by() {
    local before
    before=$(two_hosts_bytes)
    (two_hosts_mpirun 2 -- "$GRADUS" train text.yaml --run "bytes-$1" --set stages.text.steps="$1" --threads 1) >stdout 2>log || fail "$(cat log)"
    echo $(($(two_hosts_bytes) - before))
}
few=$(sent_by 2) many=$(sent_by 12)
elements=$(sed -n 's/.* \([0-9]*\) parameters train$/\1/p' log | head -n 1)
awk -v sent=$((many - few)) -v n="$elements" 'BEGIN { printf "10 steps of %d elements on 2 hosts: %d bytes from each, %.4f of 2 (p-1)/p n\n", n, sent, sent / 10 / (4 * n) }'

# No bit depends on the network.
make_run
steps="--set stages.all.steps=100"
expect_code 0 "complete" on 1 recipe.yaml --run alone $steps
parts >parts.alone
for network in "1gbit 0" "10mbit 0" "1gbit 5" "1gbit 50"; do
    two_hosts_rate "${network% *}"
    two_hosts_loss "${network#* }"
    s=$(now)
    (two_hosts_mpirun 4 -- "$GRADUS" train recipe.yaml --run run $steps) >stdout 2>log || fail "$network: $(cat log)"
    expect_same parts.alone "$network"
    echo "${network% *}, ${network#* } of 1000 packets lost: the same bits, $(since "$s") s"
    rm -rf run
done
