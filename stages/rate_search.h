#ifndef STAGES_RATE_SEARCH_H
#define STAGES_RATE_SEARCH_H

/// A stage's search for its learning rate (adalrs.h), inside this room: each rank keeps weights and moments of its range while a rate is
/// tried. Nothing is saved within a try: a checkpoint is saved where one begins, and whoever goes on from there makes it again.

#include "stages/stage_run.h"

/// Memory for what is kept, where the stage searches: 12 bytes an element of this rank's range. In a run that goes on where a try begins
/// the state is kept at once. Not collective; call gr_world_agree after it.
GR_MUST_CHECK gr_err gri_rate_search_open(gr_trainer *t, gr_stage_run *r);
void gri_rate_search_close(gr_stage_run *r);
/// Behind a step: takes in its loss, may begin or end a try (weights and moments may go back) and sets the factor of the next rates. Collective.
GR_MUST_CHECK gr_err gri_rate_search_step(gr_trainer *t, gr_stage_run *r,
                                          const gr_step_result *step);
/// Whether a try is under way behind the last step; *begins: it begins there, and that has to be saved.
bool gri_rate_search_tries(const gr_trainer *t, bool *begins);

#endif
