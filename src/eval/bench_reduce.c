#include "src/eval/bench_reduce.h"

#include "mpi/gather.h"
#include "mpi/lanes.h"
#include "mpi/yardstick.h"
#include "src/base/log.h"
#include "src/base/median.h"
#include "src/base/mem.h"

#include <limits.h>

enum { WARM = 2 };

/// Seconds of one round.
typedef struct round {
    double scatter, mpi_scatter, all_scatter, gather, mpi_all;
} round;

typedef struct bench {
    const gr_world *world;
    int64_t n;
    gr_lanes *lanes;
    gr_gather *gather;
    float *from, *to; ///< of the MPI library's sums, [n]
    round *rounds;
} bench;

/// The time since `start` of the slowest rank.
static gr_err since(const gr_world *world, double start, double *seconds)
{
    gr_err err = GR_OK;
    int64_t most = 0;
    GR_TRY(gr_world_max(world, (int64_t)((gr_clock() - start) * 1e9), &most));
    *seconds = (double)most * 1e-9;
done:
    return err;
}

static float number(int64_t i)
{
    return (float)(i % 1021) * 0.001F - 0.5F;
}

static gr_err reduce(bench *b, double *seconds, float **sum)
{
    gr_err err = GR_OK;
    gr_lanes_begin(b->lanes);
    float *v = gr_lanes_next(b->lanes);
    for (int64_t i = 0; i < b->n; i++) {
        v[i] = number(i);
    }
    GR_TRY(gr_world_barrier(b->world));
    double start = gr_clock();
    GR_TRY(gr_lanes_reduce(b->lanes, sum));
    GR_TRY(since(b->world, start, seconds));
done:
    return err;
}

static gr_err measure(bench *b, round *r)
{
    gr_err err = GR_OK;
    float *sum = NULL;
    GR_TRY(reduce(b, &r->scatter, &sum));
    GR_TRY(gr_world_barrier(b->world));
    double start = gr_clock();
    GR_TRY(gr_yardstick_reduce_scatter(b->world, b->from, b->to, b->n / b->world->size));
    GR_TRY(since(b->world, start, &r->mpi_scatter));
    GR_TRY(reduce(b, &r->all_scatter, &sum));
    start = gr_clock();
    GR_TRY(gr_gather_run(b->gather, &(gr_gather_part){{0, b->n}, .values = sum}));
    GR_TRY(since(b->world, start, &r->gather));
    GR_TRY(gr_world_barrier(b->world));
    start = gr_clock();
    GR_TRY(gr_yardstick_allreduce(b->world, b->from, b->to, b->n));
    GR_TRY(since(b->world, start, &r->mpi_all));
done:
    return err;
}

typedef enum figure { SCATTER, GATHER, MPI_SCATTER, MPI_ALL, SCATTER_RATIO, ALL_RATIO } figure;

static double figure_of(const round *r, figure which)
{
    switch (which) {
    case SCATTER:
        return r->scatter;
    case GATHER:
        return r->gather;
    case MPI_SCATTER:
        return r->mpi_scatter;
    case MPI_ALL:
        return r->mpi_all;
    case SCATTER_RATIO:
        return r->mpi_scatter / r->scatter;
    case ALL_RATIO:
        return r->mpi_all / (r->all_scatter + r->gather);
    }
    return 0;
}

static double median(const bench *b, int64_t count, figure which, double *room)
{
    for (int64_t i = 0; i < count; i++) {
        room[i] = figure_of(&b->rounds[i], which);
    }
    return gr_median(room, count);
}

static gr_err take_memory(bench *b, const gr_bench_reduce_options *options)
{
    gr_err err = GR_OK;
    int64_t unit = (int64_t)b->world->size * GR_RANGE_BLOCK;
    b->n = (options->elements + unit - 1) / unit * unit;
    if (b->n > INT_MAX) {
        GR_FAIL(GR_ERR_USAGE, "%lld elements: the MPI library's sums take at most %d at once",
                (long long)b->n, INT_MAX);
    }
    GR_ALLOC(b->from, b->n);
    GR_ALLOC(b->to, b->n);
    GR_ALLOC(b->rounds, options->rounds);
    for (int64_t i = 0; i < b->n; i++) {
        b->from[i] = number(i);
    }
    GR_TRY(gr_gather_create(b->world, b->n, &b->gather));
done:
    return err;
}

gr_err gr_bench_reduce_run(const gr_world *world, const gr_bench_reduce_options *options,
                           gr_bench_reduce *out)
{
    gr_err err = GR_OK;
    bench b = {.world = world};
    round warm = {0};
    double *room = NULL;
    int64_t count = options->rounds;
    gr_messages_set(options->messages);
    GR_TRY(gr_world_agree(world, take_memory(&b, options)));
    GR_TRY(gr_lanes_create(world, world->size, b.n, &b.lanes));
    for (int i = 0; i < WARM; i++) {
        GR_TRY(measure(&b, &warm));
    }
    for (int64_t i = 0; i < count; i++) {
        GR_TRY(measure(&b, &b.rounds[i]));
    }
    GR_ALLOC(room, count);
    *out = (gr_bench_reduce){.elements = b.n,
                             .messages = gr_messages_of(world),
                             .reduce_scatter = median(&b, count, SCATTER, room),
                             .gather = median(&b, count, GATHER, room),
                             .mpi_reduce_scatter = median(&b, count, MPI_SCATTER, room),
                             .mpi_all = median(&b, count, MPI_ALL, room),
                             .scatter_ratio = median(&b, count, SCATTER_RATIO, room),
                             .all_ratio = median(&b, count, ALL_RATIO, room)};
done:
    gr_lanes_destroy(&b.lanes);
    gr_gather_destroy(&b.gather);
    GR_FREE(b.from);
    GR_FREE(b.to);
    GR_FREE(b.rounds);
    GR_FREE(room);
    return err;
}
