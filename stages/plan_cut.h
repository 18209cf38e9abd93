#ifndef STAGES_PLAN_CUT_H
#define STAGES_PLAN_CUT_H

/// The model and the row that are computed to see how fast a machine is: cut, so that it takes a moment. Inside this room.

#include "stages/plan.h"

/// What the pass is of.
typedef struct gri_plan_cut {
    gr_model_config config;
    int64_t images, targets, sequences;
    int64_t *lengths; ///< [sequences], owned
    double flops;
    int64_t bytes; ///< of weights and gradients
} gri_plan_cut;

/// What trains in any stage.
gr_part_set gri_plan_trains(const gr_plan *plan);
/// The row of all stages that is most work, and its stage.
GR_MUST_CHECK gr_err gri_plan_find_row(gr_plan *plan, const gr_plan_stage **stage,
                                       const gr_plan_row **row);
/// As many blocks and tokens of the row as a rank computes in about `seconds` at `rate` operations a second; at least a block of each stack and some tokens.
GR_MUST_CHECK gr_err gri_plan_choose_cut(gr_plan *plan, const gr_plan_stage *stage,
                                         const gr_plan_row *row, double rate, double seconds,
                                         gri_plan_cut *out);

#endif
