#!/usr/bin/env bash
# R11: power losses during a save, on 1 and 3 ranks; every state of the disk is tried once, and each gives the old or the new checkpoint.
# usage: crash_states.sh BUILD [STATES, of all]
set -euo pipefail
build=$(realpath "$1") states=${2:-2000}
export GR_SOURCE_DIR OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
    OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none
GR_SOURCE_DIR=$(realpath "$(dirname "$0")/../..")
for ranks in 1 3; do
    echo "$ranks ranks"
    GR_CRASH_STATES=$((states / 2)) mpirun -n $ranks "$build/tests/test_crash_states" | grep -o "[^.]* states,.*"
done
echo "crash_states: all states give the old or the new checkpoint, whole"
