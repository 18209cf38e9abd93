#ifndef STAGES_RECIPE_BITS_H
#define STAGES_RECIPE_BITS_H

/// Which keys of a recipe decide the bits of its result. These do not, and may change while a run is stopped: `checkpoints`,
/// `digests`, `messages`, and of a stage `recompute` and `validate_every`. A new key decides until it is named in recipe_bits.c.

#include "src/base/str.h"
#include "stages/recipe.h"

/// The recipe without the keys that decide nothing, as JSON in new memory (GR_FREE).
GR_MUST_CHECK gr_err gr_recipe_deciding(const gr_doc *recipe, char **json);
/// The first deciding key in which two recipes differ, in new memory (GR_FREE); NULL: in none.
GR_MUST_CHECK gr_err gr_recipe_difference(const gr_doc *a, const gr_doc *b, char **path);
/// The changes of keys that decide nothing, "checkpoints.every 3 -> 5, ...", appended. The recipes are the same otherwise.
GR_MUST_CHECK gr_err gr_recipe_changes(const gr_recipe *then, const gr_recipe *now,
                                       gr_str *out);

#endif
