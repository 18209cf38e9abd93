#!/usr/bin/env bash
# Builds Gradus and runs all its tests: as users run it (build/), then once more under the address and
# undefined-behaviour sanitizers (build-debug/). Installs missing packages first where it can (.ci/packages.sh).
# Warnings are errors when CI is set. The last line is "N passed, N failed" over both runs; status 1 on any failure. What the
# machine lacks (bf16) is neither: ctest names it as skipped.
# In continuous integration what has threads runs a third time, under the thread sanitizer (build-tsan/), if clang is there.
# usage: ./run-tests.sh [--fast | --tsan]    --fast: as users run it only    --tsan: all tests under the thread sanitizer only
set -euo pipefail
cd "$(dirname "$0")"
case "${CI:-}" in "" | 0 | false) ci=no ;; *) ci=yes ;; esac
presets="release debug" threads_only=yes
case "${1:-}" in
    "") [ $ci = no ] || ! command -v clang-14 >/dev/null || presets="release debug tsan" ;;
    --fast) presets=release ;;
    --tsan) presets=tsan threads_only=no ;;
    *) sed -n '2,7s/^# //p' "$0"; [ "$1" = --help ] && exit 0 || exit 2 ;;
esac
exec </dev/null

. .ci/packages.sh
gr_packages_need tests
[ $threads_only = yes ] || gr_packages_need ci
jobs=$(getconf _NPROCESSORS_ONLN)
passed=0 failed=0 skipped=0

folder_of() { [ "$1" = release ] && echo build || echo "build-$1"; }

build() { # PRESET
    local generator=() werror=OFF
    if command -v ninja >/dev/null && [ ! -e "$(folder_of "$1")/CMakeCache.txt" ]; then
        generator=(-G Ninja)
    fi
    # gcc's warnings: clang, which only the thread sanitizer uses, has others.
    [ $ci = no ] || [ "$1" = tsan ] || werror=ON
    cmake --preset "$1" "${generator[@]}" -DGRADUS_WERROR=$werror >/dev/null &&
        cmake --build "$(folder_of "$1")" -j "$jobs"
}

# Adds the tests of a build to `passed` and `failed`, test by test from what ctest prints.
run() { # PRESET
    local log all good left_out status=0 some=()
    [ "$1" != tsan ] || [ $threads_only = no ] || some=(-L threads)
    log=$(folder_of "$1")/run-tests.log
    (cd "$(folder_of "$1")" && ctest --output-on-failure -j "$jobs" "${some[@]}") | tee "$log" || status=$?
    all=$(grep -cE '^ *[0-9]+/[0-9]+ +Test +#' "$log" || true)
    good=$(grep -cE '^ *[0-9]+/[0-9]+ +Test +#.* Passed ' "$log" || true)
    left_out=$(grep -cE '^ *[0-9]+/[0-9]+ +Test +#.*\*\*\*Skipped ' "$log" || true)
    passed=$((passed + good)) failed=$((failed + all - good - left_out)) skipped=$((skipped + left_out))
    if [ "$all" = 0 ] || { [ $status != 0 ] && [ "$all" = $((good + left_out)) ]; }; then
        failed=$((failed + 1)) # ctest itself went wrong
    fi
}

for preset in $presets; do
    echo "== $preset"
    if build "$preset"; then
        run "$preset"
    else
        echo "the $preset build failed" >&2
        failed=$((failed + 1))
    fi
done
[ $skipped = 0 ] || echo "$skipped skipped: this machine lacks what they need"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
