#include "mpi/lanes.h"

#include "mpi/exchange.h"
#include "mpi/tree.h"
#include "src/base/mem.h"

#include <string.h>

struct gr_lanes {
    gr_range range;
    int64_t n, first, count;
    int64_t given; ///< own lanes handed out since begin
    bool open;     ///< the last of them is still being filled
    bool reduced;
    gri_counter finished; ///< the nodes in vectors[0 .. finished.count)
    float **vectors;
    int vector_count;
    gri_exchange *exchange; ///< NULL when the world is one rank
};

void gr_lanes_of_rank(int64_t lanes, int rank, int size, int64_t *first, int64_t *count)
{
    *first = rank * lanes / size;
    *count = (rank + 1) * lanes / size - *first;
}

static gr_err check_sizes(const gr_world *world, int64_t lanes, int64_t n)
{
    gr_err err = GR_OK;
    int64_t most = 0;
    GR_TRY(gr_world_max(world, n, &most));
    if (lanes < 1 || n < 0) {
        GR_FAIL(GR_ERR_USAGE, "%lld lanes of %lld elements: at least 1 lane and 0 elements",
                (long long)lanes, (long long)n);
    }
    if (n != most) {
        GR_FAIL(GR_ERR_FAILED, "lane vectors of %lld elements here, of %lld on another rank",
                (long long)n, (long long)most);
    }
    if (world->size > lanes) {
        GR_FAIL(
            GR_ERR_USAGE,
            "%d ranks for %lld lanes: some would have none; start 1 to %lld ranks, or set the "
            "recipe's lanes to %d or more (another order of sums, so other bits)",
            world->size, (long long)lanes, (long long)lanes, world->size);
    }
done:
    return err;
}

/// This rank's vectors, and the buffers for others' when there are others.
static gr_err take_memory(gr_lanes *x, const gr_world *world, int64_t lanes)
{
    gr_err err = GR_OK;
    x->vector_count = gri_counter_run(&x->finished, lanes, x->first, x->count);
    GR_ALLOC(x->vectors, x->vector_count);
    for (int i = 0; i < x->vector_count; i++) {
        GR_ALLOC(x->vectors[i], x->n);
    }
    if (world->size > 1) {
        GR_TRY(gri_exchange_create(world, lanes, x->n, &x->exchange));
    }
done:
    return err;
}

static gr_err create_own(const gr_world *world, int64_t lanes, int64_t n, gr_lanes **out)
{
    gr_err err = GR_OK;
    gr_lanes *x = NULL;
    GR_ALLOC(x, 1);
    x->n = n;
    gr_lanes_of_rank(lanes, world->rank, world->size, &x->first, &x->count);
    x->range = gr_range_of_rank(n, world->rank, world->size);
    GR_TRY(take_memory(x, world, lanes));
    gr_lanes_begin(x);
    *out = x;
    x = NULL;
done:
    gr_lanes_destroy(&x);
    return err;
}

gr_err gr_lanes_create(const gr_world *world, int64_t lanes, int64_t n, gr_lanes **out)
{
    gr_err err = GR_OK;
    gr_lanes *x = NULL;
    GR_TRY(gr_world_agree(world, check_sizes(world, lanes, n)));
    GR_TRY(gr_world_agree(world, create_own(world, lanes, n, &x)));
    *out = x;
    x = NULL;
done:
    gr_lanes_destroy(&x);
    return err;
}

void gr_lanes_destroy(gr_lanes **lanes)
{
    gr_lanes *x = *lanes;
    if (!x) {
        return;
    }
    gri_exchange_destroy(&x->exchange);
    for (int i = 0; x->vectors && i < x->vector_count; i++) {
        GR_FREE(x->vectors[i]);
    }
    GR_FREE(x->vectors);
    GR_FREE(*lanes);
}

int64_t gr_lanes_first(const gr_lanes *lanes)
{
    return lanes->first;
}

int64_t gr_lanes_count(const gr_lanes *lanes)
{
    return lanes->count;
}

gr_range gr_lanes_range(const gr_lanes *lanes)
{
    return lanes->range;
}

void gr_lanes_begin(gr_lanes *lanes)
{
    lanes->finished.count = 0;
    lanes->given = 0;
    lanes->open = false;
    lanes->reduced = false;
}

/// The lane handed out last becomes a node and joins those before it.
static void finish_lane(gr_lanes *x)
{
    if (!x->open) {
        return;
    }
    int last = x->finished.count;
    gri_node lane = {.first = x->first + x->given - 1, .level = 0};
    for (int adds = gri_counter_push(&x->finished, lane); adds > 0; adds--, last--) {
        gri_add(x->vectors[last - 1], x->vectors[last], x->n);
    }
    x->open = false;
}

float *gr_lanes_next(gr_lanes *lanes)
{
    finish_lane(lanes);
    GR_ASSERT(lanes->given < lanes->count);
    float *vector = lanes->vectors[lanes->finished.count];
    memset(vector, 0, (size_t)lanes->n * sizeof *vector);
    lanes->given++;
    lanes->open = true;
    return vector;
}

gr_err gr_lanes_reduce(gr_lanes *lanes, float **sum)
{
    gr_err err = GR_OK;
    finish_lane(lanes);
    GR_ASSERT(lanes->given == lanes->count && !lanes->reduced);
    if (lanes->exchange) {
        GR_TRY(gri_exchange_run(lanes->exchange, lanes->vectors));
    }
    lanes->reduced = true;
    *sum = lanes->vectors[0];
done:
    return err;
}
