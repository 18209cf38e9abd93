#ifndef STAGES_LANE_STEP_H
#define STAGES_LANE_STEP_H

/// One pass of all ranks over the lanes of a step: each rank computes its own lanes, and what they counted is added in
/// lane order, the same on every rank and for every number of ranks.

#include "mpi/lanes.h"
#include "src/base/str.h"
#include "stages/flip.h"
#include "stages/setup.h"

/// Sums over the lanes of one step.
typedef struct gr_lane_totals {
    double loss; ///< sum of token losses
    int64_t samples, tokens, targets, images;
    int64_t rows;        ///< microbatches
    int64_t most_images; ///< of the lane with most
    int64_t dropped;     ///< samples of weight 0
} gr_lane_totals;

typedef struct gr_step_digest gr_step_digest;

typedef struct gr_lane_step {
    const gr_world *world; ///< borrowed, as are model and loader
    gr_model *model;
    gr_loader *loader;
    int64_t lane_count;         ///< of the whole run
    gr_part_set trains;         ///< empty: forward only
    uint64_t seed, stream;      ///< of random numbers in training: the run's and the stage's
    gr_lanes *lanes;            ///< gradient vectors of the lanes; NULL when nothing trains
    gr_lane_totals *mine, *all; ///< private: what this rank and every rank counted
    gr_step_digest *digest;     ///< borrowed: hears of each own lane; NULL: nobody does
    gr_flip flip;               ///< a fault on purpose, in the update of this number
    int64_t update;
    gr_str *dropped; ///< what this rank's lanes left out since it was cleared (ledger.h)
} gr_lane_step;

/// Collective. Takes all memory that the steps need. `out` is filled in; end it with gr_lane_step_fini.
GR_MUST_CHECK gr_err gr_lane_step_init(const gr_world *world, gr_model *model,
                                       gr_loader *loader, int64_t lane_count,
                                       gr_part_set trains, gr_lane_step *out);
/// May be called on a zeroed struct and twice.
void gr_lane_step_fini(gr_lane_step *s);

/// Collective. Computes step `step` of the loader. An error on one rank is the error of all.
/// *stop: some rank was asked to stop. The summed gradient comes out of gr_lanes_reduce afterwards.
GR_MUST_CHECK gr_err gr_lane_step_run(gr_lane_step *s, int64_t step, gr_lane_totals *out,
                                      bool *stop);

#endif
