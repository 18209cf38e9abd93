#include "tests/check.h"

#include "src/base/file.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int (*gr_test_reduce)(int failures);

static char test_dir[4096];

bool gr_check(bool ok, const char *text, const char *file, int line)
{
    return CU_assertImplementation(ok, (unsigned)line, text, file, "", CU_FALSE);
}

bool gr_check_int(int64_t got, int64_t want, const char *text, const char *file, int line)
{
    if (got != want) {
        printf("\n    %s: got %" PRId64 ", want %" PRId64 "\n", text, got, want);
    }
    return gr_check(got == want, text, file, line);
}

bool gr_check_str(const char *got, const char *want, const char *text, const char *file,
                  int line)
{
    bool ok = got && want ? strcmp(got, want) == 0 : got == want;
    if (!ok) {
        printf("\n    %s: got \"%s\", want \"%s\"\n", text, got ? got : "(null)",
               want ? want : "(null)");
    }
    return gr_check(ok, text, file, line);
}

/// What the closeness checks remember while they walk over the numbers.
typedef struct comparison {
    int64_t bad, first, worst; ///< how many fail, the first of them, the one furthest off
    double excess;             ///< of the worst: distance beyond what is allowed
} comparison;

static void compare(comparison *c, int64_t i, double got, double want, double rtol, double atol)
{
    double excess = fabs(got - want) - (atol + rtol * fabs(want));
    if (!isfinite(got) || !isfinite(want)) {
        excess = INFINITY;
    }
    // Written so that a NaN tolerance fails too.
    if (!(excess <= 0)) {
        if (c->bad++ == 0) {
            c->first = i;
        }
        if (c->bad == 1 || excess > c->excess) {
            c->excess = excess;
            c->worst = i;
        }
    }
}

static void print_pair(const char *which, int64_t i, double got, double want)
{
    printf("      %s [%" PRId64 "]: got %.9g, want %.9g, off by %.3g\n", which, i, got, want,
           fabs(got - want));
}

bool gr_check_close_f32(const float *got, const float *want, int64_t n, double rtol,
                        double atol, const char *text, const char *file, int line)
{
    comparison c = {0};
    for (int64_t i = 0; i < n; i++) {
        compare(&c, i, (double)got[i], (double)want[i], rtol, atol);
    }
    if (c.bad) {
        printf("\n    %s: %" PRId64 " of %" PRId64 " beyond rtol %g, atol %g\n", text, c.bad, n,
               rtol, atol);
        print_pair("first", c.first, (double)got[c.first], (double)want[c.first]);
        print_pair("worst", c.worst, (double)got[c.worst], (double)want[c.worst]);
    }
    return gr_check(c.bad == 0, text, file, line);
}

bool gr_check_close_f64(const double *got, const double *want, int64_t n, double rtol,
                        double atol, const char *text, const char *file, int line)
{
    comparison c = {0};
    for (int64_t i = 0; i < n; i++) {
        compare(&c, i, got[i], want[i], rtol, atol);
    }
    if (c.bad) {
        printf("\n    %s: %" PRId64 " of %" PRId64 " beyond rtol %g, atol %g\n", text, c.bad, n,
               rtol, atol);
        print_pair("first", c.first, got[c.first], want[c.first]);
        print_pair("worst", c.worst, got[c.worst], want[c.worst]);
    }
    return gr_check(c.bad == 0, text, file, line);
}

bool gr_check_norm_f32(const float *got, const float *want, int64_t n, double rtol, double atol,
                       const char *text, const char *file, int line)
{
    double distance = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        distance += d * d;
        norm += (double)want[i] * (double)want[i];
    }
    distance = sqrt(distance);
    norm = sqrt(norm);
    bool ok = isfinite(distance) && isfinite(norm) && distance <= rtol * norm + atol;
    if (!ok) {
        printf("\n    %s: off by %.3g of norm %.9g (%.3g relative), allowed rtol %g, atol %g\n",
               text, distance, norm, distance / norm, rtol, atol);
    }
    return gr_check(ok, text, file, line);
}

bool gr_check_bytes(const void *got, const void *want, size_t n, const char *text,
                    const char *file, int line)
{
    const unsigned char *a = got, *b = want;
    size_t i = 0;
    while (i < n && a[i] == b[i]) {
        i++;
    }
    if (i < n) {
        printf("\n    %s: byte %zu of %zu: got %02x, want %02x\n", text, i, n, a[i], b[i]);
    }
    return gr_check(i == n, text, file, line);
}

