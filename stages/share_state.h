#ifndef STAGES_SHARE_STATE_H
#define STAGES_SHARE_STATE_H

/// A run's state as the large files of a checkpoint (share.h): which there are, and where this rank's data of each lie. Inside this
/// room.

#include "stages/share.h"
#include "stages/updater.h"

/// The file of one part's weights. Those that `u` (may be NULL) trains are its range's, from `copy`, or the model's own when that is
/// NULL; parts that do not train are not written to while a stage lasts, so they need no copy.
GR_MUST_CHECK gr_err gri_share_add_part(gri_share *share, gr_model *model, gr_part part,
                                        const gr_updater *u, const gr_updater_copy *copy);
/// gradus/optimizer.safetensors: the updater's moments, or those of `copy`.
GR_MUST_CHECK gr_err gri_share_add_moments(gri_share *share, const gr_params *params,
                                           const gr_updater *u, const gr_updater_copy *copy);
/// Moments and weights of the updater's range, as they are now.
void gri_copy_state(const gr_model *model, const gr_updater *u, const gr_updater_copy *to,
                    int threads);

#endif
