#ifndef MPI_GATHER_FEW_H
#define MPI_GATHER_FEW_H

/// What each rank owns of many short pieces of a flat space to all ranks, packed into one message each: norms and biases, which stand
/// between long matrices.

#include "mpi/ranges.h"
#include "mpi/world.h"

typedef struct gr_gather_few gr_gather_few;

/// Elements `range` of the space; values[0] is the first of them.
typedef struct gr_gather_piece {
    gr_range range;
    float *values;
} gr_gather_piece;

/// The values are borrowed. The same pieces on all ranks. Not collective; call gr_world_agree after it.
GR_MUST_CHECK gr_err gr_gather_few_create(const gr_world *world, int64_t n,
                                          const gr_gather_piece *pieces, int64_t count,
                                          gr_gather_few **out);
void gr_gather_few_destroy(gr_gather_few **few);
/// Of each piece the owned elements hold before, all afterwards. Collective.
GR_MUST_CHECK gr_err gr_gather_few_run(gr_gather_few *few);

#endif
