#include "stages/recipe_private.h"

#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/image_tiles.h"

#include <string.h>

enum { MANY = 1 << 30 };

gr_err gri_recipe_choice(const gr_node *map, const char *key, const char *const *names,
                         int *out)
{
    gr_err err = GR_OK;
    gr_str expected = {0};
    const char *text = NULL;
    GR_TRY(gr_node_opt_string(map, key, &text));
    for (int i = 0; text && names[i]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            goto done;
        }
        GR_TRY(gr_str_addf(&expected, "%s%s",
                           i == 0         ? ""
                           : names[i + 1] ? ", "
                                          : " or ",
                           names[i]));
    }
    if (text) {
        GR_TRY(gr_node_error(gr_node_find(map, key), "expected %s, got \"%s\"", expected.data,
                             text));
    }
done:
    gr_str_fini(&expected);
    return err;
}

/// A list of two numbers, low <= number <= high each.
static gr_err get_pair(const gr_node *list, double low, double high, double out[2])
{
    gr_err err = GR_OK;
    bool fits = list->type == GR_DOC_LIST && list->u.list.count == 2;
    for (int64_t i = 0; fits && i < 2; i++) {
        const gr_node *n = &list->u.list.items[i];
        fits = n->type == GR_DOC_INT || n->type == GR_DOC_REAL;
        if (fits) {
            out[i] = n->type == GR_DOC_INT ? (double)n->u.integer : n->u.real;
            fits = out[i] >= low && out[i] <= high;
        }
    }
    if (!fits) {
        GR_TRY(gr_node_error(list, "expected two numbers from %g to %g, such as [%g, %g]", low,
                             high, low, high));
    }
done:
    return err;
}

/// A number above 0; absent: 0.
static gr_err opt_positive(const gr_node *map, const char *key, double *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_opt_real(map, key, 0.0, 1e12, out));
    if (gr_node_find(map, key) && !(*out > 0)) {
        GR_TRY(
            gr_node_error(gr_node_find(map, key), "expected a number above 0, got %g", *out));
    }
done:
    return err;
}

static gr_err parse_source(const gr_node *node, bool mixed, gr_recipe_source *out)
{
    static const char *const all[] = {"path", "subset", "task", "weight", "max_repeats", NULL};
    static const char *const plain[] = {"path", "subset", "task", NULL};
    const char *const *keys = mixed ? all : plain;
    gr_err err = GR_OK;
    GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    GR_TRY(gr_node_check_keys(node, keys));
    GR_TRY(gr_node_get_string(node, "path", &out->path));
    GR_TRY(gr_node_opt_string(node, "task", &out->task));
    double border[2] = {0.0, 1.0};
    const gr_node *subset = gr_node_find(node, "subset");
    if (subset) {
        GR_TRY(get_pair(subset, 0.0, 1.0, border));
        if (border[0] >= border[1]) {
            GR_TRY(gr_node_error(subset, "expected from < to, got [%g, %g]", border[0],
                                 border[1]));
        }
    }
    out->from = border[0];
    out->to = border[1];
    if (mixed) {
        GR_TRY(opt_positive(node, "weight", &out->weight));
        GR_TRY(opt_positive(node, "max_repeats", &out->max_repeats));
    }
done:
    return err;
}

/// Weights say how sources share the samples, so all have one or none.
static gr_err check_weights(const gr_node *list, const gr_recipe_sources *sources)
{
    gr_err err = GR_OK;
    int64_t weighted = 0;
    for (int64_t i = 0; i < sources->count; i++) {
        weighted += sources->items[i].weight > 0;
    }
    if (weighted > 0 && weighted < sources->count) {
        GR_TRY(gr_node_error(list,
                             "%lld of %lld data sets have a weight: give each one, or none",
                             (long long)weighted, (long long)sources->count));
    }
done:
    return err;
}

