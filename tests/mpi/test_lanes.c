#include "mpi/lanes.h"
#include "mpi/messages.h"
#include "src/base/mem.h"
#include "tests/mpi/mpi_check.h"

#include <string.h>

enum { MOST_LANES = 17 };

/// Element i of a lane's vector in a step: of all magnitudes and signs, so that the order of additions shows.
static float value(int64_t lane, int64_t i, int step)
{
    uint64_t x = ((uint64_t)lane * 1000003u + (uint64_t)i + (uint64_t)step * 777767777u + 1) *
                 UINT64_C(0x9E3779B97F4A7C15);
    x ^= x >> 29;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    float mantissa = (float)(int32_t)(x >> 40) / 16777216.0f - 0.5f;
    return mantissa * (float)(INT64_C(1) << (x % 21));
}

static float defined_sum(int64_t first, int64_t width, int64_t lanes, int64_t i, int step)
{
    if (width == 1) {
        return value(first, i, step);
    }
    int64_t right = first + width / 2;
    float left_sum = defined_sum(first, width / 2, lanes, i, step);
    return right < lanes ? left_sum + defined_sum(right, width / 2, lanes, i, step) : left_sum;
}

static int64_t differing_elements(const float *sum, int64_t lanes, int64_t n, int step)
{
    int64_t width = 1, wrong = 0;
    while (width < lanes) {
        width *= 2;
    }
    gr_owned owned = gr_owned_of(n, gr_test_world->rank, gr_test_world->size);
    for (gr_range piece = {0}; gr_owned_next(&owned, (gr_range){0, n}, &piece);) {
        for (int64_t i = piece.begin; i < piece.end; i++) {
            float want = defined_sum(0, width, lanes, i, step);
            wrong += memcmp(&sum[i], &want, sizeof want) != 0;
        }
    }
    return wrong;
}

/// Some ranks let elements go as they are complete, from the back, others all at the end.
static void fill(gr_lanes *lanes, float *v, int64_t lane, int64_t n, int step)
{
    bool last = lane == gr_lanes_first(lanes) + gr_lanes_count(lanes) - 1;
    bool early = last && (gr_test_world->rank + step) % 3 != 0;
    if (early) {
        GR_CHECK_OK(gr_lanes_start(lanes));
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        v[i] += value(lane, i, step);
        if (early && i % 3001 == 17) {
            gr_lanes_ready(lanes, i);
        }
    }
}

static void reduce_and_compare(gr_lanes *lanes, int64_t lane_count, int64_t n, int step)
{
    gr_lanes_begin(lanes);
    int64_t first = gr_lanes_first(lanes), count = gr_lanes_count(lanes);
    int64_t not_zero = 0;
    for (int64_t lane = first; lane < first + count; lane++) {
        float *v = gr_lanes_next(lanes);
        for (int64_t i = 0; i < n; i++) {
            not_zero += v[i] != 0.0f;
        }
        fill(lanes, v, lane, n, step);
    }
    GR_CHECK_INT(not_zero, 0);
    float *sum = NULL;
    if (GR_CHECK_OK(gr_lanes_reduce(lanes, &sum))) {
        GR_CHECK_INT(differing_elements(sum, lane_count, n, step), 0);
    }
}

static void compare_two_steps(int64_t lane_count, int64_t n, int64_t piece)
{
    gr_lanes *lanes = NULL;
    gr_messages_set((gr_messages){.piece = piece, .depth = (int)(1 + n % 3)});
    if (GR_CHECK_OK(gr_lanes_create(gr_test_world, lane_count, n, &lanes))) {
        int64_t requests = gr_mem_requests();
        reduce_and_compare(lanes, lane_count, n, 0);
        reduce_and_compare(lanes, lane_count, n, 1);
        reduce_and_compare(lanes, lane_count, n, 2);
        GR_CHECK_INT(gr_mem_requests(), requests); // a step takes no memory
    }
    gr_lanes_destroy(&lanes);
}

static void test_bits_of_the_tree(void)
{
    static const int64_t sizes[] = {0, 1, 64, 4096, 4097, 20011};
    static const int64_t pieces[] = {1, 1000, 4096};
    for (int64_t lanes = gr_test_world->size; lanes <= MOST_LANES; lanes++) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
                if (sizes[s] <= 64 || pieces[p] > 1) {
                    compare_two_steps(lanes, sizes[s], pieces[p]);
                }
            }
        }
    }
}

