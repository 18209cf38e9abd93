#include "mpi/requests.h"

#include "src/base/activity.h"
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

gr_err gri_requests_receive(gri_requests *r, void *to, int64_t count, MPI_Datatype type,
                            int rank, int tag)
{
    gr_err err = GR_OK;
    GR_ASSERT(r->count < r->capacity);
    GRI_MPI(MPI_Irecv, to, (int)count, type, rank, tag, gri_comm(r->world),
            &r->items[r->count]);
    r->count++;
done:
    return err;
}

gr_err gri_requests_send(gri_requests *r, const void *from, int64_t count, MPI_Datatype type,
                         int rank, int tag)
{
    gr_err err = GR_OK;
    GR_ASSERT(r->count < r->capacity);
    int size = 0;
    GRI_MPI(MPI_Isend, from, (int)count, type, rank, tag, gri_comm(r->world),
            &r->items[r->count]);
    r->count++;
    GRI_MPI(MPI_Type_size, type, &size);
    gri_messages_count(count * size);
done:
    return err;
}

gr_err gri_requests_test(gri_requests *r, bool *done)
{
    gr_err err = GR_OK;
    int all = 1;
    if (r->count > 0) {
        GRI_MPI(MPI_Testall, r->count, r->items, &all, MPI_STATUSES_IGNORE);
    }
    if (all) {
        r->count = 0;
        gr_activity_pulse();
    }
    *done = all;
done:
    return err;
}

/// As the courier waits, which must not keep a core from the computation.
static gr_err wait_at_rest(gri_requests *r)
{
    gr_err err = GR_OK;
    bool done = false;
    GR_TRY(gri_requests_test(r, &done));
    while (!done) {
        gri_courier_rest();
        GR_TRY(gri_requests_test(r, &done));
    }
done:
    return err;
}

gr_err gri_requests_wait(gri_requests *r)
{
    gr_err err = GR_OK;
    if (gri_courier_is_me()) {
        return wait_at_rest(r);
    }
    int count = r->count;
    r->count = 0;
    GRI_MPI(MPI_Waitall, count, r->items, MPI_STATUSES_IGNORE);
done:
    return err;
}
