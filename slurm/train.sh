#!/usr/bin/env bash
# Trains a recipe as a Slurm job that stops before its time limit, saves, and queues itself again until it is done.
# Copy it, change the #SBATCH lines to your cluster, then
#   sbatch train.sh RECIPE.yaml RUN [ARGUMENT of gradus train]...
# LAUNCHER=mpirun sbatch ... starts the ranks with mpirun instead of srun. docs/cluster.md explains each line.
#SBATCH --job-name=gradus
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=gradus-%j.log
set -u
recipe=${1:?"usage: sbatch train.sh RECIPE.yaml RUN [ARGUMENT]..."}
run=${2:?"usage: sbatch train.sh RECIPE.yaml RUN [ARGUMENT]..."}
shift 2
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}

newest_checkpoint() {
    find "$run/checkpoints" -mindepth 1 -maxdepth 1 -name "update-*[0-9]" 2>/dev/null | sort | tail -n 1
}
before=$(newest_checkpoint)

case ${LAUNCHER:-srun} in
srun) start=(srun --mpi=pmix --cpus-per-task="$OMP_NUM_THREADS" --cpu-bind=cores) ;;
mpirun) start=(mpirun --map-by "slot:PE=$OMP_NUM_THREADS" --bind-to core
    --mca oob_tcp_keepalive_time 3 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 3) ;;
*) echo "LAUNCHER: expected srun or mpirun, got $LAUNCHER" >&2 && exit 2 ;;
esac
echo "$(date): start ${SLURM_RESTART_COUNT:-0} of job $SLURM_JOB_ID, newest checkpoint ${before:-none}"
"${start[@]}" gradus train "$recipe" --run "$run" "$@" &
launcher=$!

# Slurm warns this shell; the launcher passes USR1 on to every rank, which end with 75 after their step. A trap interrupts
# `wait`, so it is asked again: the shell keeps the status.
warned=yes
trap 'warned=yes; kill -USR1 "$launcher"' USR1
while [ "$warned" = yes ]; do
    warned=no
    wait "$launcher"
    status=$?
done
echo "$(date): gradus ended with $status"

# 75: stopped in time. Anything else than success and mistakes (2, 65, 66, 74, 76, 78) may be a node that was lost: worth another
# try where this one got further than the last.
case $status in
0 | 2 | 65 | 66 | 74 | 76 | 78) exit "$status" ;;
75) ;;
*) [ "$(newest_checkpoint)" != "$before" ] || exit "$status" ;;
esac
scontrol requeue "$SLURM_JOB_ID" || exit "$status"
