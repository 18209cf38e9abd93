#ifndef STAGES_UPDATER_H
#define STAGES_UPDATER_H

/// From the summed gradient of a step to new parameters: mean over targets, non-finite guard, clipping, schedule, AdamW,
/// on the ranks together (ZeRO stage 1): each rank holds the moments of its range of what trains, updates the parameters of
/// that range and gets the others' back.
///
/// The flat space of what trains: the training parts one after another, each at a whole block (mpi/ranges.h), so that no block
/// holds two parts. What lies between them is zero and stays so. The norm is the root of the blocks' sums of squares, in double,
/// added in the order of the blocks: it depends neither on the ranks nor on the threads.

#include "mpi/gather.h"
#include "src/model/model.h"
#include "stages/recipe.h"

typedef struct gr_updater {
    const gr_world *world; ///< borrowed
    gr_part_set trains;
    /// each training part's place in the space; empty for others
    gr_range parts[GR_PART_COUNT];
    int64_t size;          ///< of the space
    gr_range own;          ///< this rank's range of it
    float *first, *second; ///< AdamW's m and v of the own range; owned
    double *mine, *sums;   ///< private: of the own blocks, and of every rank's
    gr_gather *gather;
    int64_t updates; ///< done so far
} gr_updater;

/// Zero moments for the parts in `trains`. Not collective; call gr_world_agree after it.
GR_MUST_CHECK gr_err gr_updater_create(const gr_world *world, const gr_params *params,
                                       gr_part_set trains, gr_updater **out);
void gr_updater_destroy(gr_updater **updater);

/// Elements of the space of these parts; parts[p] is where part p lies in it.
int64_t gr_updater_layout(const gr_params *params, gr_part_set trains,
                          gr_range parts[GR_PART_COUNT]);

/// Where an update also puts its results: elements of the own range, from its beginning. For a checkpoint (saver.h).
typedef struct gr_updater_copy {
    float *weights, *first, *second;
} gr_updater_copy;

typedef struct gr_update_report {
    double grad_norm; ///< of the mean gradient, before clipping
    double scale;     ///< of the summed gradient: one over the targets, times clipping
    double learning_rate[GR_PART_COUNT]; ///< used by this update; 0 for frozen parts
} gr_update_report;

/// One update at `step` of a stage of `schedule`. `grads` [size] holds the summed gradient in the own range, `targets` is the
/// tokens it sums over (> 0); `copy` may be NULL. A norm that is not finite is GR_ERR_NONFINITE, on all ranks, and leaves parameters and
/// moments as they are. Collective.
GR_MUST_CHECK gr_err gr_updater_apply(gr_updater *updater, gr_model *model,
                                      const gr_recipe_stage *stage, const gr_schedule *schedule,
                                      int64_t step, const float *grads, int64_t targets,
                                      int threads, const gr_updater_copy *copy,
                                      gr_update_report *report);

#endif
