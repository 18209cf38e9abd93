#!/usr/bin/env bash
# doctor: every check is there, and this build's mathematics are right; the start-up guard.
. "$(dirname "$0")/lib.sh"

expect_code 0 "^ok +vision +agrees with its reference$" "$GRADUS" doctor
grep -Eq "^ok +language +agrees with its reference$" stdout || fail "no self-test of the language model"
for check in cpu cores memory blas product mpi libraries files disk; do
    grep -Eq "^(ok|warn) +$check +[^ ]" stdout || fail "doctor says nothing about $check"
done
for library in OpenBLAS HDF5 libwebp libjpeg-turbo libpng pcre2 utf8proc jansson libyaml xxHash; do
    grep -q "^ok *libraries .*$library [0-9v]" stdout || fail "doctor does not name $library's version"
done
expect_code 0 '"check": "vision"' "$GRADUS" doctor --json
expect_json stdout

# A user's own choice of kernels stays; the program starts itself again at most once.
expect_code 0 "OpenBLAS runs Haswell kernels" env OPENBLAS_CORETYPE=Haswell "$GRADUS" doctor
expect_code 0 "" env GRADUS_STARTED_WITH_CORETYPE=Haswell "$GRADUS" doctor
expect_code 0 "OMP_NUM_THREADS is 100000: set it to" env OMP_NUM_THREADS=100000 "$GRADUS" doctor

# A BLAS that chose too little: one restart, with the right kernels, and doctor says so. (The BLAS is made to
# look so by a small library put in front of it.)
if command -v cc >/dev/null && grep -qw avx2 /proc/cpuinfo && grep -qw fma /proc/cpuinfo; then
    cat >shim.c <<'END'
#include <stdio.h>
char *openblas_get_corename(void);
char *openblas_get_corename(void) { return "Prescott"; }
__attribute__((constructor)) static void count(void)
{
    FILE *f = fopen("starts", "a");
    fputs("start\n", f);
    fclose(f);
}
END
    cc -shared -fPIC -o shim.so shim.c
    low() { env -u OPENBLAS_CORETYPE ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD="$PWD/shim.so" "$@"; }
    expect_code 0 "OpenBLAS runs Prescott kernels \(corrected at start" low "$GRADUS" doctor
    rm starts
    expect_code 0 "^gradus" low "$GRADUS" --version
    [ "$(wc -l <starts)" -eq 2 ] || fail "$(wc -l <starts) starts, expected 2"
    rm starts
    expect_code 0 "^gradus" low OPENBLAS_CORETYPE=Prescott "$GRADUS" --version
    [ "$(wc -l <starts)" -eq 1 ] || fail "started again against the user's own setting"
else
    echo "notice: no C compiler or no AVX2: the restart was not tried"
fi

# Several processes: one speaks, all agree.
if command -v mpirun >/dev/null; then
    expect_code 0 "^ok +mpi .*; 2 processes$" mpirun -n 2 "$GRADUS" doctor
    [ "$(grep -c " libraries " stdout)" -eq 1 ] || fail "more than one rank speaks"
else
    echo "notice: no mpirun: doctor ran alone only"
fi

echo "doctor: all as expected"
