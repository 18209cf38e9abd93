#ifndef STAGES_STEP_REPORT_H
#define STAGES_STEP_REPORT_H

/// What is told of a step: the live line, metrics.jsonl, digests.jsonl. Inside this room.

#include "stages/stage_run.h"

/// Times of this rank, as they stood when something began; gri_step_clock_read gives the differences since.
typedef struct gri_step_clock {
    double began, data_wait, communication;
} gri_step_clock;
gri_step_clock gri_step_clock_start(const gr_stage_run *r);

/// A step that began with `clock` is over. Collective.
GR_MUST_CHECK gr_err gri_step_report(gr_trainer *t, gr_stage_run *r,
                                     const gr_step_result *result, const gri_step_clock *clock);

#endif
