#ifndef STAGES_SETUP_PRIVATE_H
#define STAGES_SETUP_PRIVATE_H

/// Private to setup*.c: what is here, and the list of what is not.

#include "stages/setup.h"

bool gri_is_there(const char *path);
/// Lists what is not here. `as`: what is planned with instead, or NULL.
GR_MUST_CHECK gr_err gri_note_missing(gr_setup *setup, const char *key, const char *path,
                                      const char *as);
/// The same for a data set, each once.
GR_MUST_CHECK gr_err gri_note_missing_data(gr_setup *setup, const char *path);
/// Where a part's sizes are: what the recipe names, or, in a plan, what it assumes of that.
GR_MUST_CHECK gr_err gri_setup_find_sizes(gr_setup *setup, gr_part part, const char **path);

#endif
