#!/usr/bin/env bash
# R19: many ranks on few cores for many steps of a tiny model, with checkpoints, held-out data and digests: no rank's memory grows by 1 MiB after the
# first fifth of the steps, and all have as many descriptors at the end as then. cli/test_long.sh is its short form.
# usage: long.sh GRADUS FOLDER [RANKS] [STEPS] [PAUSE]     (16 ranks, 2000 steps, looks every 0.2 s)
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
GRADUS=$(realpath "$1") ranks=${3:-16} steps=${4:-2000} pause=${5:-0.2}
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh" "$2"
. "$here/train_support.sh"
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 \
    OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_rmaps_base_oversubscribe=1
# What a sanitizer keeps of freed memory is no growth.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
launcher=
trap '[ -z "$launcher" ] || kill -KILL "$launcher" $(cat pid.* 2>/dev/null) 2>/dev/null || true' EXIT

make_run
make_data held
sed -i "s/lanes: 8/lanes: $ranks/; s/global_batch: 12/global_batch: $((ranks + 2)), validation: [{path: held}], validate_every: $((steps / 40))/;
    s/every: 4/every: $((steps / 100))/; s/steps: 100000/steps: $steps/" recipe.yaml

# sample: appends "STEPS RANK RSS-KIB DESCRIPTORS" of every rank to ./samples, while there are steps to come.
sample() {
    local rank pid key value unit rss at lines=
    at=$(steps_done run)
    for ((rank = 0; rank < ranks; rank++)); do
        read -r pid <pid.$rank || continue
        rss=
        while read -r key value unit; do
            [ "$key" != Rss: ] || rss=$value
        done 2>/dev/null <"/proc/$pid/smaps_rollup" || continue
        set -- /proc/"$pid"/fd/*
        lines+="$at $rank $rss $#"$'\n'
    done
    [ "$(steps_done run)" -ge "$steps" ] || printf %s "$lines" >>samples
}

# watch: one run, looked at until it ends.
watch() {
    rm -rf run samples pid.*
    mpirun -n "$ranks" bash -c 'echo $$ >pid.$OMPI_COMM_WORLD_RANK; exec "$0" "$@"' "$GRADUS" train recipe.yaml --run run >stdout 2>log &
    launcher=$!
    wait_for_steps run 1 $launcher
    while kill -0 $launcher 2>/dev/null; do
        sample
        sleep "$pause"
    done
    wait $launcher || fail "$(cat log)"
    launcher=
}

# judge: what the samples say, in ./result. Status 3: there are too few of them.
judge() {
    awk -v steps="$steps" -v ranks="$ranks" '
        $1 < 0.2 * steps { next }
        { part = $1 < 0.4 * steps ? "first" : $1 >= 0.8 * steps ? "last" : "" }
        part == "" { next }
        {
            n[part, $2]++
            if ($3 > most[part, $2]) most[part, $2] = $3
            if (!((part, $2) in least) || $4 < least[part, $2]) least[part, $2] = $4
        }
        END {
            for (r = 0; r < ranks; r++) {
                if (n["first", r] < 3 || n["last", r] < 3) { print "rank " r ": too few samples: " n["first", r] + 0 ", " n["last", r] + 0; exit 3 }
                grown = most["last", r] - most["first", r]
                if (r == 0 || grown > worst) worst = grown
                if (grown >= 1024) { print "rank " r ": grew by " grown " KiB to " most["last", r]; bad = 1 }
                if (least["first", r] != least["last", r]) { print "rank " r ": " least["first", r] " descriptors, then " least["last", r]; bad = 1 }
                if (most["last", r] > largest) largest = most["last", r]
            }
            printf "%d ranks, %d steps: a rank grew by %d KiB at most, to %.1f MiB; %d and %d descriptors on the first and the last rank throughout\n",
                ranks, steps, worst, largest / 1024, least["last", 0], least["last", ranks - 1]
            exit bad
        }' samples >result
}

started=$(now)
for try in 1 2 3; do # a machine that was busy elsewhere at the wrong moment is asked again
    status=0
    watch
    judge || status=$?
    [ $status = 3 ] || break
done
[ $status = 0 ] || fail "$(cat result)"
echo "$(cat result); $(since "$started") s"
