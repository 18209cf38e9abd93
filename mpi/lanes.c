#include "mpi/lanes.h"

#include "mpi/courier.h"
#include "mpi/exchange.h"
#include "mpi/tree.h"
#include "src/base/mem.h"

#include <stdatomic.h>
#include <string.h>

struct gr_lanes {
    int64_t n, first, count;
    int64_t given; ///< own lanes handed out since begin
    bool open;     ///< one before the last is still being filled
    bool reduced;
    /// the last own lane ends up in vectors[last], which is added to the one before it, that one to the next, `adds` times
    int last, adds;
    atomic_llong ready;   ///< elements from here on are complete in the last own lane
    gri_errand errand;    ///< the exchange, where it goes on beside the main thread
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
    gri_courier_forget(&x->errand);
    gri_exchange_destroy(&x->exchange);
    for (int i = 0; x->vectors && i < x->vector_count; i++) {
        GR_FREE(x->vectors[i]);
    }
    GR_FREE(x->vectors);
    GR_FREE(*lanes);
}

gr_cost gr_lanes_cost(const gr_world *world, int64_t lanes, int64_t n)
{
    gr_cost cost = {0};
    gri_counter counter;
    int64_t first = 0, count = 0;
    gr_lanes_of_rank(lanes, world->rank, world->size, &first, &count);
    if (world->size > 1) {
        cost = gri_exchange_cost(world, lanes, n);
    }
    cost.memory += gri_counter_run(&counter, lanes, first, count) * n * (int64_t)sizeof(float);
    return cost;
}

int64_t gr_lanes_first(const gr_lanes *lanes)
{
    return lanes->first;
}

int64_t gr_lanes_count(const gr_lanes *lanes)
{
    return lanes->count;
}

void gr_lanes_begin(gr_lanes *lanes)
{
    lanes->finished.count = 0;
    lanes->given = 0;
    lanes->open = false;
    lanes->reduced = false;
    lanes->adds = 0;
    atomic_store(&lanes->ready, lanes->n);
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
    lanes->open = lanes->given < lanes->count;
    if (!lanes->open) {
        gri_node lane = {.first = lanes->first + lanes->count - 1, .level = 0};
        lanes->last = lanes->finished.count;
        lanes->adds = gri_counter_push(&lanes->finished, lane);
    }
    return vector;
}

/// The last own lane joins the nodes before it, once it is complete.
static bool fold(void *lanes, gr_range stripe)
{
    gr_lanes *x = lanes;
    if (atomic_load_explicit(&x->ready, memory_order_acquire) > stripe.begin) {
        return false;
    }
    for (int i = 0; i < x->adds; i++) {
        float *left = x->vectors[x->last - i - 1], *right = x->vectors[x->last - i];
        gri_add(left + stripe.begin, right + stripe.begin, gr_range_count(stripe));
    }
    return true;
}

static gr_err exchange(void *lanes)
{
    gr_lanes *x = lanes;
    return gri_exchange_run(x->exchange, x->vectors, fold, x);
}

gr_err gr_lanes_start(gr_lanes *lanes)
{
    gr_err err = GR_OK;
    GR_ASSERT(lanes->given == lanes->count);
    if (lanes->exchange) {
        GR_TRY(gri_courier_start());
        lanes->errand.run = exchange;
        lanes->errand.data = lanes;
        gri_courier_send(&lanes->errand);
    }
done:
    return err;
}

void gr_lanes_ready(gr_lanes *lanes, int64_t from)
{
    atomic_store_explicit(&lanes->ready, from, memory_order_release);
}

/// What has not been done of it yet.
static gr_err finish(gr_lanes *x)
{
    gr_lanes_ready(x, 0);
    if (x->errand.sent) {
        return gri_courier_wait(&x->errand);
    }
    return x->exchange ? exchange(x) : GR_OK;
}

gr_err gr_lanes_abandon(gr_lanes *lanes)
{
    return finish(lanes);
}

gr_err gr_lanes_reduce(gr_lanes *lanes, float **sum)
{
    gr_err err = GR_OK;
    GR_ASSERT(lanes->given == lanes->count && !lanes->reduced);
    GR_TRY(finish(lanes));
    if (!lanes->exchange) {
        (void)fold(lanes, (gr_range){0, lanes->n});
    }
    lanes->reduced = true;
    *sum = lanes->vectors[0];
done:
    return err;
}
