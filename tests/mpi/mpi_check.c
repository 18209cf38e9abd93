#include "tests/mpi/mpi_check.h"

#include "src/base/mem.h"

#include <stdio.h>

gr_world *gr_test_world;

/// The sum over ranks, the same on every rank; an MPI error counts as a failure.
static int sum_failures(int mine)
{
    gr_err err = GR_OK;
    int *all = NULL, sum = 0;
    GR_ALLOC(all, gr_test_world->size);
    GR_TRY(gr_world_gather(gr_test_world, &mine, sizeof mine, all));
    for (int rank = 0; rank < gr_test_world->size; rank++) {
        sum += all[rank];
    }
done:
    if (err != GR_OK) {
        fprintf(stderr, "rank %d: %s\n", gr_test_world->rank, gr_err_message());
        sum = mine + 1;
    }
    GR_FREE(all);
    return sum;
}

int gr_mpi_test_main(const char *suite, const gr_test *tests, size_t count, int argc,
                     char **argv)
{
    if (gr_world_create(&gr_test_world) != GR_OK) {
        fprintf(stderr, "%s\n", gr_err_message());
        return 1;
    }
    gr_test_reduce = sum_failures;
    int status = gr_test_main(suite, tests, count, argc, argv);
    gr_world_destroy(&gr_test_world, 0);
    return status;
}
