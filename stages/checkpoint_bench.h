#ifndef STAGES_CHECKPOINT_BENCH_H
#define STAGES_CHECKPOINT_BENCH_H

/// What a checkpoint costs a run: how long the step loop stands still, and how much slower it goes while a thread writes.

#include "mpi/world.h"
#include "src/model/model.h"

typedef struct gr_bench_checkpoint_options {
    const char *dir; ///< checkpoints are written below and removed at the end
    gr_part_set train;
    int64_t tokens; ///< of one lane's text, one lane a rank
    int64_t steps;  ///< between two checkpoints
    int64_t rounds;
    int threads;
} gr_bench_checkpoint_options;

/// Medians over the rounds of seconds (of updates that do not copy, over the steps); of a moment that ranks share the slowest rank counts.
typedef struct gr_bench_checkpoint {
    int64_t state_bytes; ///< weights and moments of the longest range
    double copy;         ///< memcpy of this rank's state, into memory that was used before
    /// of the step loop: the save, and what the update before it takes longer since it copies
    double stall;
    double write;        ///< from the beginning of a save until it is complete, steps beside it
    double step;         ///< without a save
    double step_beside;  ///< mean of the steps while a save is under way
    double stall_ratio;  ///< stall / copy
    double beside_ratio; ///< step_beside / step
    double all_ratio; ///< `steps` steps with one save, until it is complete / as many without
} gr_bench_checkpoint;

/// In each round: the copy, `steps` steps, then a step that copies, a save and the other steps, waiting for the save at the end if it is still under way. A
/// step is forward and backward of text, the sum over the ranks and the update. A round before the first warms up. Changes the
/// weights. Collective.
GR_MUST_CHECK gr_err gr_bench_checkpoint_run(const gr_world *world, gr_model *model,
                                             const gr_bench_checkpoint_options *options,
                                             gr_bench_checkpoint *out);

#endif
