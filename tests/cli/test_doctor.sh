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

echo "doctor: all as expected"
