#include "stages/recipe_private.h"

#include "mpi/ranges.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <string.h>

enum { MOST_LANES = 1 << 20, MOST_PIECE = 1 << 20, MANY = 1 << 30, DIGESTS_EVERY = 10 };

static gr_err parse_model(const gr_node *root, gr_recipe *out)
{
    static const char *const keys[] = {"vision", "connector", "language", NULL};
    gr_err err = GR_OK;
    const gr_node *model = NULL;
    gr_part_set present = 0;
    GR_TRY(gr_node_get_map(root, "model", &model));
    GR_TRY(gr_node_check_keys(model, keys));
    for (int p = 0; p < GR_PART_COUNT; p++) {
        GR_TRY(gr_node_opt_string(model, keys[p], &out->part[p]));
        present |= out->part[p] ? 1u << p : 0;
    }
    if (present != GR_PARTS_ALL && present != 1u << GR_PART_LANGUAGE) {
        GR_TRY(gr_node_error(model,
                             "expected vision, connector and language, or language alone: "
                             "the loss is the language model's"));
    }
done:
    return err;
}

static gr_err parse_checkpoints(const gr_node *root, gr_recipe *out)
{
    static const char *const keys[] = {"every", "keep", "keep_every", "background", NULL};
    gr_err err = GR_OK;
    const gr_node *map = NULL;
    out->checkpoint_keep = 2;
    out->checkpoint_background = true;
    if (gr_node_find(root, "checkpoints")) {
        GR_TRY(gr_node_get_map(root, "checkpoints", &map));
        GR_TRY(gr_node_check_keys(map, keys));
        GR_TRY(gr_node_opt_int(map, "every", 0, MANY, &out->checkpoint_every));
        GR_TRY(gr_node_opt_int(map, "keep", 1, MANY, &out->checkpoint_keep));
        GR_TRY(gr_node_opt_int(map, "keep_every", 0, MANY, &out->checkpoint_keep_every));
        GR_TRY(gr_node_opt_bool(map, "background", &out->checkpoint_background));
    }
done:
    return err;
}

static gr_err parse_digests(const gr_node *root, gr_recipe *out)
{
    static const char *const keys[] = {"every", "lanes", NULL};
    gr_err err = GR_OK;
    const gr_node *map = NULL;
    out->digests_every = DIGESTS_EVERY;
    out->digests_lanes = true;
    if (gr_node_find(root, "digests")) {
        GR_TRY(gr_node_get_map(root, "digests", &map));
        GR_TRY(gr_node_check_keys(map, keys));
        GR_TRY(gr_node_opt_int(map, "every", 0, MANY, &out->digests_every));
        GR_TRY(gr_node_opt_bool(map, "lanes", &out->digests_lanes));
    }
done:
    return err;
}

static gr_err parse_messages(const gr_node *root, gr_recipe *out)
{
    static const char *const keys[] = {"piece", "depth", "stripe", "overlap", NULL};
    static const char *const overlaps[] = {[GR_OVERLAP_AUTO] = "auto",
                                           [GR_OVERLAP_ALWAYS] = "always",
                                           [GR_OVERLAP_NEVER] = "never",
                                           NULL};
    gr_err err = GR_OK;
    const gr_node *map = NULL;
    int64_t kib = 0, depth = 0;
    int overlap = GR_OVERLAP_AUTO;
    out->stripe_blocks = GR_OWNED_BLOCKS;
    if (gr_node_find(root, "messages")) {
        GR_TRY(gr_node_get_map(root, "messages", &map));
        GR_TRY(gr_node_check_keys(map, keys));
        GR_TRY(gr_node_opt_int(map, "piece", 1, MOST_PIECE, &kib));
        GR_TRY(gr_node_opt_int(map, "depth", 1, GR_MESSAGES_DEEPEST, &depth));
        GR_TRY(gr_node_opt_int(map, "stripe", 1, MANY, &out->stripe_blocks));
        GR_TRY(gri_recipe_choice(map, "overlap", overlaps, &overlap));
    }
    out->messages = (gr_messages){.piece = kib * 1024 / (int64_t)sizeof(float),
                                  .depth = (int)depth,
                                  .overlap = (gr_overlap)overlap};
done:
    return err;
}

/// stop, replay or {skip: K}
static gr_err parse_nonfinite(const gr_node *root, gr_recipe *out)
{
    static const char *const keys[] = {"skip", NULL};
    gr_err err = GR_OK;
    const gr_node *node = gr_node_find(root, "nonfinite");
    if (!node) {
        goto done;
    }
    if (node->type == GR_DOC_MAP) {
        out->nonfinite = GR_NONFINITE_SKIP;
        GR_TRY(gr_node_check_keys(node, keys));
        GR_TRY(gr_node_get_int(node, "skip", 1, MANY, &out->nonfinite_skips));
    } else if (node->type == GR_DOC_STRING && strcmp(node->u.string.data, "replay") == 0) {
        out->nonfinite = GR_NONFINITE_REPLAY;
    } else if (node->type != GR_DOC_STRING || strcmp(node->u.string.data, "stop") != 0) {
        GR_TRY(gr_node_error(
            node, "expected stop, replay or {skip: K}, K the most steps in a row left out"));
    }
done:
    return err;
}

