#!/usr/bin/env bash
# slurm/train.sh, with stand-ins for Slurm's commands: a real one tells the script no more than they do (docs/cluster.md has what was
# seen on one).
. "$(dirname "$0")/lib.sh"
job=$here/../../slurm/train.sh
real_mpirun=$(command -v mpirun)

expect_code 0 "" bash -n "$job"
make_tokenizer tokenizer
make_model model 3
cat >recipe.yaml <<END
lanes: 2
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
stages:
  - {name: all, trains: [connector], data: [{path: tokenizer.data}], global_batch: 2, sequence_length: 300, steps: 400, learning_rate: 1.0e-3}
END
expect_code 0 "" mpirun -n 2 "$GRADUS" train recipe.yaml --run whole --threads 1
parts >whole.parts
[ "$(wc -l <whole.parts)" = 3 ] || fail "no digests of the whole run"

# Both launchers note how they were called and start two ranks of the program, or do what FAULT says instead.
mkdir bin
ln -s "$GRADUS" bin/gradus
cat >bin/srun <<END
#!/usr/bin/env bash
echo "\${0##*/} \$*" >>started
[ -z "\${FAULT:-}" ] || eval "\$FAULT"
while [ "\$1" != gradus ]; do shift; done
exec "$real_mpirun" -n 2 "\$@"
END
cp bin/srun bin/mpirun
cat >bin/scontrol <<END
#!/usr/bin/env bash
echo "\$*" >>controlled
[ -z "\${REFUSED:-}" ]
END
chmod +x bin/*
in_job=(env PATH="$PWD/bin:$PATH" SLURM_JOB_ID=7 SLURM_CPUS_PER_TASK=1)
as_job() { "${in_job[@]}" "$@"; }

# warned LAUNCHER: a job that is warned in its first steps, as before its time limit. It saves and queues itself again; the next
# start goes on to the end, in the bits of a run that was never stopped.
warned() {
    local run=run.$1 script i
    rm -f started controlled
    "${in_job[@]}" LAUNCHER="$1" bash "$job" recipe.yaml "$run" --threads 1 >stdout 2>stderr &
    script=$!
    for ((i = 0; i < 600; i++)); do
        [ ! -s "$run/metrics.jsonl" ] || break
        sleep 0.1
    done
    kill -USR1 "$script"
    wait "$script" || fail "$1: a job that was stopped in time ended with $?: $(cat stdout stderr)"
    grep -q "gradus ended with 75" stdout || fail "$1: not stopped cleanly: $(cat stdout stderr)"
    [ "$(cat controlled)" = "requeue 7" ] || fail "$1: not queued again: $(cat controlled)"
    ls "$run"/checkpoints/update-* >/dev/null || fail "$1: nothing was saved"
    expect_code 0 "going on from $run/checkpoints/update-" as_job env LAUNCHER="$1" SLURM_RESTART_COUNT=1 bash "$job" recipe.yaml "$run" --threads 1
    grep -q "start 1 of job 7, newest checkpoint .*/update-0" stdout || fail "$1: no word about the restart: $(cat stdout)"
    expect_same whole.parts "$1 after a restart"
    [ "$(wc -l <controlled)" = 1 ] || fail "$1: a finished job was queued again"
    [ "$(wc -l <started)" = 2 ] || fail "$1: started $(wc -l <started) times"
}
warned srun
grep -q -- "^srun --mpi=pmix --cpus-per-task=1 .*gradus train recipe.yaml --run run.srun --threads 1$" started || fail "srun was started as $(cat started)"
warned mpirun
grep -q -- "^mpirun --map-by slot:PE=1 --bind-to core .*gradus train recipe.yaml --run run.mpirun" started || fail "mpirun was started as $(cat started)"

# A mistake stays one however often it is tried; a job that may not be queued again says so.
rm -f controlled
expect_code 66 "gradus ended with 66" as_job bash "$job" nowhere.yaml run.none
expect_code 2 "LAUNCHER: expected srun or mpirun, got orterun" as_job env LAUNCHER=orterun bash "$job" recipe.yaml run.none
expect_code 1 "usage: sbatch train.sh RECIPE.yaml RUN" as_job bash "$job" recipe.yaml
[ ! -e controlled ] || fail "a mistake was queued again"
expect_code 75 "" as_job env REFUSED=1 FAULT="exit 75" bash "$job" recipe.yaml run.none
# A lost node is worth another try where the job got further, and only there.
rm -f controlled
expect_code 137 "" as_job env FAULT="exit 137" bash "$job" recipe.yaml run.lost
[ ! -e controlled ] || fail "a job that gets nowhere was queued again"
expect_code 0 "" as_job env FAULT="mkdir -p run.lost/checkpoints/update-00000009; exit 137" bash "$job" recipe.yaml run.lost
[ "$(cat controlled)" = "requeue 7" ] || fail "a job that got further was not queued again"
expect_code 69 "" as_job env FAULT="mkdir run.lost/checkpoints/update-00000010.tmp; exit 69" bash "$job" recipe.yaml run.lost
[ "$(wc -l <controlled)" = 1 ] || fail "a checkpoint that is not whole counts as progress"

echo "slurm: all as expected"
