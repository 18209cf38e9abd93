#include "mpi/yardstick.h"

#include "mpi/internal.h"
#include "mpi/messages.h"

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
