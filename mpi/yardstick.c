#include "mpi/yardstick.h"

#include "mpi/internal.h"
#include "mpi/messages.h"
#include "src/base/mem.h"

gr_err gr_yardstick_reduce_scatter(const gr_world *world, const float *from, float *to,
                                   int64_t count)
{
    gr_err err = GR_OK;
    GR_ASSERT(count <= gr_messages_most());
    GRI_MPI(MPI_Reduce_scatter_block, from, to, (int)count, MPI_FLOAT, MPI_SUM,
            gri_comm(world));
done:
    return err;
}

gr_err gr_yardstick_allreduce(const gr_world *world, const float *from, float *to, int64_t n)
{
    gr_err err = GR_OK;
    GR_ASSERT(n <= gr_messages_most());
    GRI_MPI(MPI_Allreduce, from, to, (int)n, MPI_FLOAT, MPI_SUM, gri_comm(world));
done:
    return err;
}

gr_err gr_yardstick_gather(const gr_world *world, int64_t share, gr_range part, float *values)
{
    gr_err err = GR_OK;
    int *counts = NULL, *places = NULL;
    GR_ASSERT(gr_range_count(part) <= gr_messages_most());
    GR_ALLOC(counts, world->size);
    GR_ALLOC(places, world->size);
    for (int rank = 0; rank < world->size; rank++) {
        gr_range mine = gr_range_overlap((gr_range){rank * share, (rank + 1) * share}, part);
        counts[rank] = (int)gr_range_count(mine);
        places[rank] = counts[rank] > 0 ? (int)(mine.begin - part.begin) : 0;
    }
    GRI_MPI(MPI_Allgatherv, MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values, counts, places,
            MPI_FLOAT, gri_comm(world));
done:
    GR_FREE(counts);
    GR_FREE(places);
    return err;
}
