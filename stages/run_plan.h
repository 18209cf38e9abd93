#ifndef STAGES_RUN_PLAN_H
#define STAGES_RUN_PLAN_H

/// What a run says before it begins, and what a dry run checks. Inside this room.

#include "stages/stage_run.h"

/// What decides speed and bits, as the first line of the log.
void gri_run_announce(const gr_trainer *t);
/// Prints what each stage will do and counts the updates; in a dry run it also reads the samples of each stage's first step. A stage whose data is
/// not here (gr_setup_create_planned) is described as far as it goes.
/// Not collective: every rank counts and reads its own lanes, rank 0 prints, the caller agrees.
GR_MUST_CHECK gr_err gri_run_plan(gr_trainer *t);
/// Of a dry run in which something was not here: GR_ERR_MISSING with all of it.
GR_MUST_CHECK gr_err gri_run_missing(const gr_trainer *t);

#endif
