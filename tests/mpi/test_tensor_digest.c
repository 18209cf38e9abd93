/// The digest of a tensor is the same however ranks and threads share the space out, and another after any change.

#include "src/base/mem.h"
#include "stages/tensor_digest.h"
#include "tests/mpi/mpi_check.h"

#include <string.h>

enum { TENSORS = 6, SIZE = 3 * GR_RANGE_BLOCK + 777 };

/// Some within a block, some over several, one that begins with a block.
static gr_param items[TENSORS] = {
    {.offset = 0, .count = 5},
    {.offset = 5, .count = 1},
    {.offset = 6, .count = 6000},
    {.offset = 6006, .count = 2 * GR_RANGE_BLOCK - 6006},
    {.offset = 2 * GR_RANGE_BLOCK, .count = 4000},
    {.offset = 2 * GR_RANGE_BLOCK + 4000, .count = SIZE - 2 * GR_RANGE_BLOCK - 4000}};
static const gr_params params = {
    .items = items, .count = TENSORS, .first = {0, TENSORS, TENSORS, TENSORS}, .size = {SIZE}};

static void fill(float *values)
{
    for (int i = 0; i < SIZE; i++) {
        values[i] = (float)(i % 101) * 0.37F;
    }
}

static void digest_all(const float *values, int threads, uint64_t *sums)
{
    memset(sums, 0, TENSORS * sizeof *sums);
    gr_tensor_digests_add(&params, GR_PART_VISION, (gr_range){0, SIZE}, values, threads, sums);
}

static void test_shared_out(void)
{
    static float values[SIZE];
    uint64_t whole[TENSORS], mine[TENSORS] = {0}, threads[TENSORS], all[8 * TENSORS];
    fill(values);
    digest_all(values, 1, whole);
    digest_all(values, 3, threads);
    GR_CHECK(memcmp(whole, threads, sizeof whole) == 0);
    gr_owned_set_blocks(1);
    gr_owned own = gr_owned_of(SIZE, gr_test_world->rank, gr_test_world->size);
    for (gr_range piece = {0}; gr_owned_next(&own, (gr_range){0, SIZE}, &piece);) {
        gr_tensor_digests_add(&params, GR_PART_VISION, piece, values + piece.begin, 2, mine);
    }
    gr_owned_set_blocks(GR_OWNED_BLOCKS);
    GR_CHECK_OK(gr_world_gather(gr_test_world, mine, sizeof mine, all));
    for (int i = 0; i < TENSORS; i++) {
        uint64_t sum = 0;
        for (int r = 0; r < gr_test_world->size; r++) {
            sum += all[r * TENSORS + i];
        }
        GR_CHECK(sum == whole[i]);
    }
}

/// Any bit of any of some hundred places changes its tensor's digest and no other's.
static void test_flips(void)
{
    static float values[SIZE];
    uint64_t before[TENSORS], after[TENSORS];
    fill(values);
    digest_all(values, 1, before);
    for (int i = 0; i < SIZE; i += 61) {
        uint32_t bits = 0, flipped = 0;
        memcpy(&bits, &values[i], sizeof bits);
        flipped = bits ^ UINT32_C(1) << i % 32;
        memcpy(&values[i], &flipped, sizeof bits);
        digest_all(values, 1, after);
        for (int t = 0; t < TENSORS; t++) {
            bool here = i >= items[t].offset && i < items[t].offset + items[t].count;
            GR_CHECK((before[t] != after[t]) == here);
        }
        memcpy(&values[i], &bits, sizeof bits);
    }
}

/// What was added up in another order, or swapped, is something else: two blocks, two equal tensors.
static void test_places(void)
{
    static float values[SIZE];
    uint64_t before[TENSORS], after[TENSORS];
    values[6] = 1;
    digest_all(values, 1, before);
    values[6] = 0;
    values[6000] = 1; // of the same tensor, in another block
    digest_all(values, 1, after);
    GR_CHECK(before[2] != after[2]);
    GR_CHECK(gr_digest_mixed(before[2], 0) + gr_digest_mixed(after[2], 1) !=
             gr_digest_mixed(after[2], 0) + gr_digest_mixed(before[2], 1));
}

static const gr_test tests[] = {
    {"shared out", test_shared_out}, {"any bit", test_flips}, {"places count", test_places}};
GR_MPI_TEST_MAIN("tensor digests", tests)
