#ifndef MPI_REQUESTS_H
#define MPI_REQUESTS_H

/// Messages of numbers under way together, inside this room: posted one by one, waited for at once.

#include "mpi/internal.h"

typedef struct gri_requests {
    const gr_world *world;
    MPI_Request *items; ///< [capacity], owned
    int count, capacity;
} gri_requests;

GR_MUST_CHECK gr_err gri_requests_init(const gr_world *world, int capacity, gri_requests *out);
void gri_requests_fini(gri_requests *r);
/// `count` elements, at most gr_messages_most(). Between two ranks messages of one tag keep their order.
GR_MUST_CHECK gr_err gri_requests_receive(gri_requests *r, void *to, int64_t count,
                                          MPI_Datatype type, int rank, int tag);
GR_MUST_CHECK gr_err gri_requests_send(gri_requests *r, const void *from, int64_t count,
                                       MPI_Datatype type, int rank, int tag);
GR_MUST_CHECK gr_err gri_requests_wait(gri_requests *r);
/// Lets the library move messages on; *done: all of these are through.
GR_MUST_CHECK gr_err gri_requests_test(gri_requests *r, bool *done);

/// Adds to what gr_messages_sent tells.
void gri_messages_count(int64_t bytes);

#endif