/// `mixed`: weights and limits are allowed.
static gr_err parse_sources(const gr_node *stage, const char *key, bool mixed,
                            gr_recipe_sources *out)
{
    gr_err err = GR_OK;
    const gr_node *list = gr_node_find(stage, key);
    if (!list) {
        goto done;
    }
    GR_TRY(gr_node_expect(list, GR_DOC_LIST));
    if (list->u.list.count == 0) {
        GR_TRY(gr_node_error(list, "expected at least one data set"));
    }
    GR_ALLOC(out->items, list->u.list.count);
    out->count = list->u.list.count;
    for (int64_t i = 0; i < out->count; i++) {
        GR_TRY(parse_source(&list->u.list.items[i], mixed, &out->items[i]));
    }
    GR_TRY(check_weights(list, out));
done:
    return err;
}

static gr_err parse_data(const gr_node *node, gr_recipe_stage *out)
{
    gr_err err = GR_OK;
    GR_TRY(parse_sources(node, "data", true, &out->data));
    if (out->data.count == 0) {
        GR_TRY(gr_node_error(node, "the key data is missing: expected a list of data sets"));
    }
    GR_TRY(parse_sources(node, "validation", false, &out->validation));
    GR_TRY(gr_node_opt_int(node, "validate_every", 0, MANY, &out->validate_every));
    GR_TRY(gr_node_get_int(node, "global_batch", 1, MANY, &out->global_batch));
    out->window = 1;
    GR_TRY(gr_node_opt_int(node, "window", 1, 1 << 20, &out->window));
    GR_TRY(gr_node_get_int(node, "sequence_length", 2, MANY, &out->sequence_length));
    GR_TRY(gr_node_opt_int(node, "max_images", 0, MANY, &out->max_images));
    GR_TRY(gr_node_opt_int(node, "steps", 1, 1000000000000, &out->steps));
    GR_TRY(gr_node_opt_real(node, "epochs", 0.0, 1e9, &out->epochs));
    if ((out->steps > 0) == (out->epochs > 0.0)) {
        GR_TRY(gr_node_error(
            node, "expected exactly one of steps (at least 1) and epochs (above 0)"));
    }
done:
    return err;
}

static gr_err parse_trains(const gr_node *stage, gr_part_set *out)
{
    gr_err err = GR_OK;
    const gr_node *list = NULL;
    GR_TRY(gr_node_get_list(stage, "trains", &list));
    for (int64_t i = 0; i < list->u.list.count; i++) {
        const gr_node *item = &list->u.list.items[i];
        gr_part part = GR_PART_COUNT;
        GR_TRY(gr_node_expect(item, GR_DOC_STRING));
        if (!gr_part_parse(item->u.string.data, &part)) {
            GR_TRY(gr_node_error(item, "expected vision, connector or language, got \"%s\"",
                                 item->u.string.data));
        }
        if (*out & 1u << part) {
            GR_TRY(gr_node_error(item, "%s is there twice", gr_part_name(part)));
        }
        *out |= 1u << part;
    }
    if (*out == 0) {
        GR_TRY(gr_node_error(list, "expected at least one of vision, connector, language"));
    }
done:
    return err;
}

/// One rate for all parts, or a map of part to rate that names each training part.
static gr_err parse_learning_rate(const gr_node *stage, gr_recipe_stage *out)
{
    static const char *const keys[] = {"vision", "connector", "language", NULL};
    gr_err err = GR_OK;
    const gr_node *node = gr_node_find(stage, "learning_rate");
    bool map = node && node->type == GR_DOC_MAP;
    if (map) {
        GR_TRY(gr_node_check_keys(node, keys));
    }
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (out->trains & (1u << p) && !(map ? gr_node_find(node, keys[p]) : node)) {
            GR_TRY(gr_node_error(map ? node : stage,
                                 "%s trains here, but learning_rate is missing%s: expected one "
                                 "number for all parts that train, or a map with one for each, "
                                 "such as {%s: 1.0e-4}",
                                 gr_part_name((gr_part)p), map ? " for it" : "", keys[p]));
        }
        if (out->trains & (1u << p)) {
            GR_TRY(gr_node_get_real(map ? node : stage, map ? keys[p] : "learning_rate", 0.0,
                                    1e3, &out->learning_rate[p]));
        }
    }
