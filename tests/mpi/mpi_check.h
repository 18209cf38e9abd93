#ifndef TESTS_MPI_MPI_CHECK_H
#define TESTS_MPI_MPI_CHECK_H

/// Tests that run on several ranks: like GR_TEST_MAIN, with MPI around it. All ranks run the same
/// tests in the same order and get one verdict: failures on any rank fail every rank. A failed
/// check does not leave the test, so ranks stay in step.

#include "mpi/world.h"
#include "tests/check.h"

/// The ranks of this run, alive while tests run.
extern gr_world *gr_test_world;

int gr_mpi_test_main(const char *suite, const gr_test *tests, size_t count, int argc,
                     char **argv);
#define GR_MPI_TEST_MAIN(suite, tests)                                                         \
    int main(int argc, char **argv)                                                            \
    {                                                                                          \
        return gr_mpi_test_main((suite), (tests), sizeof(tests) / sizeof(tests)[0], argc,      \
                                argv);                                                         \
    }

#endif
