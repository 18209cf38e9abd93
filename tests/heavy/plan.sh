#!/usr/bin/env bash
# What `gradus plan` says beside what training does: peak memory of a rank (within 10 %) and time of a step (within 20 %), for three sizes of model, on 1 and 2
# ranks of one thread, fp32 and bf16. The plan is made on as many ranks as train, before and after each run, and its mean counts; of the run the median
# step, the first left out. Prints a table; fails where a ratio is out of its bound. A run that would need more than nine tenths of the free memory is left out.
# Times mean something on a machine with nothing else to do. CLOCK=cpu compares processor time instead, on one rank: that of a longer run without checkpoints less that of a shorter
# one, over the steps between; BOUND_TIME=1000 looks at memory alone.
# usage: plan.sh GRADUS FOLDER [SIZE...]     SIZE: small, middle, large (all). Needs python3, 20 GB of memory, half an hour.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,8s/^# //p' "$0" >&2; exit 2; }
GRADUS=$(realpath "$1") configs=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../configs" && pwd)
scratch=$2
shift 2
sizes=("${@:-small}")
[ $# -gt 0 ] || sizes=(small middle large)
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh" "$scratch"
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1 \
    OMPI_MCA_hwloc_base_binding_policy=none
bound_memory=${BOUND_MEMORY:-10} bound_time=${BOUND_TIME:-20} clock=${CLOCK:-wall}
counts="1 2"
[ "$clock" = wall ] || counts=1

# peak.py FILE COMMAND...: runs it and writes the most memory that it had, in KiB, and its processor time, to FILE.RANK.
cat >peak.py <<'END'
import os, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1] + "." + os.environ.get("OMPI_COMM_WORLD_RANK", "0"), "w") as f:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    f.write("%d %f\n" % (used.ru_maxrss, used.ru_utime + used.ru_stime))
sys.exit(code)
END
# recipe MODEL BATCH LENGTH STEPS PARTS
recipe() {
    cat <<END
lanes: 2
model: {vision: $configs/bench/$1.yaml, connector: $configs/bench/$1.yaml, language: $configs/bench/$1.yaml}
tokenizer: words
checkpoints: {every: $(($4 - 1))}
stages:
  - {name: all, trains: [$5], data: [{path: pictures}], global_batch: $2, sequence_length: $3, steps: $4, learning_rate: 1.0e-5}
END
}
number() {
    sed -n "s/^ *\"$1\": \([-0-9.e+]*\),*$/\1/p" "$2" | tail -n 1
}
plan() {
    mpirun -n "$2" "$GRADUS" plan "$1.yaml" --set precision="$3" --clock "$clock" --json >"$4" 2>log || fail "plan: $(cat log)"
}
# run SIZE RANKS PRECISION OPTIONS...
run() {
    local size=$1 ranks=$2 precision=$3
    shift 3
    rm -rf run peak.[0-9]*
    mpirun -n "$ranks" python3 peak.py peak "$GRADUS" train "$size.yaml" --set precision="$precision" --run run "$@" >stdout 2>log || fail "$size: $(cat log)"
}
# Seconds of a step of the run that just ended: the median, the first left out; or processor time, by another run of twice as many steps.
step_of() {
    local steps first without=checkpoints.every=0
    if [ "$clock" = wall ]; then
        sed -n 's/.*"seconds":\([0-9.e-]*\).*/\1/p' run/metrics.jsonl | tail -n +2 | sort -g |
            awk '{ a[NR] = $1 } END { print (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2 }'
        return
    fi
    steps=$(number steps before.json)
    run "$1" 1 "$2" --set $without
    first=$(cut -d' ' -f2 peak.0)
    run "$1" 1 "$2" --set $without --set stages.all.steps=$((2 * steps))
    awk -v a="$first" -v n="$steps" '{ print ($2 - a) / n }' peak.0
}

expect_code 0 "" "$GRADUS" data synth --task coarse,fine --count 400 --seed 1 --size 224 --out pictures
expect_code 0 "" "$GRADUS" tokenizer train --data pictures --vocabulary 400 --out words
recipe small 16 512 12 vision,connector,language >small.yaml
recipe middle 4 1024 4 vision,connector,language >middle.yaml
recipe full 2 640 3 vision,connector >large.yaml

printf '%-8s %-5s %5s %12s %12s %7s %12s %12s %7s\n' size prec ranks "plan MiB" "real MiB" ratio "plan s" "real s" ratio
failed=0
for size in "${sizes[@]}"; do
    for precision in fp32 bf16; do
        for ranks in $counts; do
            if ! "$GRADUS" train $size.yaml --dry-run --set precision=$precision >stdout 2>stderr; then
                grep -q bf16 stderr || fail "$(cat stderr)"
                echo "$size $precision: not on this machine"
                continue
            fi
            plan $size $ranks $precision before.json
            need=$(number rank before.json)
            free=$(awk '/^MemAvailable/ { print $2 * 1024 }' /proc/meminfo)
            if awk -v n="$need" -v r=$ranks -v f="$free" 'BEGIN { exit !(n * r > 0.9 * f) }'; then
                echo "$size $precision on $ranks ranks: left out, too little memory is free"
                continue
            fi
            run $size "$ranks" $precision
            real=$(cat peak.[0-9]* | cut -d' ' -f1 | sort -n | tail -n 1)
            step=$(step_of $size $precision)
            plan $size "$ranks" $precision after.json
            awk -v size=$size -v precision=$precision -v ranks=$ranks -v plan="$need" -v real="$real" -v a="$(number step before.json)" -v b="$(number step after.json)" \
                -v step="$step" -v bound_memory="$bound_memory" -v bound_time="$bound_time" 'BEGIN {
                plan /= 2^20; real /= 2^10; time = (a + b) / 2
                printf "%-8s %-5s %5d %12.1f %12.1f %7.3f %12.4f %12.4f %7.3f\n", size, precision, ranks, plan, real, plan / real, time, step, time / step
                m = 100 * (plan / real - 1); t = 100 * (time / step - 1)
                exit m > bound_memory || -m > bound_memory || t > bound_time || -t > bound_time
            }' || failed=1
        done
    done
done
uptime
[ $failed = 0 ] || fail "a ratio is out of its bound (memory $bound_memory %, time $bound_time %)"