/// What a stage alone cannot know: the model's parts, the lanes, the other stages' names.
static gr_err check_stage(const gr_recipe *recipe, const gr_node *node, int64_t index)
{
    gr_err err = GR_OK;
    const gr_recipe_stage *stage = &recipe->stages[index];
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if ((stage->trains & (1u << p)) && !recipe->part[p]) {
            GR_TRY(gr_node_error(gr_node_find(node, "trains"),
                                 "%s trains here, but the model has no such part",
                                 gr_part_name((gr_part)p)));
        }
    }
    if (gr_node_find(node, "images") && !recipe->part[GR_PART_VISION]) {
        GR_TRY(gr_node_error(gr_node_find(node, "images"),
                             "the model has no vision part that looks at pictures"));
    }
    if (stage->global_batch < recipe->lanes) {
        GR_TRY(gr_node_error(gr_node_find(node, "global_batch"),
                             "%lld sample%s cannot fill %lld lanes; raise it or lower lanes",
                             (long long)stage->global_batch, GR_PLURAL(stage->global_batch),
                             (long long)recipe->lanes));
    }
    for (int64_t j = 0; j < index; j++) {
        if (strcmp(recipe->stages[j].name, stage->name) == 0) {
            GR_TRY(gr_node_error(gr_node_find(node, "name"), "the name \"%s\" is taken",
                                 stage->name));
        }
    }
done:
    return err;
}

static gr_err parse_stages(const gr_node *root, gr_recipe *out)
{
    gr_err err = GR_OK;
    const gr_node *list = NULL;
    const gr_chat_template *usual = gr_chat_template_find("chat");
    GR_TRY(gri_recipe_parse_template(root, &usual));
    GR_TRY(gr_node_get_list(root, "stages", &list));
    if (list->u.list.count == 0) {
        GR_TRY(gr_node_error(list, "expected at least one stage"));
    }
    GR_ALLOC(out->stages, list->u.list.count);
    out->stage_count = list->u.list.count;
    for (int64_t i = 0; i < out->stage_count; i++) {
        const gr_node *node = &list->u.list.items[i];
        GR_TRY(gri_recipe_parse_stage(node, usual, &out->stages[i]));
        GR_TRY(check_stage(out, node, i));
    }
done:
    return err;
}

static gr_err parse_recipe(gr_recipe *out)
{
    static const char *const keys[] = {
        "seed",    "lanes",    "model",     "tokenizer", "precision", "system", "checkpoints",
        "digests", "messages", "nonfinite", "stages",    "template",  "assume", NULL};
    static const char *const precisions[] = {
        [GR_PRECISION_FP32] = "fp32", [GR_PRECISION_BF16] = "bf16", NULL};
    gr_err err = GR_OK;
    int64_t seed = 0;
    int precision = GR_PRECISION_FP32;
    const gr_node *root = gr_doc_root(out->doc);
    out->lanes = 1;
    GR_TRY(gr_node_expect(root, GR_DOC_MAP));
    GR_TRY(gr_node_check_keys(root, keys));
    GR_TRY(gr_node_opt_int(root, "seed", 0, INT64_MAX, &seed));
    GR_TRY(gr_node_opt_int(root, "lanes", 1, MOST_LANES, &out->lanes));
    GR_TRY(parse_model(root, out));
    GR_TRY(gr_node_get_string(root, "tokenizer", &out->tokenizer));
    GR_TRY(gri_recipe_choice(root, "precision", precisions, &precision));
    GR_TRY(gr_node_opt_string(root, "system", &out->system));
    GR_TRY(parse_checkpoints(root, out));
    GR_TRY(parse_digests(root, out));
    GR_TRY(parse_messages(root, out));
    GR_TRY(parse_nonfinite(root, out));
    GR_TRY(parse_stages(root, out));
    GR_TRY(gri_recipe_parse_assumed(root, out));
    out->seed = (uint64_t)seed;
    out->precision = (gr_precision)precision;
done:
    return err;
}

/// "key.path=value"
static gr_err apply_setting(gr_doc *doc, const char *setting)
{
    gr_err err = GR_OK;
    gr_str path = {0};
    const char *equals = strchr(setting, '=');
    if (!equals || equals == setting) {
        GR_FAIL(GR_ERR_USAGE, "--set %s: expected key.path=value", setting);
    }
    GR_TRY(gr_str_add_bytes(&path, setting, (size_t)(equals - setting)));
    GR_TRY(gr_doc_set(doc, path.data, equals + 1));
done:
    gr_str_fini(&path);
    return err;
}

gr_err gr_recipe_load(const char *path, const char *const *settings, int64_t count,
                      gr_recipe **out)
{
    gr_err err = GR_OK;
    gr_recipe *recipe = NULL;
    GR_ALLOC(recipe, 1);
    GR_TRY(gr_doc_load(path, GR_ERR_RECIPE, &recipe->doc));
    GR_TRY(gr_doc_include(recipe->doc));
    for (int64_t i = 0; i < count; i++) {
        GR_TRY(apply_setting(recipe->doc, settings[i]));
    }
    GR_TRY(parse_recipe(recipe));
    *out = recipe;
    recipe = NULL;
done:
    gr_recipe_destroy(&recipe);
    return err;
}

void gr_recipe_destroy(gr_recipe **recipe)
{
    gr_recipe *r = *recipe;
    if (!r) {
        return;
    }
    for (int64_t i = 0; r->stages && i < r->stage_count; i++) {
        GR_FREE(r->stages[i].data.items);
        GR_FREE(r->stages[i].validation.items);
    }
    GR_FREE(r->stages);
    GR_FREE(r->assumed);
    gr_doc_destroy(&r->doc);
    GR_FREE(*recipe);
}
