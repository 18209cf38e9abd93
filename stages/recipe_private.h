#ifndef STAGES_RECIPE_PRIVATE_H
#define STAGES_RECIPE_PRIVATE_H

/// Private to the room: the pieces of the recipe's parser.

#include "stages/recipe.h"

/// Sets *out to the index of the word that `key` holds in `names` (NULL-terminated); leaves it when the key is absent.
GR_MUST_CHECK gr_err gri_recipe_choice(const gr_node *map, const char *key,
                                       const char *const *names, int *out);
/// Reads one entry of `stages` (recipe_stage.c); `out` is zeroed. Shared inside this room.
GR_MUST_CHECK gr_err gri_recipe_parse_stage(const gr_node *node, gr_recipe_stage *out);

#endif
