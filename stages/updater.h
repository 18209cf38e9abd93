#ifndef STAGES_UPDATER_H
#define STAGES_UPDATER_H

/// From the summed gradient of a step to new parameters: mean over targets, non-finite guard,
/// clipping, schedule, AdamW. Not collective; every rank does the same to the same bits.

#include "src/model/model.h"
#include "stages/recipe.h"

typedef struct gr_updater {
    gr_part_set trains;
    float *first[GR_PART_COUNT];  ///< AdamW's m per training part, flat like the weights; owned
    float *second[GR_PART_COUNT]; ///< v
    int64_t updates;              ///< done so far
} gr_updater;

/// Zero moments for the parts in `trains`.
GR_MUST_CHECK gr_err gr_updater_create(const gr_params *params, gr_part_set trains,
                                       gr_updater **out);
void gr_updater_destroy(gr_updater **updater);

/// Elements of the training parts together; part p starts at offsets[p] of one gradient vector.
int64_t gr_updater_layout(const gr_params *params, gr_part_set trains,
                          int64_t offsets[GR_PART_COUNT]);

typedef struct gr_update_report {
    double grad_norm;                    ///< of the mean gradient, before clipping
    double learning_rate[GR_PART_COUNT]; ///< used by this update; 0 for frozen parts
} gr_update_report;

/// One update at `step` of a stage of `schedule`. `grads` is the summed gradient [layout],
/// `targets` the tokens it sums over (> 0). A norm that is not finite is GR_ERR_NONFINITE and
/// leaves parameters and moments as they are.
GR_MUST_CHECK gr_err gr_updater_apply(gr_updater *updater, gr_model *model,
                                      const gr_recipe_stage *stage, const gr_schedule *schedule,
                                      int64_t step, const float *grads, int64_t targets,
                                      int threads, gr_update_report *report);

#endif