static void test_long_vectors(void)
{
    compare_two_steps(13, 300007, INT64_C(1) << 14);
    compare_two_steps(16, 262144, INT64_C(1) << 18);
    compare_two_steps(9, 100003, 1000);
    gr_owned_set_blocks(1);
    compare_two_steps(13, 300007, INT64_C(1) << 14);
    compare_two_steps(9, 100003, 1000);
    gr_owned_set_blocks(GR_OWNED_BLOCKS);
}

/// One rank after another fails, before its lanes or among them; the sum after that is right again.
static void test_abandoned(void)
{
    enum { N = 20011 };
    gr_lanes *lanes = NULL;
    if (!GR_CHECK_OK(gr_lanes_create(gr_test_world, MOST_LANES, N, &lanes))) {
        return;
    }
    for (int step = 0; step < 2 * gr_test_world->size; step++) {
        bool fails = gr_test_world->rank == step / 2;
        float *v = NULL, *sum = NULL;
        gr_lanes_begin(lanes);
        for (int64_t i = 0; i < (fails ? step % 2 : gr_lanes_count(lanes)); i++) {
            v = gr_lanes_next(lanes);
        }
        if (!fails) {
            GR_CHECK_OK(gr_lanes_start(lanes));
            gr_lanes_ready(lanes, N / 2);
        }
        gr_err mine =
            fails ? gr_err_set(GR_ERR_DATA, __FILE__, __LINE__, __func__, "bad") : GR_OK;
        GR_CHECK_OK(fails ? gr_lanes_abandon(lanes) : gr_lanes_reduce(lanes, &sum));
        GR_CHECK(fails || v);
        GR_CHECK_ERR(gr_world_agree(gr_test_world, mine), GR_ERR_DATA, "bad");
    }
    reduce_and_compare(lanes, MOST_LANES, N, 1);
    gr_lanes_destroy(&lanes);
}

static void test_more_ranks_than_lanes(void)
{
    gr_lanes *lanes = NULL;
    if (gr_test_world->size > 1) {
        GR_CHECK_ERR(gr_lanes_create(gr_test_world, 1, 10, &lanes), GR_ERR_USAGE,
                     "ranks for 1 lanes: some would have none; start 1 to 1 ranks");
        GR_CHECK(lanes == NULL);
    }
    GR_CHECK_ERR(gr_lanes_create(gr_test_world, 0, 10, &lanes), GR_ERR_USAGE,
                 "at least 1 lane");
    GR_CHECK_ERR(gr_lanes_create(gr_test_world, MOST_LANES, -1, &lanes), GR_ERR_USAGE,
                 "-1 elements");
}

static void test_sizes_must_be_equal(void)
{
    gr_lanes *lanes = NULL;
    if (gr_test_world->size > 1) {
        int64_t n = gr_test_world->rank == 1 ? 9 : 10;
        GR_CHECK_ERR(gr_lanes_create(gr_test_world, MOST_LANES, n, &lanes), GR_ERR_FAILED,
                     "9 elements here, of 10 on another rank");
        GR_CHECK(lanes == NULL);
    }
}

/// Rank 0 cannot take its k-th piece of memory: all ranks get its error, nothing leaks, and the world goes on.
static void test_memory_failing_on_one_rank(void)
{
    int64_t used = gr_mem_used();
    for (int k = 1; k < 100; k++) {
        gr_lanes *lanes = NULL;
        gr_mem_fail_at(gr_test_world->rank == 0 ? k : 0);
        gr_err err = gr_lanes_create(gr_test_world, MOST_LANES, 100, &lanes);
        gr_mem_fail_at(0);
        if (err == GR_OK) {
            GR_CHECK(k > 4);
            gr_lanes_destroy(&lanes);
            break;
        }
        GR_CHECK_ERR(err, GR_ERR_MEMORY, "out of memory");
        GR_CHECK(lanes == NULL);
        GR_CHECK_INT(gr_mem_used(), used);
    }
    compare_two_steps(MOST_LANES, 100, 7);
}

static const gr_test tests[] = {
    {"bits_of_the_tree", test_bits_of_the_tree},
    {"long_vectors", test_long_vectors},
    {"abandoned", test_abandoned},
    {"more_ranks_than_lanes", test_more_ranks_than_lanes},
    {"sizes_must_be_equal", test_sizes_must_be_equal},
    {"memory_failing_on_one_rank", test_memory_failing_on_one_rank},
};
GR_MPI_TEST_MAIN("lanes", tests)
