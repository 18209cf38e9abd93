#include "mpi/exchange.h"
#include "mpi/lanes.h"
#include "mpi/tree.h"
#include "tests/check.h"

#include <math.h>
#include <string.h>

enum { MOST_LANES = 40 };

/// A number per lane such that almost any other order of additions gives other bits.
static float lane_value(int64_t lane)
{
    return (float)(sin((double)(lane + 1) * 12.9898) * pow(10.0, (double)(lane % 7) - 3.0));
}

/// The tree as its definition has it.
static float defined_sum(int64_t first, int level, int64_t lanes)
{
    if (level == 0) {
        return lane_value(first);
    }
    int64_t right = first + (INT64_C(1) << (level - 1));
    float left_sum = defined_sum(first, level - 1, lanes);
    return right < lanes ? left_sum + defined_sum(right, level - 1, lanes) : left_sum;
}

static int root_level(int64_t lanes)
{
    int level = 0;
    while ((INT64_C(1) << level) < lanes) {
        level++;
    }
    return level;
}

/// Values beside a counter, as ranks and owners hold them.
typedef struct stack {
    gri_counter counter;
    float values[GRI_TREE_NODES];
} stack;

static void push(stack *s, gri_node node, float value)
{
    int last = s->counter.count;
    s->values[last] = value;
    for (int adds = gri_counter_push(&s->counter, node); adds > 0; adds--, last--) {
        gri_add(&s->values[last - 1], &s->values[last], 1);
    }
}

/// The nodes of a run are neighbours, cover it, and are each the largest that begins there.
static bool nodes_are_maximal(const gri_counter *run, int64_t first, int64_t end, int64_t lanes)
{
    int64_t at = first;
    for (int i = 0; i < run->count; i++) {
        int level = run->node[i].level;
        int64_t width = INT64_C(1) << level;
        int64_t next = at + width < lanes ? at + width : lanes;
        int64_t wider = at + 2 * width < lanes ? at + 2 * width : lanes;
        bool could_grow = at % (2 * width) == 0 && wider <= end && level < root_level(lanes);
        if (run->node[i].first != at || at % width != 0 || next > end || could_grow) {
            return false;
        }
        at = next;
    }
    return at == end;
}

/// The sum over all lanes as `ranks` ranks and an owner make it.
static float sum_over_ranks(int64_t lanes, int ranks)
{
    stack owner;
    gri_counter_init(&owner.counter, lanes);
    for (int rank = 0; rank < ranks; rank++) {
        int64_t first = 0, count = 0;
        stack own;
        gr_lanes_of_rank(lanes, rank, ranks, &first, &count);
        gri_counter_init(&own.counter, lanes);
        for (int64_t lane = first; lane < first + count; lane++) {
            push(&own, (gri_node){.first = lane, .level = 0}, lane_value(lane));
        }
        GR_CHECK(nodes_are_maximal(&own.counter, first, first + count, lanes));
        for (int i = 0; i < own.counter.count; i++) {
            push(&owner, own.counter.node[i], own.values[i]);
        }
    }
    GR_CHECK_INT(owner.counter.count, 1);
    GR_CHECK_INT(owner.counter.node[0].level, root_level(lanes));
    return owner.values[0];
}

static void test_same_bits_on_any_ranks(void)
{
    for (int64_t lanes = 1; lanes <= MOST_LANES; lanes++) {
        float want = defined_sum(0, root_level(lanes), lanes);
        for (int ranks = 1; ranks <= lanes; ranks++) {
            float got = sum_over_ranks(lanes, ranks);
            GR_CHECK_BYTES(&got, &want, sizeof got);
        }
    }
}

/// Proves that the numbers above would show a wrong order: from left to right is wrong.
static void test_values_feel_the_order(void)
{
    int different = 0;
    for (int64_t lanes = 4; lanes <= MOST_LANES; lanes++) {
        float row = lane_value(0);
        for (int64_t lane = 1; lane < lanes; lane++) {
            row += lane_value(lane);
        }
        different += row != defined_sum(0, root_level(lanes), lanes);
    }
    GR_CHECK(different >= 25);
}

static void test_one_node_a_rank_where_ranks_divide(void)
{
    for (int ranks = 1; ranks <= 8; ranks *= 2) {
        for (int rank = 0; rank < ranks; rank++) {
            int64_t first = 0, count = 0;
            gri_counter run;
            gr_lanes_of_rank(8 * ranks, rank, ranks, &first, &count);
            (void)gri_counter_run(&run, 8 * ranks, first, count);
            GR_CHECK_INT(run.count, 1);
            GR_CHECK_INT(run.node[0].level, root_level(8 * ranks) - root_level(ranks));
        }
    }
}

static void test_vectors_held_at_once(void)
{
    gri_counter run;
    GR_CHECK_INT(gri_counter_run(&run, 1, 0, 1), 1);
    GR_CHECK_INT(gri_counter_run(&run, 2, 0, 2), 2);
    GR_CHECK_INT(gri_counter_run(&run, 64, 0, 64), 7);
    GR_CHECK_INT(gri_counter_run(&run, 65, 0, 65), 7);
    GR_CHECK_INT(gri_counter_run(&run, 64, 1, 62),
                 10); // 1, 2..3, 4..7, 8..15, 16..31 held, then 5 more
    GR_CHECK_INT(run.count, 10);
}

static void test_lanes_of_ranks_are_a_partition(void)
{
    for (int64_t lanes = 1; lanes <= MOST_LANES; lanes++) {
        for (int ranks = 1; ranks <= lanes; ranks++) {
            int64_t at = 0;
            for (int rank = 0; rank < ranks; rank++) {
                int64_t first = 0, count = 0;
                gr_lanes_of_rank(lanes, rank, ranks, &first, &count);
                GR_CHECK(first == at && count >= lanes / ranks && count <= lanes / ranks + 1);
                at += count;
            }
            GR_CHECK_INT(at, lanes);
        }
    }
}

static const gr_test tests[] = {
    {"same_bits_on_any_ranks", test_same_bits_on_any_ranks},
    {"values_feel_the_order", test_values_feel_the_order},
    {"one_node_a_rank_where_ranks_divide", test_one_node_a_rank_where_ranks_divide},
    {"vectors_held_at_once", test_vectors_held_at_once},
    {"lanes_of_ranks_are_a_partition", test_lanes_of_ranks_are_a_partition},
};
GR_TEST_MAIN("tree", tests)
