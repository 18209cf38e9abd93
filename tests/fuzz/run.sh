#!/usr/bin/env bash
# Builds the fuzz targets with clang, libFuzzer and the address and undefined-behaviour sanitizers (build-fuzz/) and runs one.
# What it found new stays in build-fuzz/corpus/NAME for the next time; what crashed, in build-fuzz/NAME-crash-...
# usage: tests/fuzz/run.sh NAME SECONDS      e.g. image 600; NAME: of a tests/fuzz/fuzz_NAME.c
set -euo pipefail
[ $# = 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/../.."
name=$1 seconds=$2
[ -f "tests/fuzz/fuzz_$name.c" ] || { echo "no tests/fuzz/fuzz_$name.c" >&2; exit 2; }

. .ci/packages.sh
gr_packages_need fuzz
cmake --preset fuzz >/dev/null
cmake --build build-fuzz -j "$(getconf _NPROCESSORS_ONLN)" --target "fuzz_$name" >&2
corpus=build-fuzz/corpus/$name seeds=build-fuzz/seeds/$name
rm -rf "$seeds"
mkdir -p "$corpus" "$seeds"
number=0
while read -r glob; do
    for file in $glob; do # globs have no spaces
        number=$((number + 1))
        cp "$file" "$seeds/$number"
    done
done <"tests/fuzz/fuzz_$name.seeds"
OMP_NUM_THREADS=1 exec build-fuzz/tests/fuzz/"fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 \
    -print_final_stats=1 -artifact_prefix="build-fuzz/$name-" "$corpus" "$seeds"
