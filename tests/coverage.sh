#!/usr/bin/env bash
# Line coverage per room: builds with counters (build-coverage/), runs all tests, adds up what gcov says.
# usage: tests/coverage.sh [--lines]    --lines: also each file, the least covered first
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
jobs=$(getconf _NPROCESSORS_ONLN)
cmake --preset coverage >/dev/null
# Counters of another state of the tree count for nothing, and neither does what the build itself runs.
find build-coverage -name '*.gcda' -delete
cmake --build build-coverage -j "$jobs" >/dev/null
find build-coverage -name '*.gcda' -delete
# Programs that run into a limit on file sizes, as tests want them to, cannot write their counters: no word of that.
export GCOV_ERROR_FILE=/dev/null
# A failing test still covers lines, but its figures are not those of a finished tree.
(cd build-coverage && ctest -j "$jobs" >coverage-tests.log) ||
    echo "notice: some tests failed, see build-coverage/coverage-tests.log" >&2

# "FILE COVERED LINES" for each source of the house. Killed ranks write no counters: what only they run counts as not run.
cd build-coverage
find . -path './CMakeFiles/gradus*.gcda' -print0 | xargs -0 gcov -n -s "$root" 2>/dev/null |
    awk -F "'" '/^File/ { file = $2 }
        /^Lines executed:/ && file ~ /^(src|mpi|datasets|stages)\/.*\.c$/ {
            split($0, part, /[:% ]+/)
            printf "%s %.0f %d\n", file, part[3] * part[5] / 100, part[5]
        }
        /^Lines executed:/ { file = "" }' >coverage.txt
[ -s coverage.txt ] || { echo "coverage.sh: gcov told nothing" >&2; exit 1; }
if [ "${1:-}" = --lines ]; then
    awk '{ printf "%5.1f %%  %4d of %4d  %s\n", 100 * $2 / $3, $2, $3, $1 }' coverage.txt | sort -n
    echo
fi
awk '{ room = $1; sub(/\/[^\/]*$/, "", room); good[room] += $2; all[room] += $3; g += $2; a += $3 }
    END { for (r in all) printf "%5.1f %%  %5d of %5d lines  %s\n", 100 * good[r] / all[r], good[r], all[r], r | "sort -k7"
          close("sort -k7"); printf "%5.1f %%  %5d of %5d lines  all\n", 100 * g / a, g, a }' coverage.txt
