#ifndef MPI_WORLD_H
#define MPI_WORLD_H

/// The ranks of a run and how they agree. <mpi.h> stays inside this room. Errors of the MPI
/// library are returned (GR_ERR_UNAVAILABLE) with its own text.

#include "src/base/err.h"

#include <stdint.h>

typedef struct gr_world {
    int rank, size;
    int local_size; ///< ranks on this node
    int cores; ///< that this rank has for itself: of its mask, shared with the ranks of its node that have them too
    void *inside; ///< private: the communicator, what ranks agreed on
} gr_world;

/// Whether a launcher (mpirun, srun) started this process: what can do without MPI alone then need not start it.
bool gr_world_launched(void);
/// A rank of a run that is only planned, with `local_size` ranks on its node: for what says how much it costs. Nothing collective may be
/// called with it.
gr_world gr_world_imagined(int rank, int size, int local_size);
/// Ranks on this node by what the launcher says in the environment, before MPI starts; 1 when it says nothing.
int gr_world_launched_here(void);
/// Whether the launcher says that all ranks were given the same command line, and that this is not the first of them: what is wrong
/// with it the first one says.
bool gr_world_launched_alike(void);
/// Starts MPI (one thread at a time inside it), errors returned, abort hook and log rank set. Collective. A program started
/// without mpirun is rank 0 of 1. Refuses N processes that each think they are alone.
GR_MUST_CHECK gr_err gr_world_create(gr_world **out);
/// Collective unless `failed`: then the job is ended with MPI_Abort and this exit code. Does not return then.
void gr_world_destroy(gr_world **world, int exit_code_if_failed);

/// Collective. Every rank gets the same verdict: GR_OK when `mine` is GR_OK everywhere; else the
/// code and message of the lowest failing rank, with its number ("rank 2 on HOST: ..."). Call it before a
/// collective that a failed rank would miss.
GR_MUST_CHECK gr_err gr_world_agree(const gr_world *world, gr_err mine);
/// Not collective. Says that every rank comes to `err` by itself, from the same bits (a stop that was agreed on, a count
/// that does not fit), so no rank waits for another; returns it.
gr_err gr_world_alike(const gr_world *world, gr_err err);
/// Whether the last error is known on every rank (gr_world_agree, gr_world_alike). One that is not leaves other ranks
/// waiting: who meets it has to end the job.
bool gr_world_knows_error(const gr_world *world);
/// Collective. Bytes of rank `root` to all.
GR_MUST_CHECK gr_err gr_world_broadcast(const gr_world *world, void *data, size_t size,
                                        int root);
/// Collective. The text of rank `root`, which may be NULL, to all: on the others in new memory (GR_FREE), *text being NULL before.
GR_MUST_CHECK gr_err gr_world_broadcast_text(const gr_world *world, char **text, int root);
/// Collective. `size` bytes of each rank, in rank order, into all [world->size * size].
GR_MUST_CHECK gr_err gr_world_gather(const gr_world *world, const void *mine, size_t size,
                                     void *all);
/// Collective. Wait for all.
GR_MUST_CHECK gr_err gr_world_barrier(const gr_world *world);
/// Collective. The largest of the ranks' values (flags, times).
GR_MUST_CHECK gr_err gr_world_max(const gr_world *world, int64_t mine, int64_t *out);

#endif
