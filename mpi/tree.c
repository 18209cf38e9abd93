#include "mpi/tree.h"

#include "src/base/err.h"

void gri_counter_init(gri_counter *counter, int64_t lanes)
{
    counter->lanes = lanes;
    counter->count = 0;
}

static bool is_root(gri_node node, int64_t lanes)
{
    return node.first == 0 && (INT64_C(1) << node.level) >= lanes;
}

/// Whether the last node is the right half of a node whose left half is there, too.
static bool has_left_half(const gri_counter *counter)
{
    gri_node last = counter->node[counter->count - 1];
    if (counter->count < 2 || ((last.first >> last.level) & 1) == 0) {
        return false;
    }
    gri_node before = counter->node[counter->count - 2];
    return before.level == last.level &&
           before.first == last.first - (INT64_C(1) << last.level);
}

/// Whether the last node is a left half with nothing to its right: it is its parent.
static bool is_clipped(const gri_counter *counter)
{
    gri_node last = counter->node[counter->count - 1];
    return ((last.first >> last.level) & 1) == 0 &&
           last.first + (INT64_C(1) << last.level) >= counter->lanes &&
           !is_root(last, counter->lanes);
}

int gri_counter_push(gri_counter *counter, gri_node node)
{
    GR_ASSERT(counter->count < GRI_TREE_NODES);
    counter->node[counter->count++] = node;
    int adds = 0;
    for (;;) {
        if (has_left_half(counter)) {
            counter->count--;
            adds++;
        } else if (!is_clipped(counter)) {
            return adds;
        }
        counter->node[counter->count - 1].level++;
    }
}

int gri_counter_run(gri_counter *counter, int64_t lanes, int64_t first, int64_t count)
{
    int most = 0;
    gri_counter_init(counter, lanes);
    for (int64_t lane = first; lane < first + count; lane++) {
        int held = counter->count + 1;
        most = held > most ? held : most;
        (void)gri_counter_push(counter, (gri_node){.first = lane, .level = 0});
    }
    return most;
}
