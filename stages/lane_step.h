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
    int64_t memory;      ///< most bytes of a rank so far (gr_mem_resident_peak)
    gr_digest packing;   ///< the lane's (loader.h): the same on every rank
    /// of a lane: 1 + the tensor, counted over the model, in which backward first met what is not finite; 0: its gradient is finite
    int64_t bad_tensor;
} gr_lane_totals;

typedef struct gr_step_digest gr_step_digest;

typedef struct gr_lane_step {
    const gr_world *world; ///< borrowed, as are model and loader
    gr_model *model;
    gr_loader *loader;
    int64_t lane_count;            ///< of the whole run
    gr_part_set trains;            ///< empty: forward only
    const char *stage;             ///< borrowed, for messages
    uint64_t seed, stream;         ///< of random numbers in training: the run's and the stage's
    gr_lanes *lanes;               ///< gradient vectors of the lanes; NULL when nothing trains
    gr_lane_totals *mine, *all;    ///< private: what this rank and every rank counted
    gr_step_digest *digest;        ///< borrowed: hears of each own lane; NULL: nobody does
    bool overlap;                  ///< gradients go on their way as backward completes them
    gr_range parts[GR_PART_COUNT]; ///< private: where parts that train lie in a lane's vector
    bool letting_go;               ///< private: the last pass of the last own lane is computed
    float *gradient;               ///< private: of the lane that is computed
    int64_t unseen[GR_PART_COUNT]; ///< private: elements of it from here on are known
    int64_t bad_tensor;            ///< private: as in gr_lane_totals, of what is known
    int threads;                   ///< that look through gradients; 0 is 1
    float *sum;                    ///< where this rank owns it, the gradient of the last pass
    gr_flip flip;                  ///< a fault on purpose, in the update of this number
    int64_t update;
    gr_str *dropped; ///< what this rank's lanes left out since it was cleared (ledger.h)
    const gr_recipe_sources *sources;    ///< whose samples are counted apart; NULL: none
    int64_t *of_sources;                 ///< [sources->count] samples of the last pass
    int64_t *sources_mine, *sources_all; ///< private: of this rank and of every rank
} gr_lane_step;

/// Collective. Takes all memory that the steps need. `out` is filled in; end it with gr_lane_step_fini.
GR_MUST_CHECK gr_err gr_lane_step_init(const gr_world *world, gr_model *model,
                                       gr_loader *loader, int64_t lane_count,
                                       gr_part_set trains, gr_lane_step *out);
/// From now on passes also count how many samples each of these sources (borrowed) gives; of a data set that is named twice, all are the
/// first's. Not collective; call gr_world_agree after it.
GR_MUST_CHECK gr_err gr_lane_step_count_sources(gr_lane_step *s,
                                                const gr_recipe_sources *sources);
/// May be called on a zeroed struct and twice.
void gr_lane_step_fini(gr_lane_step *s);

/// Collective. Computes step `step` of the loader (its first is 0; messages count from 1). An error on one rank is the error of all.
/// *stop: some rank was asked to stop. The summed gradient, where something trains, is s->sum until the next.
GR_MUST_CHECK gr_err gr_lane_step_run(gr_lane_step *s, int64_t step, gr_lane_totals *out,
                                      bool *stop);

/// What lane `lane` of the last pass told: the same on every rank. *rank, if it is not NULL: who computed it.
const gr_lane_totals *gr_lane_step_of(const gr_lane_step *s, int64_t lane, int *rank);
/// The first lane of the last pass whose loss or gradient is not finite; -1: there is none.
int64_t gr_lane_step_first_bad(const gr_lane_step *s);

/// Computes a lane once more, its gradient into memory of the lanes: the last pass's sum is gone. Not collective; any lane will do.
GR_MUST_CHECK gr_err gr_lane_step_again(gr_lane_step *s, int64_t step, int64_t lane,
                                        gr_lane_totals *out);
/// Computes one batch alone, with its gradient, in the same memory; *finite: both are. Not collective.
GR_MUST_CHECK gr_err gr_lane_step_try(gr_lane_step *s, const gr_batch *batch, bool *finite);
/// Microbatch i of a lane as training passes show it, with the fault that was asked for. Valid until the next.
GR_MUST_CHECK gr_err gr_lane_step_batch(gr_lane_step *s, int64_t step, int64_t lane,
                                        const gr_lane_batch *batch, int64_t i, gr_batch *out);

/// What a watch of the model hears (gr_model_watch) about gradients that are complete.
void gr_lane_step_made(gr_lane_step *s, gr_part part, int64_t begin);

#endif
