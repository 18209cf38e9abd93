#!/usr/bin/env bash
# Seconds from a fault or a signal until no rank is left, and until mpirun has returned with the code (it takes up to 2 s longer:
# odls_base_sigkill_timeout); bits after a network that was away; no false alarm while
# eight ranks share the machine. cli/test_watch.sh is its short form.
# usage: hangs.sh GRADUS FOLDER [ROUNDS] [CALM]     ROUNDS of each fault (10); CALM: seconds without a fault (300; 0: none)
# As root it also cuts networks, in namespaces of its own with no way out; else it says that it left that out.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
GRADUS=$(realpath "$1") rounds=${3:-10} calm=${4:-300}
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh" "$2"
. "$here/train_support.sh"
. "$here/../heavy/two_hosts.sh"
shim=$(dirname "$GRADUS")/tests/libspin.so
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 \
    OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_rmaps_base_oversubscribe=1
launcher=
on_exit() {
    [ -z "$launcher" ] || kill -KILL "$launcher" 2>/dev/null || true
    two_hosts_down
}
trap on_exit EXIT
make_run

# start COMMAND...: a run in ./run that has done some steps when this returns.
start() {
    rm -rf run pid.* spin
    "$@" >stdout 2>log &
    launcher=$!
    wait_for_steps run 30 $launcher
}
run() {
    start mpirun -n "$1" bash -c 'echo $$ >pid.$OMPI_COMM_WORLD_RANK; exec env $([ $OMPI_COMM_WORLD_RANK != 1 ] || echo LD_PRELOAD=$SHIM GR_SPIN_WHEN=spin) "$0" "$@"' \
        "$GRADUS" train recipe.yaml --run run "${@:2}"
}
export SHIM=$shim

# ended WHAT CODES PATTERN SINCE: waits for the end and notes the seconds.
ended() {
    local code=0
    until [ "$(living_children $launcher)" = 0 ]; do sleep 0.01; done
    since "$4" >>"times.$1"
    wait $launcher || code=$?
    since "$4" >>"times.$1,-mpirun"
    launcher=
    [[ " $2 " == *" $code "* ]] || fail "$1: exit $code, expected $2: $(cat log)"
    [ "$(grep -Ec "^gradus: .*$3" log)" = 1 ] || fail "$1: expected one line with '$3': $(cat log)"
}
# saved WHAT SINCE: the step of the stop is in a checkpoint; notes the seconds until it had its name. (mpirun passes on what ranks
# print, and lets them go, only when it has done with its own ending.)
saved() {
    grep -q "stopped in stage all after step $(ls run/checkpoints | sed -n 's/^update-0*\([0-9]*\)$/\1/p' | tail -n 1) " log || fail "$1: not saved: $(cat log)"
    stat -c %.3Y run/checkpoints | awk -v a="$2" '{ printf "%.2f\n", $1 - a }' >>"times.$1,-saved"
}
report() {
    sort -n "times.$1" | awk -v what="$1" '{ t[NR] = $1 } END { printf "%-26s %d times: median %.2f s, worst %.2f s\n", what, NR, t[int((NR + 1) / 2)], t[NR] }'
}

for ((i = 0; i < rounds; i++)); do
    victim=$((i % 3))
    run 3
    s=$(now)
    kill -STOP "$(cat pid.$victim)"
    ended "stopped" "69" "rank $victim on .* is stopped" "$s"
    run 3
    s=$(now)
    touch spin
    ended "spinning" "69" "rank 1 on .* hangs" "$s"
    run 3
    s=$(now)
    kill -KILL "$(cat pid.$victim)"
    ended "killed" "69 137" "rank $victim on .* has died" "$s"
done
for what in stopped spinning killed; do report $what && report $what,-mpirun; done

# Signals: to the launcher, which passes USR1 on and gives one second for TERM; to a rank; to all ranks.
for ((i = 0; i < 2 * rounds; i++)); do
    ranks=$((1 + i % 3))
    run $ranks
    s=$(now)
    kill -USR1 $launcher
    ended "USR1-to-launcher" "75" "stopped in stage all" "$s"
    saved USR1-to-launcher "$s"
    run $ranks
    s=$(now)
    kill -TERM $(cat pid.*)
    ended "TERM-to-ranks" "75" "stopped in stage all" "$s"
    saved TERM-to-ranks "$s"
    run $ranks
    s=$(now)
    kill -TERM $launcher
    ended "TERM-to-launcher" "1" "" "$s"
    saved TERM-to-launcher "$s"
done
for what in USR1-to-launcher TERM-to-ranks TERM-to-launcher; do report $what,-saved && report $what && report $what,-mpirun; done

# The network between two hosts with two ranks each.
on_hosts() {
    two_hosts_mpirun 4 $launcher_options -- "$GRADUS" train recipe.yaml --run run "$@"
}
steps="--set stages.all.steps=400" launcher_options=""
expect_code 0 "complete" on 1 recipe.yaml --run alone $steps
parts >parts.alone
if two_hosts_up; then
    for ((i = 0; i < rounds; i++)); do
        launcher_options="--mca oob_tcp_keepalive_time 3 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 3"
        start on_hosts
        launcher_options=""
        s=$(now)
        two_hosts_cable down
        until grep -q "cannot be reached" log || ! kill -0 $launcher 2>/dev/null; do sleep 0.05; done
        since "$s" >>times.cut-until-named
        ended "cut" "69 205" "rank [23] on node-b .*cannot be reached: .*its host does not answer" "$s"
        two_hosts_cable up
        sleep 3 # the other side ends
    done
    report cut-until-named
    report cut
    report cut,-mpirun
    for seconds in 1 3 4 5; do
        start on_hosts $steps
        at=$(steps_done run)
        two_hosts_cable down
        sleep $seconds
        two_hosts_cable up
        s=$(now)
        [ "$(steps_done run)" -lt 400 ] || fail "the run was done before the network came back"
        wait $launcher || fail "the network was away for $seconds s: $(cat log)"
        launcher=
        expect_same parts.alone "the network was away for $seconds s"
        echo "network away for $seconds s at step $at: survived, the same bits, $(since "$s") s later complete"
    done
else
    echo "notice: networks were not cut: that needs root and namespaces $(cat network.log 2>/dev/null)"
fi

if [ "$calm" -gt 0 ]; then
    run 8
    sleep "$calm"
    kill -0 $launcher || fail "a false alarm: $(cat log)"
    ! grep "gradus:" log || fail "a warning without a reason"
    echo "8 ranks, $calm s, $(steps_done run) steps: no false alarm"
    kill -USR1 $launcher
    ended "calm" "75" "stopped in stage all" "$(now)"
fi
