#ifndef STAGES_PLAN_TIME_H
#define STAGES_PLAN_TIME_H

/// How long a planned run takes: what each rank computes, at rates that were measured (plan_measure.h), and what lies between passes. A step waits for
/// the slowest rank.

#include "stages/plan_measure.h"

typedef struct gr_plan_machine {
    double scale;   ///< seconds there over seconds here; 1: this machine
    double network; ///< bytes a second that a node sends; where there are several
} gr_plan_machine;

/// Seconds of a step, means over the steps looked at.
typedef struct gr_plan_times {
    double compute;  ///< passes of the rank that takes longest
    double update;   ///< lanes cleared and added, norm, optimizer, bf16 copies
    double digests;  ///< of the steps that are recorded, shared out over all
    double data;     ///< the loader, which works beside the ranks on their cores
    double messages; ///< what of them is not hidden behind passes
    double step;     ///< all of these
    double stage;    ///< all steps; without validation and checkpoints
    double
        unknown; ///< share of compute's operations that the pass had not, and that others stand for
} gr_plan_times;

GR_MUST_CHECK gr_err gr_plan_time(gr_plan *plan, const gr_plan_stage *stage,
                                  const gr_plan_rates *rates, const gr_plan_machine *machine,
                                  gr_plan_times *out);

#endif
