#include "mpi/gather.h"
#include "mpi/messages.h"
#include "src/base/mem.h"
#include "tests/mpi/mpi_check.h"

#include <limits.h>

static float value(int64_t i, int step)
{
    return (float)(i % 65521) + (float)step * 0.5F;
}

/// Each rank knows what it owns only; afterwards all know `part`, and nothing beside it was touched.
static void gather(gr_gather *x, int64_t n, gr_range part, int step)
{
    gr_err err = GR_OK;
    float *values = NULL;
    int64_t wrong = 0, count = gr_range_count(part);
    gr_owned owned = gr_owned_of(n, gr_test_world->rank, gr_test_world->size);
    gr_range run = {0};
    GR_ALLOC(values, count + 2);
    for (int64_t i = 0; i < count + 2; i++) {
        int64_t at = part.begin + i - 1;
        bool mine = i > 0 && i <= count && gr_owned_owner(&owned, at, &run) == owned.rank;
        values[i] = mine ? value(at, step) : -1;
    }
    if (step % 2 == 0) {
        GR_CHECK_OK(gr_gather_run(x, &(gr_gather_part){part, .values = values + 1}));
    } else {
        int64_t third = part.begin + count / 3;
        const gr_gather_part parts[] = {{{part.begin, third}, .values = values + 1},
                                        {{third, part.end}, .values = values + 1 + count / 3}};
        GR_CHECK_OK(gr_gather_start(x, NULL, parts, 2));
        for (int64_t i = 0; i < count; i++) {
            gr_gather_wait(x, part.begin + i + 1); // nothing before it is read early
            wrong += values[i + 1] != value(part.begin + i, step);
        }
        GR_CHECK_OK(gr_gather_finish(x));
    }
    for (int64_t i = 0; i < count; i++) {
        wrong += values[i + 1] != value(part.begin + i, step);
    }
    GR_CHECK_INT(wrong, 0);
    GR_CHECK(values[0] == -1 && values[count + 1] == -1);
done:
    GR_CHECK_OK(err);
    GR_FREE(values);
}

/// Many short pieces of the space, and all of it in 16 bits, as parameters travel whose master weights are shared out.
static void gather_copies(gr_gather *x, int64_t n)
{
    enum { MOST = 100 };
    gr_err err = GR_OK;
    float *values = NULL;
    uint16_t *rounded = NULL;
    gr_gather_few *few = NULL;
    gr_gather_piece pieces[MOST];
    gr_owned owned = gr_owned_of(n, gr_test_world->rank, gr_test_world->size);
    gr_range run = {0};
    int64_t wrong = 0, count = 0;
    GR_ALLOC(values, n);
    GR_ALLOC(rounded, n);
    for (int64_t i = 0; i < n; i++) {
        bool own = gr_owned_owner(&owned, i, &run) == owned.rank;
        values[i] = own ? value(i, 2) : -1;
        rounded[i] = (uint16_t)(own ? i % 65521 : 0);
    }
    for (int64_t at = 7; at < n && count < MOST; at += n / MOST + 1) {
        int64_t end = at + at % 5 < n ? at + at % 5 : n;
        pieces[count++] = (gr_gather_piece){{at, end}, values + at};
    }
    GR_TRY(gr_gather_few_create(gr_test_world, n, pieces, count, &few));
    GR_TRY(gr_gather_start(x, few, &(gr_gather_part){.part = {0, n}, .rounded = rounded}, 1));
    gr_gather_wait(x, n);
    GR_TRY(gr_gather_finish(x));
    for (int64_t i = 0; i < n; i++) {
        wrong += rounded[i] != (uint16_t)(i % 65521);
        wrong += gr_owned_owner(&owned, i, &run) != owned.rank && values[i] != -1 &&
                 values[i] != value(i, 2);
    }
    for (int64_t k = 0; k < count; k++) {
        for (int64_t i = pieces[k].range.begin; i < pieces[k].range.end; i++) {
            wrong += values[i] != value(i, 2);
        }
    }
    GR_CHECK_INT(wrong, 0);
done:
    GR_CHECK_OK(err);
    gr_gather_few_destroy(&few);
    GR_FREE(values);
    GR_FREE(rounded);
}

static void gather_all(int64_t n, int64_t piece, int depth)
{
    gr_gather *x = NULL;
    gr_messages_set((gr_messages){.piece = piece, .depth = depth});
    if (!GR_CHECK_OK(gr_world_agree(gr_test_world, gr_gather_create(gr_test_world, n, &x)))) {
        return;
    }
    gather(x, n, (gr_range){0, n}, 0);
    gather(x, n, (gr_range){0, n}, 1);
    gather(x, n, (gr_range){n / 3, n}, 2);
    gather(x, n, (gr_range){n / 5, n / 5 + n / 7}, 3);
    gather(x, n, (gr_range){n / 2, n / 2}, 4);
    gather_copies(x, n);
    gr_gather_destroy(&x);
    gr_messages_set((gr_messages){0});
}

static void test_gather(void)
{
    static const int64_t sizes[] = {0, 1, 4096, 4097, 50001};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        gather_all(sizes[i], 1000, 1);
        gather_all(sizes[i], 4096, 3);
        gather_all(sizes[i], 0, 0);
    }
    gather_all(300007, 20000, GR_MESSAGES_DEEPEST);
    gr_owned_set_blocks(1);
    gather_all(50001, 1000, 2);
    gather_all(50001, 5000, 5);
    gather_all(300007, 0, 0);
    gr_owned_set_blocks(GR_OWNED_BLOCKS);
}

/// Where one call of the library cannot take all: as with more than 2^31, with a limit of 100.
static void test_counts_beyond_the_limit(void)
{
    enum { N = 9001 };
    static char all[4 * N], mine[N];
    const gr_world *w = gr_test_world;
    int64_t wrong = 0;
    gr_messages_set_most(100);
    GR_CHECK_INT(gr_messages_of(w).piece, 100);
    gather_all(20000, 0, 0);
    for (int i = 0; i < N; i++) {
        mine[i] = (char)(i % 89 + w->rank);
    }
    GR_CHECK_OK(gr_world_gather(w, mine, N, all));
    for (int rank = 0; rank < w->size; rank++) {
        for (int i = 0; i < N; i++) {
            wrong += all[rank * N + i] != (char)(i % 89 + rank);
        }
    }
    GR_CHECK_INT(wrong, 0);
    GR_CHECK_OK(gr_world_broadcast(w, mine, N, w->size - 1));
    GR_CHECK_BYTES(mine, all + (w->size - 1) * N, N);
    gr_messages_set_most(INT_MAX);
}

static const gr_test tests[] = {
    {"gather", test_gather},
    {"counts_beyond_the_limit", test_counts_beyond_the_limit},
};
GR_MPI_TEST_MAIN("gather", tests)
