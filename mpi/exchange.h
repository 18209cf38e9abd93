#ifndef MPI_EXCHANGE_H
#define MPI_EXCHANGE_H

/// The part of a lane reduction that crosses ranks: a reduce-scatter.
///
/// Each run of a stripe (ranges.h) has an owner. In rounds of one piece a run every rank sends its nodes' elements to their owner,
/// who adds all ranks' nodes in the canonical tree's order; the last stripe goes first, since backward ends with the first elements.
/// Length and number of messages under way: messages.h.

#include "mpi/messages.h"
#include "mpi/ranges.h"
#include "mpi/world.h"

#include <stdbool.h>

typedef struct gri_exchange gri_exchange;

/// For vectors of n fp32. Not collective; call gr_world_agree after it.
GR_MUST_CHECK gr_err gri_exchange_create(const gr_world *world, int64_t lanes, int64_t n,
                                         gri_exchange **out);
void gri_exchange_destroy(gri_exchange **exchange);
/// What it takes on this rank, of any world.
gr_cost gri_exchange_cost(const gr_world *world, int64_t lanes, int64_t n);
/// Asked before anything of a stripe is sent or added, the last stripe first: false, for now, as long as the nodes' values there are
/// not complete; true at once where the main thread exchanges.
typedef bool gri_is_ready(void *data, gr_range stripe);

/// nodes: this rank's nodes, left to right, each [n]; overwritten. Afterwards the elements that this rank owns in
/// nodes[0] are the sum over all lanes; the others mean nothing. Collective.
GR_MUST_CHECK gr_err gri_exchange_run(gri_exchange *exchange, float *const *nodes,
                                      gri_is_ready *ready, void *data);

/// left[i] = left[i] + right[i]: the only addition there is.
void gri_add(float *restrict left, const float *restrict right, int64_t n);

#endif
