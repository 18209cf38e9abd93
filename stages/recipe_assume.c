/// `assume`: what a plan counts with for models and data sets that are not here.

#include "stages/recipe_private.h"

#include "src/base/mem.h"

#include <string.h>

static const double most_tokens = 1e9;

static gr_err parse_data(const gr_node *node, gr_recipe_assumed *out)
{
    static const char *const keys[] = {"samples", "tokens", "targets", "tiles", NULL};
    gr_err err = GR_OK;
    out->path = node->key;
    GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    GR_TRY(gr_node_check_keys(node, keys));
    GR_TRY(gr_node_get_int(node, "samples", 1, INT64_C(1) << 48, &out->samples));
    GR_TRY(gr_node_get_real(node, "tokens", 1, most_tokens, &out->tokens));
    GR_TRY(gr_node_get_real(node, "targets", 1, out->tokens, &out->targets));
    GR_TRY(gr_node_opt_real(node, "tiles", 0, out->tokens, &out->tiles));
done:
    return err;
}

static gr_err parse_model(const gr_node *node, gr_recipe_assumed *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_expect(node, GR_DOC_STRING));
    out->path = node->key;
    out->config = node->u.string.data;
done:
    return err;
}

gr_err gri_recipe_parse_assumed(const gr_node *root, gr_recipe *out)
{
    static const char *const keys[] = {"models", "data", NULL};
    gr_err err = GR_OK;
    const gr_node *map = NULL, *lists[2] = {NULL};
    int64_t count = 0;
    if (!gr_node_find(root, "assume")) {
        goto done;
    }
    GR_TRY(gr_node_get_map(root, "assume", &map));
    GR_TRY(gr_node_check_keys(map, keys));
    for (int k = 0; k < 2; k++) {
        if (gr_node_find(map, keys[k])) {
            GR_TRY(gr_node_get_map(map, keys[k], &lists[k]));
            count += lists[k]->u.list.count;
        }
    }
    GR_ALLOC(out->assumed, count);
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; lists[k] && i < lists[k]->u.list.count; i++) {
            gr_recipe_assumed *to = &out->assumed[out->assumed_count];
            GR_TRY((k == 0 ? parse_model : parse_data)(&lists[k]->u.list.items[i], to));
            out->assumed_count++;
        }
    }
done:
    return err;
}

static const gr_recipe_assumed *find(const gr_recipe *recipe, const char *path, bool model)
{
    for (int64_t i = 0; i < recipe->assumed_count; i++) {
        const gr_recipe_assumed *a = &recipe->assumed[i];
        if ((a->config != NULL) == model && strcmp(a->path, path) == 0) {
            return a;
        }
    }
    return NULL;
}

const gr_recipe_assumed *gr_recipe_assumed_model(const gr_recipe *recipe, const char *path)
{
    return find(recipe, path, true);
}

const gr_recipe_assumed *gr_recipe_assumed_data(const gr_recipe *recipe, const char *path)
{
    return find(recipe, path, false);
}
