#ifndef MPI_YARDSTICK_H
#define MPI_YARDSTICK_H

/// The MPI library's own sums, to measure ours against. Training never uses them: their bits depend on the number of ranks.

#include "mpi/ranges.h"
#include "mpi/world.h"

/// MPI_Reduce_scatter_block: `count` elements of the sum of the ranks' from[size * count] into to[count]. Collective.
GR_MUST_CHECK gr_err gr_yardstick_reduce_scatter(const gr_world *world, const float *from,
                                                 float *to, int64_t count);
/// MPI_Allreduce: the sum of from[n] into to[n]. Collective.
GR_MUST_CHECK gr_err gr_yardstick_allreduce(const gr_world *world, const float *from, float *to,
                                            int64_t n);
/// MPI_Allgatherv, in place: of the space that is cut into `share` elements a rank, those that lie in `part`; values[0] is element
/// part.begin. Collective.
GR_MUST_CHECK gr_err gr_yardstick_gather(const gr_world *world, int64_t share, gr_range part,
                                         float *values);

#endif