done:
    return err;
}

static gr_err parse_optimizer(const gr_node *node, gr_recipe_stage *out)
{
    static const char *const schedules[] = {"constant", "cosine", NULL};
    gr_err err = GR_OK;
    double betas[2] = {0.9, 0.999};
    int schedule = GR_SCHEDULE_COSINE;
    out->eps = 1e-8;
    out->clip = 1.0;
    GR_TRY(parse_learning_rate(node, out));
    GR_TRY(gri_recipe_choice(node, "schedule", schedules, &schedule));
    GR_TRY(gr_node_opt_int(node, "warmup_steps", 0, INT64_MAX / 2, &out->warmup_steps));
    GR_TRY(gr_node_opt_real(node, "final_fraction", 0.0, 1.0, &out->final_fraction));
    if (gr_node_find(node, "betas")) {
        GR_TRY(get_pair(gr_node_find(node, "betas"), 0.0, 0.999999, betas));
    }
    GR_TRY(gr_node_opt_real(node, "eps", 1e-30, 1.0, &out->eps));
    GR_TRY(gr_node_opt_real(node, "weight_decay", 0.0, 1e3, &out->weight_decay));
    GR_TRY(gr_node_opt_real(node, "clip", 0.0, 1e30, &out->clip));
    out->schedule = (gr_schedule_kind)schedule;
    out->beta1 = betas[0];
    out->beta2 = betas[1];
done:
    return err;
}

/// What ends the stage before its planned steps.
static gr_err parse_ends(const gr_node *stage, gr_recipe_stage *out)
{
    static const char *const keys[] = {"target", "patience", "improvement", NULL};
    gr_err err = GR_OK;
    const gr_node *node = gr_node_find(stage, "ends");
    out->ends = (gr_end_rule){.target = -1};
    if (!node) {
        goto done;
    }
    GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    GR_TRY(gr_node_check_keys(node, keys));
    GR_TRY(gr_node_opt_real(node, "target", 0, 1e9, &out->ends.target));
    GR_TRY(gr_node_opt_int(node, "patience", 1, MANY, &out->ends.patience));
    GR_TRY(gr_node_opt_real(node, "improvement", 0, 1e9, &out->ends.improvement));
    if (!gr_end_rule_is_set(&out->ends)) {
        GR_TRY(gr_node_error(node, "expected target, patience or both"));
    }
    if (out->ends.patience == 0 && gr_node_find(node, "improvement")) {
        GR_TRY(
            gr_node_error(gr_node_find(node, "improvement"), "says nothing without patience"));
    }
    if (out->validation.count == 0 || out->validate_every == 0) {
        GR_TRY(gr_node_error(
            node, "the held-out loss decides: validation and validate_every are missing"));
    }
done:
    return err;
}

/// The stage's search for its learning rate.
static gr_err parse_adalrs(const gr_node *stage, gr_adalrs_rule *out)
{
    static const char *const keys[] = {"window", "up", "down", "fade", "from", "to", NULL};
    gr_err err = GR_OK;
    const gr_node *node = gr_node_find(stage, "adalrs");
    *out = (gr_adalrs_rule){.up = 3, .down = 2, .fade = 0.99, .from = 0.1, .to = 0.4};
    if (!node) {
        goto done;
    }
    GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    GR_TRY(gr_node_check_keys(node, keys));
    GR_TRY(gr_node_get_int(node, "window", 4, MANY, &out->window));
    GR_TRY(gr_node_opt_real(node, "up", 1.001, 1000, &out->up));
    GR_TRY(gr_node_opt_real(node, "down", 1.001, 1000, &out->down));
    GR_TRY(gr_node_opt_real(node, "fade", 0.001, 1, &out->fade));
    GR_TRY(gr_node_opt_real(node, "from", 0, 1, &out->from));
    GR_TRY(gr_node_opt_real(node, "to", 0, 1, &out->to));
    if (out->from >= out->to) {
        GR_TRY(gr_node_error(node, "expected from (%g) below to (%g)", out->from, out->to));
    }
done:
    return err;
}

