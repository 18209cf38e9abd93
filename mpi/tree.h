#ifndef MPI_TREE_H
#define MPI_TREE_H

/// The arithmetic of the canonical tree (lanes.h), without numbers and without MPI.
///
/// Values enter from the left; whenever two neighbours are the halves of a node, or a node's right half lies
/// beyond the last lane, they become that node. The same counter serves a rank, whose values are
/// lanes, and the owner of a range, whose values are the ranks' nodes.

#include <stdint.h>

/// The node [first, first + 2^level), as far as it lies below `lanes`.
typedef struct gri_node {
    int64_t first;
    int level;
} gri_node;

/// A run of lanes has at most two nodes a level.
enum { GRI_TREE_NODES = 128 };

typedef struct gri_counter {
    int64_t lanes;
    int count; ///< nodes held, left to right
    gri_node node[GRI_TREE_NODES];
} gri_counter;

void gri_counter_init(gri_counter *counter, int64_t lanes);
/// Puts a node on the right end. Returns how many times the last value must now be added to the one
/// before it, each time leaving one value fewer.
int gri_counter_push(gri_counter *counter, gri_node node);
/// The nodes of lanes [first, first + count), left to right. Returns how many values were held at most
/// on the way, the new lane's included.
int gri_counter_run(gri_counter *counter, int64_t lanes, int64_t first, int64_t count);

#endif
