#!/usr/bin/env bash
# doctor: every check is there, and this build's mathematics are right; the start-up guard.
. "$(dirname "$0")/lib.sh"

expect_code 0 "^ready: [0-9]+ ok, [0-9]+ warn, 0 FAIL$" "$GRADUS" doctor
[ "$(tail -n 1 stdout | cut -d: -f 1)" = ready ] || fail "the verdict is not the last line"
for answer in random digest positions vision gradients connector internvit language qwen3 tiles resize bilinear pieces symbols order; do
    grep -Eq "^ok +$answer +agrees with its reference$" stdout || fail "no known answer of $answer"
done
grep -Eq "^ok +bits +1 and [0-9]+ threads give the same bits$" stdout || fail "no self-test of threads"
grep -Eq "^ok +split +one batch cut into packs, microbatches and lanes gives one gradient" stdout ||
    fail "no self-test of splitting"
grep -Eq "^ok +mpi +[^;]*; started alone; 1 rank" stdout || fail "doctor does not say how it was started"
for check in cpu cores threads memory pages blas product mpi libraries onednn cuda files disk; do
    grep -Eq "^(ok|warn) +$check +[^ ]" stdout || fail "doctor says nothing about $check"
done
grep -Eq "^ok +product +[0-9]+\.[0-9] GFLOP/s in one core \(.*\), [0-9]+\.[0-9] with [0-9]+ thread" stdout || fail "no rates"
for library in OpenBLAS HDF5 libwebp libjpeg-turbo libpng pcre2 utf8proc jansson libyaml xxHash; do
    grep -q "^ok *libraries .*$library [0-9v]" stdout || fail "doctor does not name $library's version"
done
expect_code 0 '"check": "vision"' "$GRADUS" doctor --json
grep -q '^  "verdict": "ready"' stdout || fail "no verdict in JSON"
expect_json stdout

# A user's own choice of kernels stays; the program starts itself again at most once.
expect_code 0 "OpenBLAS runs Haswell kernels" env OPENBLAS_CORETYPE=Haswell "$GRADUS" doctor
expect_code 0 "" env GRADUS_STARTED_WITH=OPENBLAS_CORETYPE "$GRADUS" doctor
expect_code 0 "OMP_NUM_THREADS is 100000: set it to" env OMP_NUM_THREADS=100000 "$GRADUS" doctor

# Waiting threads sleep where there are more than cores, unless the user says otherwise.
waits() { env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT -u KMP_BLOCKTIME "$@"; }
many=$(($(nproc) + 1))
slept() { grep -q "set at start" stdout; }
expect_code 0 "(ok|warn) +threads " waits OMP_NUM_THREADS=1 "$GRADUS" doctor
! slept || fail "one thread has nobody to wait for"
expect_code 0 "OMP_NUM_THREADS is $many.*; OMP_WAIT_POLICY=passive \(set at start\)$" waits OMP_NUM_THREADS=$many "$GRADUS" doctor
expect_code 0 "OMP_NUM_THREADS is $many.*; OMP_WAIT_POLICY=active$" waits OMP_WAIT_POLICY=active OMP_NUM_THREADS=$many "$GRADUS" doctor
expect_code 0 "OMP_NUM_THREADS is $many" waits GOMP_SPINCOUNT=100 OMP_NUM_THREADS=$many "$GRADUS" doctor
! slept || fail "GOMP_SPINCOUNT of the user was not heard"

# A launch in which N processes each think they are alone is unusable; the rest is reported all the same.
expect_code 69 "^FAIL +mpi .*started by srun; 4 processes were started" \
    env SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=4 "$GRADUS" doctor
grep -Eq "^unusable: .* 1 FAIL: mpi$" stdout || fail "no verdict of an unusable launch"
grep -Eq "^ok +split +one batch cut into packs, microbatches gives" stdout || fail "no self-test without MPI"
expect_code 69 '"verdict": "unusable"' env SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=4 "$GRADUS" doctor --json
expect_json stdout

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
    low() { env -u OPENBLAS_CORETYPE -u OMP_WAIT_POLICY ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD="$PWD/shim.so" "$@"; }
    expect_code 0 "OpenBLAS runs Prescott kernels \(corrected at start" low "$GRADUS" doctor
    starts() { # EXPECTED ENVIRONMENT...: of a command that computes
        local expected=$1
        shift
        rm -f starts
        expect_code 0 "" low "$@" "$GRADUS" bench step --help
        [ "$(wc -l <starts)" -eq "$expected" ] || fail "$* : $(wc -l <starts) starts, expected $expected"
    }
    starts 2
    starts 1 OPENBLAS_CORETYPE=Prescott
    starts 2 OPENBLAS_CORETYPE=Prescott OMP_NUM_THREADS=100
    starts 2 OMP_NUM_THREADS=100 # both reasons, one restart
    starts 1 OPENBLAS_CORETYPE=Prescott OMP_NUM_THREADS=100 OMP_WAIT_POLICY=active
    starts 1 OMP_NUM_THREADS=100 GRADUS_STARTED_WITH=
    rm -f starts
    expect_code 0 "^gradus" low "$GRADUS" --version
    [ "$(wc -l <starts)" -eq 1 ] || fail "a command that computes nothing started twice"
