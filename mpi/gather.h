#ifndef MPI_GATHER_H
#define MPI_GATHER_H

/// Each rank's range of a flat space to all ranks: the second half of an all-reduce, and how parameters come back from
/// their owners.

#include "mpi/ranges.h"
#include "mpi/world.h"

typedef struct gr_gather gr_gather;

/// For a space of n elements, of the ranges that gr_range_of_rank gives. Takes all memory. Not collective; call
/// gr_world_agree after it.
GR_MUST_CHECK gr_err gr_gather_create(const gr_world *world, int64_t n, gr_gather **out);
void gr_gather_destroy(gr_gather **gather);
/// Elements [part.begin, part.end) of the space lie at values[0 ..]: on each rank those of its own range hold; afterwards
/// all do, on every rank. `part` is the same on every rank. Collective.
GR_MUST_CHECK gr_err gr_gather_run(gr_gather *gather, gr_range part, float *values);

#endif
