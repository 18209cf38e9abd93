#ifndef STAGES_PLAN_H
#define STAGES_PLAN_H

/// A run before it runs: what it needs and what it does, on any number of ranks, on a machine that need not be there. Memory and work are
/// those of the code that trains, run in a context that counts and computes nothing (ops/exec.h), on the rows that the loader
/// would pack; bytes are those of the code that sends and saves. Times are plan_time.h's.

#include "datasets/rows.h"
#include "mpi/messages.h"
#include "src/ops/tally.h"
#include "stages/setup.h"

typedef struct gr_plan_options {
    int ranks, nodes; ///< ranks are spread evenly over the nodes
    int threads;      ///< of a rank
    int64_t steps;    ///< of each stage that are looked at
} gr_plan_options;

/// A microbatch as it is counted: all that its memory and its work follow from.
typedef struct gr_plan_row {
    int64_t step, lane;
    int64_t tokens, images, targets;
    int64_t sequences, first; ///< their lengths: gr_plan_stage.lengths[first ...]
} gr_plan_row;

/// Bytes of the rank that needs most.
typedef struct gr_plan_memory {
    int64_t weights;     ///< fp32, and the bf16 copy
    int64_t gradients;   ///< of lanes, and what comes from other ranks
    int64_t moments;     ///< of the optimizer, and what it gathers with
    int64_t activations; ///< and work space: the row that takes most of those looked at
    int64_t data;        ///< lanes and windows that the loader has ready
    int64_t copy;        ///< for checkpoints in the background
    int64_t search;      ///< what is kept while a learning rate is tried
    int64_t border;      ///< at the end of the stage, when every rank has all weights again
    int64_t most;        ///< the larger of all of these but `border`, and of that
} gr_plan_memory;

typedef struct gr_plan_stage {
    const gr_recipe_stage *stage; ///< borrowed
    bool assumed;                 ///< its data is not here: rows are of what the recipe assumes
    int64_t samples;              ///< of an epoch
    int64_t steps, seen;          ///< of the stage; those looked at
    gr_plan_row *rows;            ///< [row_count], owned; of the steps looked at
    int64_t row_count, row_capacity;
    int64_t *lengths; ///< [length_count], owned
    int64_t length_count, length_capacity;
    double tokens, targets, images; ///< of a step, means
    double flops, flops_of_rank;    ///< of a step: all ranks'; those of the rank that has most
    int64_t worst;                  ///< the row that takes most memory
    int64_t activations_full;       ///< of a row that is as full as rows can be
    gr_plan_memory memory;
    int64_t trained;          ///< parameters
    int64_t sent, sent_first; ///< bytes of a step, by the rank that sends most, and by rank 0
    int64_t saved,
        saved_anew; ///< bytes of a checkpoint in the stage; without parts that are links
    int64_t disk;   ///< bytes of the run folder at most, up to the stage's end
} gr_plan_stage;

typedef struct gr_plan {
    gr_plan_options options;
    const gr_recipe *recipe; ///< borrowed
    gr_setup *setup;         ///< owned; planned
    gr_plan_stage *stages;   ///< [recipe->stage_count], owned
    int64_t steps;           ///< of the run
    int64_t
        program; ///< bytes of this process with tokenizer, data sets and the libraries' buffers: what a rank has besides
    /// private: addresses that stand for gradients, pictures and what is saved; nobody looks at them
    float *grads[GR_PART_COUNT], *nowhere;
    struct gr_plan_counted *last; ///< private: rows of one shape are counted once in a row
} gr_plan;

/// Counts everything. More ranks than lanes, or fewer than nodes, is refused as training refuses it. A stage whose data
/// is not here and about which the recipe assumes nothing is GR_ERR_MISSING.
GR_MUST_CHECK gr_err gr_plan_create(const gr_recipe *recipe, const gr_plan_options *options,
                                    gr_plan **out);
void gr_plan_destroy(gr_plan **plan);

/// Ranks of the node that has most.
int gr_plan_local(const gr_plan_options *options);
/// The rank that computes a lane.
int gr_plan_rank_of(const gr_plan *plan, int64_t lane);
/// Counts one row of a stage, which was entered (gr_setup_enter_stage): what its pass does, valid until the next call, and bytes of the
/// arena that it takes.
GR_MUST_CHECK gr_err gr_plan_count_row(gr_plan *plan, const gr_plan_stage *stage,
                                       const gr_plan_row *row, const gr_tally **tally,
                                       int64_t *memory);

#endif
