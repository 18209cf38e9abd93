#!/usr/bin/env bash
# 200 flipped bits in each region of a shard and of its manifest, 1000 cuts: the long form of test_damage, as users run it and under
# the sanitizers. Prints how the tries ended; some seconds.
# usage: damage.sh BUILD...        e.g. build build-debug
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
for build; do
    echo "== $build"
    OMP_NUM_THREADS=1 GR_FLIPS=200 GR_CUTS=1000 LSAN_OPTIONS=detect_leaks=0 "$build/tests/test_damage"
done
