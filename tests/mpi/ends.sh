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

unset PMI_SIZE SLURM_STEP_NUM_TASKS
for ranks in 2 3; do
    expect 0 "" "$mpiexec" -np $ranks "$ends" well
    expect 1 "world->size < 0 does not hold" "$mpiexec" -np $ranks "$ends" assertion
    expect 65 "" "$mpiexec" -np $ranks "$ends" failure
done
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
