#ifndef STAGES_RANKS_BENCH_H
#define STAGES_RANKS_BENCH_H

/// What it costs to train on many ranks: steps alone, steps with sums and parameters moved in between or meanwhile, and steps with the
/// MPI library's own sums, in turns.

#include "mpi/world.h"
#include "src/model/model.h"

typedef struct gr_bench_ranks_options {
    gr_part_set train;
    int64_t images, tokens; ///< of a rank's step, one lane: random_batch.h
    int64_t steps;          ///< of one measurement
    int64_t rounds;
    int threads;
} gr_bench_ranks_options;

/// Medians over the rounds of seconds a step, of the slowest rank.
typedef struct gr_bench_ranks {
    int64_t elements; ///< that train
    double alone;     ///< on rank 0 while the others wait: a step of one rank
    double compute;   ///< on all ranks at once, nothing moved
    double serial;    ///< sums behind backward, parameters behind the update
    double overlap;   ///< both while the rest is computed
    double allreduce; ///< MPI_Allreduce, every rank updates everything
    double scattered; ///< MPI_Reduce_scatter_block, each rank updates its share, MPI_Allgatherv
    double hidden;    ///< (serial - overlap) / (serial - compute)
    bool overlaps;    ///< what a run does here by itself (messages.h): overlap, or serial
    double determinism; ///< that / the faster of the MPI library's two
    double
        efficiency; ///< alone / that: of the ranks' samples a second, over P times one rank's
} gr_bench_ranks;

/// A step is forward and backward, sum, norm and AdamW. A round before the first warms up. Changes the weights, which differ between ranks
/// afterwards. More than one rank. Collective.
GR_MUST_CHECK gr_err gr_bench_ranks_run(const gr_world *world, gr_model *model,
                                        const gr_bench_ranks_options *options,
                                        gr_bench_ranks *out);

#endif
