#!/usr/bin/env bash
# A rank that cannot go on ends the whole job, with its exit code, and without a time limit's help.
# usage: ends.sh MPIEXEC ENDS
set -u
mpiexec=$1 ends=$2 bad=0

# expect EXIT_CODE PART COMMAND...: the command ends by itself with this code, and says PART.
expect() {
    local want=$1 part=$2 output code
    shift 2
    output=$(timeout -k 5 60 "$@" 2>&1 </dev/null)
    code=$?
    if [ "$code" -ne "$want" ] || [[ "$output" != *"$part"* ]]; then
        printf 'FAILED: %s\n  exit code %s, wanted %s, with "%s" in:\n%s\n' \
            "$*" "$code" "$want" "$part" "$output"
        bad=1
    fi
}

# once PART COMMAND...: exits with 69 and has exactly one message, which says PART (grep -E). With `codes` set, one of those.
once() {
    local part=$1 output code
    shift
    output=$(timeout -k 5 60 "$@" 2>&1 </dev/null)
    code=$?
    if [[ " ${codes:-69} " != *" $code "* ]] || [ "$(grep -c "^gradus: " <<<"$output")" != 1 ] || ! grep -Eq "^gradus: .*$part" <<<"$output"; then
        printf 'FAILED: %s\n  exit code %s, wanted %s, with the one message "%s" in:\n%s\n' "$*" "$code" "${codes:-69}" "$part" "$output"
        bad=1
    fi
}

unset PMI_SIZE SLURM_STEP_NUM_TASKS
for ranks in 2 3; do
    expect 0 "" "$mpiexec" -np $ranks "$ends" well
    expect 1 "world->size < 0 does not hold" "$mpiexec" -np $ranks "$ends" assertion
    expect 65 "gradus: it failed" "$mpiexec" -np $ranks "$ends" failure
done
ranks=3
last="rank $((ranks - 1)) on $(uname -n) \\(process [0-9]+\\)"
once "$last hangs: its process lives, .*last known in forward, stage s, step 2" "$mpiexec" -np $ranks "$ends" hang
once "$last is stopped or frozen: .*its host answers" "$mpiexec" -np $ranks "$ends" stop
once "rank 0 on .* is stopped or frozen: .*its host answers" "$mpiexec" -np $ranks "$ends" stop-first
codes="69 137" once "$last has died: its process ended without a word" "$mpiexec" -np $ranks "$ends" kill # whose end mpirun sees first
expect 0 "warning: stage s, step 2 takes" "$mpiexec" -np $ranks "$ends" slow
expect 0 "rank $((ranks - 1)) on $(uname -n) (process" "$mpiexec" -np $ranks "$ends" slow
expect 0 "" "$mpiexec" -np $ranks "$ends" unwatched
# An error of one rank is not also a death to those who watch it.
for mode in failure assertion; do
    ! "$mpiexec" -np $ranks "$ends" $mode 2>&1 </dev/null | grep "The job ends" || { echo "FAILED: $mode was taken for a death" && bad=1; }
done
once "rank 0 on .* hangs" "$ends" hang
# Alone, with and without a launcher; 134 is SIGABRT.
expect 0 "" "$ends" well
expect 134 "world->size < 0 does not hold" "$ends" assertion
expect 65 "" "$ends" failure
expect 65 "" "$mpiexec" -np 1 "$ends" failure
# Processes that each think they are alone, as after the launcher of another MPI.
expect 69 "4 processes were started (PMI_SIZE=4), but each is alone" env PMI_SIZE=4 "$ends" well
expect 69 "mpirun -np 3 gradus" env SLURM_STEP_NUM_TASKS=3 "$ends" well
# What surrounds an mpirun inside a Slurm step is not meant for its processes.
expect 0 "" env SLURM_STEP_NUM_TASKS=3 "$mpiexec" -np 1 "$ends" well
expect 0 "" env SLURM_STEP_NUM_TASKS=3 "$mpiexec" -np 2 "$ends" well
# The batch script itself.
expect 0 "" env SLURM_NTASKS=4 SLURM_PROCID=0 "$ends" well
exit $bad
