#ifndef SRC_EVAL_BENCH_REDUCE_H
#define SRC_EVAL_BENCH_REDUCE_H

/// Adding and gathering across ranks, in turns with the MPI library's own.

#include "mpi/messages.h"

typedef struct gr_bench_reduce_options {
    int64_t elements; ///< of one vector, fp32; rounded up to whole blocks for each rank
    int64_t rounds;
    gr_messages messages; ///< 0: as the transport wants it
} gr_bench_reduce_options;

/// Seconds, medians over the rounds; of a round the slowest rank counts.
typedef struct gr_bench_reduce {
    int64_t elements;                   ///< as measured
    gr_messages messages;               ///< as used
    double reduce_scatter, gather;      ///< ours
    double mpi_reduce_scatter, mpi_all; ///< MPI_Reduce_scatter_block, MPI_Allreduce
    double scatter_ratio; ///< median of MPI_Reduce_scatter_block / our reduce-scatter
    double all_ratio;     ///< median of MPI_Allreduce / (our reduce-scatter + our gather)
} gr_bench_reduce;

/// One lane a rank. In each round: our reduce-scatter, MPI_Reduce_scatter_block, our reduce-scatter and gather, MPI_Allreduce, each
/// behind a barrier. Two rounds before the first warm up. Sets the messages (gr_messages_set). Collective; the same on all ranks.
GR_MUST_CHECK gr_err gr_bench_reduce_run(const gr_world *world,
                                         const gr_bench_reduce_options *options,
                                         gr_bench_reduce *out);

#endif
