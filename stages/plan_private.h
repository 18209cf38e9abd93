#ifndef STAGES_PLAN_PRIVATE_H
#define STAGES_PLAN_PRIVATE_H

/// Private to plan*.c: what gr_plan_create does for each stage, in this order.

#include "stages/plan.h"

/// What was counted last.
typedef struct gr_plan_counted {
    const gr_plan_stage *stage;
    const gr_plan_row *row;
    gr_tally tally;
    int64_t memory;
} gr_plan_counted;

/// The rows of the stage's first steps.
GR_MUST_CHECK gr_err gri_plan_list_rows(gr_plan *plan, gr_plan_stage *stage);
/// Work of each rank, and the row that takes most memory.
GR_MUST_CHECK gr_err gri_plan_count_rows(gr_plan *plan, gr_plan_stage *stage);
/// A row with as many tokens and tiles as a row may have, in as few sequences as the model's positions allow, and a target at every other
/// token.
GR_MUST_CHECK gr_err gri_plan_count_full_row(gr_plan *plan, gr_plan_stage *stage);
/// Memory and messages of the ranks.
void gri_plan_cost_ranks(gr_plan *plan, gr_plan_stage *stage);
/// Bytes of the files of a checkpoint in the stage, and of those that it does not link.
GR_MUST_CHECK gr_err gri_plan_count_files(gr_plan *plan, gr_plan_stage *stage);
/// At most: the newest ones and the one being written, each with new files for what trains; one set of files for the rest; and those that stay for
/// good, which share nothing. `before`: of earlier stages, for good.
void gri_plan_count_disk(const gr_plan *plan, gr_plan_stage *stage, int64_t *before);

#endif
