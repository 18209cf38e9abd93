#ifndef STAGES_VALIDATE_H
#define STAGES_VALIDATE_H

/// Validation: the mean loss per target token over a whole data set, each sample once, the same
/// bits on any number of ranks.

#include "stages/lane_step.h"

/// Collective. `s` has no training parts; its loader is unshuffled and one epoch long. *dropped: samples that
/// s->dropped lists.
GR_MUST_CHECK gr_err gr_validate(gr_lane_step *s, double *loss, int64_t *targets,
                                 int64_t *dropped);

#endif