/// "fixed", or a map about tiles and the whole picture.
static gr_err parse_images(const gr_node *stage, gr_recipe_images *out)
{
    static const char *const keys[] = {"tiles", "thumbnail", "fit", NULL};
    static const char *const words[] = {"fixed", NULL};
    static const char *const fits[] = {
        [GR_FIT_STRETCH] = "stretch", [GR_FIT_CROP] = "crop", [GR_FIT_PAD] = "pad", NULL};
    gr_err err = GR_OK;
    const gr_node *node = gr_node_find(stage, "images");
    int word = 0, fit = 0;
    *out = (gr_recipe_images){.tiles = 1, .thumbnail = true};
    if (!node || node->type != GR_DOC_MAP) {
        GR_TRY(gri_recipe_choice(stage, "images", words, &word));
        goto done;
    }
    GR_TRY(gr_node_check_keys(node, keys));
    GR_TRY(gr_node_opt_int(node, "tiles", 1, GR_TILES_MOST, &out->tiles));
    GR_TRY(gr_node_opt_bool(node, "thumbnail", &out->thumbnail));
    GR_TRY(gri_recipe_choice(node, "fit", fits, &fit));
    out->own_fit = gr_node_find(node, "fit") != NULL;
    out->fit = (gr_picture_fit)fit;
    if (out->tiles > 1 && out->fit != GR_FIT_STRETCH) {
        GR_TRY(gr_node_error(gr_node_find(node, "fit"),
                             "%s contradicts tiles: a picture is stretched to its grid",
                             fits[fit]));
    }
done:
    return err;
}

gr_err gri_recipe_parse_template(const gr_node *map, const gr_chat_template **out)
{
    gr_err err = GR_OK;
    const char *name = NULL;
    GR_TRY(gr_node_opt_string(map, "template", &name));
    const gr_chat_template *found = name ? gr_chat_template_find(name) : *out;
    if (!found) {
        GR_TRY(gr_node_error(gr_node_find(map, "template"), "expected one of %s; got \"%s\"",
                             gr_chat_template_names, name));
    }
    *out = found;
done:
    return err;
}

gr_err gri_recipe_parse_stage(const gr_node *node, const gr_chat_template *usual,
                              gr_recipe_stage *out)
{
    static const char *const keys[] = {
        "name",           "trains",        "data",      "validation",
        "validate_every", "global_batch",  "window",    "sequence_length",
        "max_images",     "images",        "recompute", "epochs",
        "steps",          "learning_rate", "schedule",  "warmup_steps",
        "final_fraction", "betas",         "eps",       "weight_decay",
        "clip",           "bad_samples",   "loss",      "template",
        "ends",           "adalrs",        NULL};
    static const char *const losses[] = {"answers", "all", NULL};
    static const char *const policies[] = {"stop", "drop", NULL};
    gr_err err = GR_OK;
    int loss = 0, policy = 0;
    GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    GR_TRY(gr_node_check_keys(node, keys));
    GR_TRY(gr_node_get_string(node, "name", &out->name));
    GR_TRY(parse_trains(node, &out->trains));
    GR_TRY(parse_data(node, out));
    GR_TRY(parse_ends(node, out));
    GR_TRY(parse_adalrs(node, &out->adalrs));
    GR_TRY(parse_images(node, &out->images));
    GR_TRY(gr_node_opt_bool(node, "recompute", &out->recompute));
    GR_TRY(parse_optimizer(node, out));
    GR_TRY(gri_recipe_choice(node, "loss", losses, &loss));
    GR_TRY(gri_recipe_choice(node, "bad_samples", policies, &policy));
    out->template = usual;
    GR_TRY(gri_recipe_parse_template(node, &out->template));
    out->all_text = loss == 1;
    out->drop = policy == 1;
done:
    return err;
}
