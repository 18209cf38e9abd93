#!/usr/bin/env bash
# Ranks that stop, hang or die: named once, with host, phase, step and sample, and the job ends on all ranks. What only looks like it
# is survived: a short stop. (Times on this machine: tests/heavy/hangs.sh.)
. "$(dirname "$0")/lib.sh"
. "$here/train_support.sh"
export OMP_NUM_THREADS=1
make_run
host=$(uname -n)
launcher=
trap '[ -z "$launcher" ] || kill -KILL $launcher 2>/dev/null || true' EXIT # its ranks end without it

# launch RANKS OPTIONS...: starts a run that never ends, with the number of each rank's process in pid.RANK.
launch() {
    local ranks=$1
    shift
    rm -rf run pid.*
    mpirun -n "$ranks" bash -c 'echo $$ >pid.$OMPI_COMM_WORLD_RANK; exec "$0" "$@"' "$GRADUS" train recipe.yaml --run run "$@" >stdout 2>log &
    launcher=$!
    wait_for_steps run 9 $launcher
    sleep 0.5 # what is known of a rank is up to a quarter of a second old
}

# expect_end CODES PATTERN: the job ends by itself with one of these codes and says PATTERN once.
expect_end() {
    local code=0
    timeout 60 tail --pid=$launcher -f /dev/null || fail "the job did not end: $(cat log)"
    wait $launcher || code=$?
    [[ " $1 " == *" $code "* ]] || fail "exit $code, expected one of $1: $(cat log)"
    [ "$(grep -Ec "^gradus: .*$2" log)" = 1 ] || fail "nothing, or more than one line, says '$2': $(cat log)"
    [ "$(grep -c '^gradus: .*The job ends' log)" = 1 ] || fail "more than one message: $(cat log)"
    expect_ended
}

# expect_ended: no process of the run is left, five seconds later at most.
expect_ended() {
    local process i
    for process in $(cat pid.* 2>/dev/null); do
        for ((i = 0; i < 50; i++)); do
            kill -0 "$process" 2>/dev/null || continue 2
            sleep 0.1
        done
        fail "process $process lives on"
    done
}
where="on $host \(process [0-9]+\)"
last="last known in [a-z]+.*stage all, step [0-9]+ \([0-9]+ of the run\), sample [0-9]+ of data"

# Rank 0 is stopped: another names it. (Another rank: at the end.)
launch 3
kill -STOP "$(cat pid.0)"
expect_end "69" "rank 0 $where is stopped or frozen: .*its host answers; $last"

# A rank that spins in a product, and a process alone that does.
shim=$(dirname "$GRADUS")/tests/libspin.so
[ -e "$shim" ] || fail "no $shim"
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
rm -rf run spin pid.*
mpirun -n 1 "$GRADUS" train recipe.yaml --run run : -n 1 env LD_PRELOAD="$shim" GR_SPIN_WHEN=spin "$GRADUS" train recipe.yaml --run run : \
    -n 1 "$GRADUS" train recipe.yaml --run run >stdout 2>log &
launcher=$!
wait_for_steps run 9 $launcher
touch spin
expect_end "69" "rank 1 $where hangs: its process lives, its work has not moved for [0-9.]+ s; last known in (forward|backward), stage all"
rm -rf run spin
LD_PRELOAD="$shim" GR_SPIN_WHEN=spin "$GRADUS" train recipe.yaml --run run >stdout 2>log &
launcher=$!
wait_for_steps run 9 $launcher
touch spin
expect_end "69" "rank 0 $where hangs: .*last known in (forward|backward), stage all"

# A rank that is killed. mpirun may see it first and return its code.
launch 3
kill -KILL "$(cat pid.2)"
expect_end "69 137" "rank 2 $where has died: .*; $last"
launch 2
kill -KILL "$(cat pid.0)"
expect_end "69 137" "rank 0 $where has died: .*; $last"

# The launcher is killed: its ranks end, too, though nobody hears their message.
launch 2
disown $launcher # bash would report it
kill -KILL $launcher
expect_ended

# An error of one rank is one message, not also that of its watchers.
expect_code 78 "the recipe has 1 lane:" mpirun -n 1 "$GRADUS" train recipe.yaml --run apart : -n 1 "$GRADUS" train recipe.yaml --run apart --set lanes=1
! grep "The job ends" stderr || fail "an error was also taken for a death"

# A stop of a second is nothing, and without a watchdog (as for a debugger) a longer one, too: the same bits.
steps="--set stages.all.steps=400"
expect_code 0 "complete: 400" on 1 recipe.yaml --run calm $steps
parts >parts.calm
for seconds in 1 5; do
    launch 2 $steps $([ $seconds = 1 ] || echo --watchdog 0)
    kill -STOP "$(cat pid.1)"
    sleep $seconds
    kill -CONT "$(cat pid.1)"
    wait $launcher || fail "after a short stop: $(cat log)"
    ! grep "gradus:" log || fail "a short stop was reported"
    expect_same parts.calm "after a stop"
done

# A rank that others stop is no loss: who goes on, on another number of ranks, has the same bits.
launch 3 $steps
kill -STOP "$(cat pid.1)"
expect_end "69" "rank 1 $where is stopped or frozen: .*its host answers; $last"
expect_code 0 "going on from run/checkpoints" on 2 recipe.yaml --run run $steps
expect_same parts.calm "after a rank was given up"
