#ifndef MPI_GATHER_H
#define MPI_GATHER_H

/// What each rank owns of a flat space to all ranks: the second half of an all-reduce, and how parameters come back from
/// their owners.

#include "mpi/gather_few.h"
#include "mpi/ranges.h"
#include "mpi/world.h"

typedef struct gr_gather gr_gather;

/// For a space of n elements, owned as gr_owned_of says. Takes all memory. Not collective; call gr_world_agree after it.
GR_MUST_CHECK gr_err gr_gather_create(const gr_world *world, int64_t n, gr_gather **out);
void gr_gather_destroy(gr_gather **gather);
/// A part of the space and where its numbers lie, as values or bf16 copies of them: number 0 is that of element part.begin.
typedef struct gr_gather_part {
    gr_range part;
    float *values;     ///< or NULL and
    uint16_t *rounded; ///< their copies
    bool ahead; ///< not all that is needed of the part: more of it comes later in the list
} gr_gather_part;

/// The part's numbers: on each rank those that it owns hold; afterwards all do, on every rank. The same part on every rank. Collective.
GR_MUST_CHECK gr_err gr_gather_run(gr_gather *gather, const gr_gather_part *part);

enum { GR_GATHER_PARTS = 16 };

/// Runs `few` (NULL: nothing), then gr_gather_run for several parts, in order of their places but for those ahead, beside the main
/// thread; nobody else may touch them until they are there.
/// Collective calls wait until it is through. Takes a thread the first time. Collective.
GR_MUST_CHECK gr_err gr_gather_start(gr_gather *gather, gr_gather_few *few,
                                     const gr_gather_part *parts, int count);
/// Waits until all that lies before element `end` of the space is there, or there was an error, which gr_gather_finish gives. Returns
/// at once where nothing was started.
void gr_gather_wait(gr_gather *gather, int64_t end);
/// Waits for all of it. GR_OK where nothing was started.
GR_MUST_CHECK gr_err gr_gather_finish(gr_gather *gather);

#endif
