#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

/// Assertions over CUnit that can fail, print expected and got, and reject NaN first.
/// A test file is: static tests, one table, one line GR_TEST_MAIN.
///
///   static void test_sum(void) { GR_CHECK_INT(1 + 1, 2); }
///   static const gr_test tests[] = {{"sum", test_sum}};
///   GR_TEST_MAIN("arithmetic", tests)
///
/// `program NAME` runs one test by name, `program --with-needs` those that need something of the machine, `program
/// --without-needs` the others. A test whose need is missing does not run: it is printed with the reason and counted
/// as inactive. Exit status: 1 if any assertion failed, else 77 (GR_TEST_SKIPPED) if nothing could run, else 0.

#include "src/base/err.h"

#include <stdint.h>

typedef struct gr_test {
    const char *name;
    void (*run)(void);
    /// What the test needs of the machine and is not there, as text for the reader; NULL if it is. No function: no
    /// needs.
    const char *(*missing)(void);
} gr_test;

enum { GR_TEST_SKIPPED = 77 }; ///< what ctest shows as skipped (tests/CMakeLists.txt)

/// Each returns whether it held, after telling CUnit; use GR_CHECK_* below.
bool gr_check(bool ok, const char *text, const char *file, int line);
bool gr_check_int(int64_t got, int64_t want, const char *text, const char *file, int line);
bool gr_check_str(const char *got, const char *want, const char *text, const char *file,
                  int line);
/// |got - want| <= atol + rtol |want| for each of n numbers; NaN or Inf in either fails.
bool gr_check_close_f32(const float *got, const float *want, int64_t n, double rtol,
                        double atol, const char *text, const char *file, int line);
bool gr_check_close_f64(const double *got, const double *want, int64_t n, double rtol,
                        double atol, const char *text, const char *file, int line);
/// ||got - want|| <= rtol ||want|| + atol over n numbers; NaN or Inf fails.
bool gr_check_norm_f32(const float *got, const float *want, int64_t n, double rtol, double atol,
                       const char *text, const char *file, int line);
bool gr_check_bytes(const void *got, const void *want, size_t n, const char *text,
                    const char *file, int line);
/// The call succeeded (prints the message otherwise) / failed with this code and a message that contains `part`.
bool gr_check_ok(gr_err err, const char *text, const char *file, int line);
bool gr_check_err(gr_err err, gr_err want, const char *part, const char *text, const char *file,
                  int line);

#define GR_CHECK(cond)          gr_check((cond), #cond, __FILE__, __LINE__)
#define GR_CHECK_INT(got, want) gr_check_int((got), (want), #got, __FILE__, __LINE__)
#define GR_CHECK_STR(got, want) gr_check_str((got), (want), #got, __FILE__, __LINE__)
#define GR_CHECK_CLOSE(got, want, n, rtol, atol)                                               \
    gr_check_close_f32((got), (want), (n), (rtol), (atol), #got, __FILE__, __LINE__)
#define GR_CHECK_CLOSE_F64(got, want, n, rtol, atol)                                           \
    gr_check_close_f64((got), (want), (n), (rtol), (atol), #got, __FILE__, __LINE__)
#define GR_CHECK_NORM(got, want, n, rtol, atol)                                                \
    gr_check_norm_f32((got), (want), (n), (rtol), (atol), #got, __FILE__, __LINE__)
#define GR_CHECK_BYTES(got, want, n)                                                           \
    gr_check_bytes((got), (want), (n), #got, __FILE__, __LINE__)
#define GR_CHECK_OK(call) gr_check_ok((call), #call, __FILE__, __LINE__)
#define GR_CHECK_ERR(call, want, part)                                                         \
    gr_check_err((call), (want), (part), #call, __FILE__, __LINE__)

/// A fresh empty folder for this test program under the build tree; removed at exit if all passed.
const char *gr_test_dir(void);

/// Runs `body` in a child process and reads its standard error into text[size]; returns the wait status, -1 if it
/// could not.
int gr_test_child(void (*body)(void), char *text, size_t size);

int gr_test_main(const char *suite, const gr_test *tests, size_t count, int argc, char **argv);
#define GR_TEST_MAIN(suite, tests)                                                             \
    int main(int argc, char **argv)                                                            \
    {                                                                                          \
        return gr_test_main((suite), (tests), sizeof(tests) / sizeof(tests)[0], argc, argv);   \
    }

/// The verdict of all ranks in MPI tests, which use GR_MPI_TEST_MAIN of tests/mpi/mpi_check.h: called
/// with this rank's failures, returns the sum over ranks. NULL in other tests.
extern int (*gr_test_reduce)(int failures);

#endif
