#ifndef SRC_CLI_PLAN_PRINT_H
#define SRC_CLI_PLAN_PRINT_H

/// What `gradus plan` prints.

#include "stages/plan_time.h"

/// A plan with what was measured and how long its stages take.
typedef struct gri_planned {
    const char *recipe; ///< its path
    int64_t rate;       ///< GFLOP/s that was asked for; 0: as measured
    bool bandwidth;     ///< was asked for
    gr_plan *plan;
    gr_plan_machine machine;
    gr_plan_rates rates;
    gr_plan_times *times; ///< [stages]; NULL: not measured
} gri_planned;

void gri_plan_print(const gri_planned *planned);
GR_MUST_CHECK gr_err gri_plan_print_json(const gri_planned *planned);

#endif
