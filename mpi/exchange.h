#ifndef MPI_EXCHANGE_H
#define MPI_EXCHANGE_H

/// The part of a lane reduction that crosses ranks: a reduce-scatter.
///
/// Each range (ranges.h) has an owner. In rounds of one piece a range every rank sends its nodes' elements to their owner,
/// who adds all ranks' nodes in the canonical tree's order. Length and number of messages under way: messages.h.

#include "mpi/world.h"

typedef struct gri_exchange gri_exchange;

/// For vectors of n fp32. Not collective; call gr_world_agree after it.
GR_MUST_CHECK gr_err gri_exchange_create(const gr_world *world, int64_t lanes, int64_t n,
                                         gri_exchange **out);
void gri_exchange_destroy(gri_exchange **exchange);
/// nodes: this rank's nodes, left to right, each [n]; overwritten. Afterwards the elements of this rank's range in
/// nodes[0] are the sum over all lanes; the others mean nothing. Collective.
GR_MUST_CHECK gr_err gri_exchange_run(gri_exchange *exchange, float *const *nodes);

/// left[i] = left[i] + right[i]: the only addition there is.
void gri_add(float *restrict left, const float *restrict right, int64_t n);

#endif
