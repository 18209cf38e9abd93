#include "stages/recipe_bits.h"

#include "src/base/mem.h"

#include <stdio.h>
#include <string.h>

static bool is_among(const char *key, const char *const *list)
{
    while (*list && strcmp(*list, key) != 0) {
        list++;
    }
    return *list != NULL;
}

static void write_stage(gr_json *j, const gr_node *stage)
{
    static const char *const left_out[] = {"recompute", "validate_every", NULL};
    static const char *const ending[] = {"recompute",
                                         NULL}; // how often it validates says where it ends
    const char *const *out = gr_node_find(stage, "ends") ? ending : left_out;
    gr_json_map_begin(j, NULL);
    for (int64_t i = 0; i < stage->u.list.count; i++) {
        if (!is_among(stage->u.list.items[i].key, out)) {
            gr_node_write(j, &stage->u.list.items[i]);
        }
    }
    gr_json_map_end(j);
}

static void write_stages(gr_json *j, const gr_node *list)
{
    gr_json_list_begin(j, list->key);
    for (int64_t i = 0; i < list->u.list.count; i++) {
        const gr_node *stage = &list->u.list.items[i];
        if (stage->type == GR_DOC_MAP) {
            write_stage(j, stage);
        } else {
            gr_node_write(j, stage);
        }
    }
    gr_json_list_end(j);
}

gr_err gr_recipe_deciding(const gr_doc *recipe, char **json)
{
    // nonfinite: it says what becomes of a run that cannot go on, and leaves each finite step as it is
    static const char *const left_out[] = {"checkpoints", "digests", "messages",
                                           "nonfinite",   "assume",  NULL};
    gr_err err = GR_OK;
    gr_json j = {0};
    const gr_node *root = gr_doc_root(recipe);
    GR_TRY(gr_node_expect(root, GR_DOC_MAP));
    gr_json_map_begin(&j, NULL);
    for (int64_t i = 0; i < root->u.list.count; i++) {
        const gr_node *item = &root->u.list.items[i];
        if (strcmp(item->key, "stages") == 0 && item->type == GR_DOC_LIST) {
            write_stages(&j, item);
        } else if (!is_among(item->key, left_out)) {
            gr_node_write(&j, item);
        }
    }
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_STRDUP(*json, j.text.data);
done:
    gr_json_fini(&j);
    return err;
}

static gr_err parse_deciding(const gr_doc *recipe, gr_doc **out)
{
    gr_err err = GR_OK;
    char *json = NULL;
    GR_TRY(gr_recipe_deciding(recipe, &json));
    GR_TRY(gr_doc_parse_json(gr_doc_name(recipe), json, strlen(json), GR_ERR_RECIPE, out));
done:
    GR_FREE(json);
    return err;
}

gr_err gr_recipe_difference(const gr_doc *a, const gr_doc *b, char **path)
{
    gr_err err = GR_OK;
    gr_doc *mine = NULL, *theirs = NULL;
    GR_TRY(parse_deciding(a, &mine));
    GR_TRY(parse_deciding(b, &theirs));
    GR_TRY(gr_doc_difference(mine, theirs, path));
done:
    gr_doc_destroy(&mine);
    gr_doc_destroy(&theirs);
    return err;
}

/// `map` is the stage's name or the key of the map that holds it.
static gr_err add_change(gr_str *out, const char *map, const char *key, int64_t then,
                         int64_t now)
{
    if (then == now) {
        return GR_OK;
    }
    return gr_str_addf(out, "%s%s.%s %lld -> %lld", out->size > 0 ? ", " : "", map, key,
                       (long long)then, (long long)now);
}

static void name_policy(const gr_recipe *recipe, char text[48])
{
    static const char *const names[] = {[GR_NONFINITE_STOP] = "stop",
                                        [GR_NONFINITE_SKIP] = "skip",
                                        [GR_NONFINITE_REPLAY] = "replay"};
    snprintf(text, 48, "%s", names[recipe->nonfinite]);
    if (recipe->nonfinite == GR_NONFINITE_SKIP) {
        snprintf(text, 48, "skip %lld", (long long)recipe->nonfinite_skips);
    }
}

static gr_err add_policy_change(const gr_recipe *then, const gr_recipe *now, gr_str *out)
{
    char before[48], after[48];
    name_policy(then, before);
    name_policy(now, after);
    if (strcmp(before, after) == 0) {
        return GR_OK;
    }
    return gr_str_addf(out, "%snonfinite %s -> %s", out->size > 0 ? ", " : "", before, after);
}

gr_err gr_recipe_changes(const gr_recipe *then, const gr_recipe *now, gr_str *out)
{
    gr_err err = GR_OK;
    GR_TRY(
        add_change(out, "checkpoints", "every", then->checkpoint_every, now->checkpoint_every));
    GR_TRY(add_change(out, "checkpoints", "keep", then->checkpoint_keep, now->checkpoint_keep));
    GR_TRY(add_change(out, "checkpoints", "keep_every", then->checkpoint_keep_every,
                      now->checkpoint_keep_every));
    GR_TRY(add_change(out, "checkpoints", "background", then->checkpoint_background,
                      now->checkpoint_background));
    GR_TRY(add_change(out, "digests", "every", then->digests_every, now->digests_every));
    GR_TRY(add_change(out, "digests", "lanes", then->digests_lanes, now->digests_lanes));
    GR_TRY(add_policy_change(then, now, out));
    for (int64_t i = 0; i < now->stage_count && i < then->stage_count; i++) {
        const gr_recipe_stage *a = &then->stages[i], *b = &now->stages[i];
        GR_TRY(add_change(out, b->name, "recompute", a->recompute, b->recompute));
        GR_TRY(
            add_change(out, b->name, "validate_every", a->validate_every, b->validate_every));
    }
done:
    return err;
}