else
    echo "notice: no C compiler or no AVX2: the restart was not tried"
fi

# The self-test can fail: a BLAS that is a little wrong, always, for long rows only, or among several threads (not:
# outside the first, which may do all the work on a busy machine).
if command -v cc >/dev/null; then
    cat >wrong.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
int omp_get_num_threads(void);
typedef void product(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
product cblas_sgemm;
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                 int ldb, float beta, float *c, int ldc)
{
    product *right = (product *)dlsym(RTLD_NEXT, "cblas_sgemm");
    const char *when = getenv("WRONG");
    right(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    if (strcmp(when, "always") == 0 || (strcmp(when, "long") == 0 && m > 16) ||
        (strcmp(when, "threads") == 0 && omp_get_num_threads() > 1)) {
        c[0] += 1e-3f;
    }
}
END
    cc -shared -fPIC -o wrong.so wrong.c -ldl
    wrong() { env WRONG="$1" ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD="$PWD/wrong.so" "$GRADUS" doctor; }
    expect_code 1 "^FAIL +vision +self-test: .*expected .*got" wrong always
    grep -Eq "^wrong results: .*vision, gradients, connector, internvit, language, qwen3" stdout || fail "no verdict of wrong results"
    expect_code 1 "^FAIL +split +self-test: gradient of .*off by .*allowed" wrong long
    grep -Eq "^ok +language" stdout || fail "the shim is wrong for short rows too"
    expect_code 1 "^FAIL +bits +self-test: gradient element" wrong threads
    grep -Eq "^ok +vision" stdout || fail "the shim is wrong with one thread too"
fi

# Several processes: one speaks, all agree.
# Too few addresses for the BLAS: a finding, and an end (its own threads would ask for memory for ever, and exit waits for them).
# The sanitizers' shadow memory is beyond any limit.
limited() (
    ulimit -v "$1"
    shift
    exec timeout 60 "$@"
)
if limited 4000000 "$GRADUS" --version >/dev/null 2>&1; then
    for most in 250000 400000; do
        expect_code 0 "^gradus [0-9]" limited $most "$GRADUS" --version
        expect_code 69 "^FAIL +product +(OpenBLAS needs .* of addresses|cannot reserve .* of addresses).*ulimit -v" limited $most "$GRADUS" doctor
        grep -Eq "^warn +memory .*addresses limited to 0.[24] .ulimit -v.: little for training$" stdout || fail "no word of the limit: $(cat stdout)"
        grep -Eq "^unusable: .* 1 FAIL: product$" stdout || fail "no verdict: $(cat stdout)"
    done
    for most in 500000 700000 1000000 2000000; do # whatever is enough
        status=0
        limited $most "$GRADUS" doctor >stdout 2>stderr || status=$?
        [ $status = 0 ] || { [ $status = 69 ] && grep -q "ulimit -v" stdout; } || { [ $status = 1 ] && grep -q libgomp stderr; } ||
            fail "exit $status with $most KiB of addresses: $(cat stdout stderr)"
    done
fi

if command -v mpirun >/dev/null; then
    expect_code 0 "^ok +mpi .*; started by mpirun; 2 ranks, 2 on this node$" mpirun -n 2 "$GRADUS" doctor
    grep -Eq "^ok +split .* and lanes gives" stdout || fail "no self-test across ranks"
    [ "$(grep -c " libraries " stdout)" -eq 1 ] || fail "more than one rank speaks"
    expect_code 0 "" mpirun -n 3 "$GRADUS" doctor # no power of two
    # The default threads: all cores of a mask of one's own, a part of one that all share.
    cores=$(nproc)
    first=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
    default() { env -u OMP_NUM_THREADS mpirun --bind-to none -n 2 "$@" "$GRADUS" doctor; }
    expect_code 0 "^ok +threads +$((cores < 2 ? 1 : cores / 2)) per rank \(the default\)" default
    expect_code 0 "^ok +threads +1 per rank \(the default\)" default taskset -c "$first"
    if [ "$cores" -ge 2 ]; then
        expect_code 0 "^warn +threads +OMP_NUM_THREADS is 2: set it to 1 \(1 core for this rank, 2 ranks here\)" \
            env OMP_NUM_THREADS=2 mpirun --bind-to none -n 2 taskset -c "$first" "$GRADUS" doctor
    fi
else
    echo "notice: no mpirun: doctor ran alone only"
fi

echo "doctor: all as expected"