bool gr_check_ok(gr_err err, const char *text, const char *file, int line)
{
    if (err != GR_OK) {
        printf("\n    %s: %s: %s\n%s", text, gr_err_name(err), gr_err_message(),
               gr_err_trail());
    }
    return gr_check(err == GR_OK, text, file, line);
}

bool gr_check_err(gr_err err, gr_err want, const char *part, const char *text, const char *file,
                  int line)
{
    const char *message = err == GR_OK ? "" : gr_err_message();
    bool ok = err == want && strstr(message, part);
    if (!ok) {
        printf("\n    %s: got %s \"%s\",\n      want %s with \"%s\"\n", text, gr_err_name(err),
               message, gr_err_name(want), part);
    }
    return gr_check(ok, text, file, line);
}

const char *gr_test_dir(void)
{
    if (!test_dir[0]) {
        snprintf(test_dir, sizeof test_dir, "%s/%s.%ld", GR_TEST_ROOT,
                 program_invocation_short_name, (long)getpid());
        gr_err err = gr_dir_remove(test_dir);
        err = err == GR_OK ? gr_dir_make(test_dir) : err;
        if (err != GR_OK) {
            fprintf(stderr, "%s\n", gr_err_message());
            exit(1);
        }
    }
    return test_dir;
}

int gr_test_child(void (*body)(void), char *text, size_t size)
{
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0) {
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        body();
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t n;
    while (used + 1 < size && (n = read(ends[0], text + used, size - 1 - used)) > 0) {
        used += (size_t)n;
    }
    text[used] = '\0';
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

static bool wanted(const gr_test *test, const char *only)
{
    if (only && strcmp(only, "--with-needs") == 0) {
        return test->missing != NULL;
    }
    if (only && strcmp(only, "--without-needs") == 0) {
        return test->missing == NULL;
    }
    return !only || strcmp(only, test->name) == 0;
}

/// Inactive where what it needs is missing.
static bool add_test(CU_pSuite suite, const gr_test *test)
{
    CU_pTest added = CU_add_test(suite, test->name, test->run);
    const char *missing = test->missing ? test->missing() : NULL;
    if (!added || (missing && CU_set_test_active(added, CU_FALSE) != CUE_SUCCESS)) {
        fprintf(stderr, "%s: %s\n", test->name, CU_get_error_msg());
        return false;
    }
    if (missing) {
        printf("skipped: %s: %s\n", test->name, missing);
    }
    return true;
}

static bool add_tests(CU_pSuite suite, const gr_test *tests, size_t count, const char *only)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (wanted(&tests[i], only)) {
            if (!add_test(suite, &tests[i])) {
                return false;
            }
            any = true;
        }
    }
    if (!any) {
        fprintf(stderr, "no test named %s; there are:\n", only ? only : "(any)");
        for (size_t i = 0; i < count; i++) {
            fprintf(stderr, "  %s\n", tests[i].name);
        }
    }
    return any;
}

/// Failures of this process, and how many tests ran. CUnit's own return value says only that it could run.
static int run_suite(const char *name, const gr_test *tests, size_t count, const char *only,
                     unsigned *ran)
{
    if (CU_initialize_registry() != CUE_SUCCESS) {
        return 1;
    }
    int failures = 1;
    CU_pSuite suite = CU_add_suite(name, NULL, NULL);
    if (suite && add_tests(suite, tests, count, only)) {
        CU_basic_set_mode(CU_BRM_VERBOSE);
        CU_set_fail_on_inactive(CU_FALSE);
        bool could = CU_basic_run_tests() == CUE_SUCCESS;
        *ran = CU_get_number_of_tests_run();
        could = could && *ran + CU_get_number_of_tests_inactive() > 0;
        failures = could ? (int)CU_get_number_of_failures() : 1;
    }
    CU_cleanup_registry();
    return failures;
}

int gr_test_main(const char *suite, const gr_test *tests, size_t count, int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); // a crash must not swallow what was printed
    unsigned ran = 0;
    int failures = run_suite(suite, tests, count, argc > 1 ? argv[1] : NULL, &ran);
    if (gr_test_reduce) {
        failures = gr_test_reduce(failures);
    }
    if (failures == 0 && test_dir[0] && gr_dir_remove(test_dir) != GR_OK) {
        fprintf(stderr, "%s\n", gr_err_message());
    }
    return failures > 0 ? 1 : ran > 0 ? 0 : GR_TEST_SKIPPED;
}
