#ifndef STAGES_RECIPE_PRIVATE_H
#define STAGES_RECIPE_PRIVATE_H

/// Private to the room: the pieces of the recipe's parser.

#include "stages/recipe.h"

/// Sets *out to the index of the word that `key` holds in `names` (NULL-terminated); leaves it when the key is absent.
GR_MUST_CHECK gr_err gri_recipe_choice(const gr_node *map, const char *key,
                                       const char *const *names, int *out);
/// The map's template; leaves *out when there is none.
GR_MUST_CHECK gr_err gri_recipe_parse_template(const gr_node *map,
                                               const gr_chat_template **out);
/// Reads one entry of `stages` (recipe_stage.c); `out` is zeroed. `usual`: the template of a stage that names none.
GR_MUST_CHECK gr_err gri_recipe_parse_stage(const gr_node *node, const gr_chat_template *usual,
                                            gr_recipe_stage *out);
/// Reads `assume` (recipe_assume.c), if it is there.
GR_MUST_CHECK gr_err gri_recipe_parse_assumed(const gr_node *root, gr_recipe *out);

#endif
