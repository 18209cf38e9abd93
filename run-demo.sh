#!/usr/bin/env bash
# The demonstration: two pretrainings and three stages of training on two MPI ranks, a refined vision encoder out. Installs what
# is missing, builds, and leaves everything in curriculum/ (drawn problems, questions and answers; no download but packages) or,
# with --real, in demo/ (real captioned pictures and text of Debian packages). Run again, it goes on where it stopped; what is
# finished is not done twice.
# usage: ./run-demo.sh [--real]
set -euo pipefail
cd "$(dirname "$0")"
case "${1:-}" in
    "") which=drawn ;;
    --real) which=real ;;
    *) sed -n '2,6s/^# //p' "$0"; [ "$1" = --help ] && exit 0 || exit 2 ;;
esac

. .ci/packages.sh
gr_packages_need demo
start=$SECONDS
say() { printf '\n== %s  (%d s)\n' "$*" $((SECONDS - start)); }

say "Build"
# Without the tests, which need CUnit, unless somebody builds them in this folder already.
[ -e build/CMakeCache.txt ] || cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF >/dev/null
cmake --build build -j "$(nproc)" --target gradus
gradus=$PWD/build/gradus

# Two ranks on this machine, one thread each; loopback only.
export OMP_NUM_THREADS=1 OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo \
    OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none \
    OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_odls_base_sigkill_timeout=60 # time to save after Ctrl-C
if [ "$(id -u)" = 0 ]; then # mpirun refuses root unless told twice
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

say "Machine"
"$gradus" doctor
. configs/demo/$which.sh
