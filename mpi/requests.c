#include "mpi/requests.h"

#include "src/base/mem.h"

gr_err gri_requests_init(const gr_world *world, int capacity, gri_requests *out)
{
    gr_err err = GR_OK;
    gri_requests r = {.world = world, .capacity = capacity};
    GR_ALLOC(r.items, capacity);
    *out = r;
done:
    return err;
}

void gri_requests_fini(gri_requests *r)
{
    GR_FREE(r->items);
}

gr_err gri_requests_receive(gri_requests *r, float *to, int64_t count, int rank, int tag)
{
    gr_err err = GR_OK;
    GR_ASSERT(r->count < r->capacity);
    GRI_MPI(MPI_Irecv, to, (int)count, MPI_FLOAT, rank, tag, gri_comm(r->world),
            &r->items[r->count]);
    r->count++;
done:
    return err;
}

gr_err gri_requests_send(gri_requests *r, const float *from, int64_t count, int rank, int tag)
{
    gr_err err = GR_OK;
    GR_ASSERT(r->count < r->capacity);
    GRI_MPI(MPI_Isend, from, (int)count, MPI_FLOAT, rank, tag, gri_comm(r->world),
            &r->items[r->count]);
    r->count++;
done:
    return err;
}

gr_err gri_requests_wait(gri_requests *r)
{
    gr_err err = GR_OK;
    int count = r->count;
    r->count = 0;
    GRI_MPI(MPI_Waitall, count, r->items, MPI_STATUSES_IGNORE);
done:
    return err;
}
