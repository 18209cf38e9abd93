#include "stages/setup_private.h"

#include "mpi/ranges.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/formats/hf.h"
#include "stages/checkpoint.h"

#include <stdio.h>
#include <string.h>

/// Puts the place of a key's value in the recipe in front of the error that came of it. `map` may be NULL.
static void name_place(const gr_node *map, const char *key)
{
    const gr_node *node = map ? gr_node_find(map, key) : NULL;
    if (node) {
        gr_node_context(node);
    }
}

static const gr_node *find_map(const gr_recipe *recipe, const char *key)
{
    return gr_node_find(gr_doc_root(recipe->doc), key);
}

/// What a key names is not there, or cannot be used: the place in the recipe, and of a relative path that is missing where it was
/// looked for. Returns the error.
static gr_err name_path(gr_err err, const gr_node *map, const char *key, const char *path)
{
    char *here = NULL, *message = NULL;
    if (err == GR_ERR_MISSING && path[0] != '/' && !gr_dir_exists(path) &&
        !gr_file_exists(path)) {
        message = gr_mem_strdup(gr_err_message());
        if (message && gr_path_real(".", &here) == GR_OK) {
            err =
                gr_err_set(err, __FILE__, __LINE__, __func__,
                           "%s; paths are relative to the folder in which gradus was started, "
                           "%s",
                           message, here);
        }
    }
    name_place(map, key);
    GR_FREE(here);
    GR_FREE(message);
    return err;
}

/// Takes each part's sizes from the directory or YAML that the recipe names for it.
static gr_err compose_config(gr_setup *setup, gr_model_config *out)
{
    gr_err err = GR_OK;
    const gr_recipe *recipe = setup->recipe;
    gr_model_config whole = {0};
    for (int p = 0; p < GR_PART_COUNT; p++) {
        gr_model_config one = {0};
        const char *path = NULL;
        if (!recipe->part[p]) {
            continue;
        }
        err = gri_setup_find_sizes(setup, (gr_part)p, &path);
        err = err ? err : gr_hf_load_config(path, &one);
        if (err != GR_OK) {
            err = name_path(err, find_map(recipe, "model"), gr_part_name((gr_part)p), path);
        }
        GR_TRY(err);
        if (!(one.parts & (1u << p))) {
            GR_FAIL(GR_ERR_RECIPE, "model.%s: %s describes no %s part",
                    gr_part_name((gr_part)p), recipe->part[p], gr_part_name((gr_part)p));
        }
        whole.parts |= 1u << p;
        switch ((gr_part)p) {
        case GR_PART_VISION:
            whole.vision = one.vision;
            break;
        case GR_PART_CONNECTOR:
            whole.connector = one.connector;
            break;
        case GR_PART_LANGUAGE:
            whole.language = one.language;
            break;
        case GR_PART_COUNT:
            break;
        }
    }
    err = gr_model_config_check(&whole);
    if (err != GR_OK) {
        name_place(gr_doc_root(recipe->doc), "model");
    }
    GR_TRY(err);
    *out = whole;
done:
    return err;
}

static gr_err load_weights(const gr_recipe *recipe, gr_model *model)
{
    gr_err err = GR_OK;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (!recipe->part[p]) {
            continue;
        }
        if (gr_dir_exists(recipe->part[p])) {
            GR_TRY_CONTEXT(gr_checkpoint_check_weights(recipe->part[p], 1u << p), "model.%s",
                           gr_part_name((gr_part)p));
            GR_TRY_CONTEXT(gr_hf_load_weights(recipe->part[p], 1u << p, model), "model.%s",
                           gr_part_name((gr_part)p));
        } else {
            gr_model_init(model, 1u << p, recipe->seed);
        }
    }
done:
    return err;
}

/// A language model that comes with a tokenizer means its ids by it.
static gr_err check_tokenizer(const gr_recipe *recipe, const gr_tokenizer *tokenizer)
{
    gr_err err = GR_OK;
    const char *dir = recipe->part[GR_PART_LANGUAGE];
    gr_tokenizer *own = NULL;
    gr_digest a, b;
    bool there = false;
    GR_TRY(gr_tokenizer_exists(dir, &there));
    if (!there) {
        goto done;
    }
    GR_TRY(gr_tokenizer_load(dir, &own));
    GR_TRY(gr_tokenizer_digest(own, &a));
    GR_TRY(gr_tokenizer_digest(tokenizer, &b));
    if (!gr_digest_equal(a, b)) {
        GR_FAIL(GR_ERR_RECIPE,
                "tokenizer %s is another one than model.language has, %s: its ids would mean "
                "other words; use `tokenizer: %s`",
                recipe->tokenizer, dir, dir);
    }
done:
    gr_tokenizer_destroy(&own);
    return err;
}

/// Every id has a row of the embedding, with those that pictures need.
static gr_err check_rows(const gr_setup *setup)
{
    gr_err err = GR_OK;
    const int64_t size = gr_tokenizer_size(setup->tokenizer);
    const int64_t rows = gr_model_get_config(setup->model)->language.vocabulary;
    if (size - setup->picture_tokens > rows) {
        GR_FAIL(
            GR_ERR_RECIPE,
            "tokenizer %s has %lld ids, the language model's embedding only %lld rows; train a "
            "smaller tokenizer or use a model with a larger vocab_size",
            setup->recipe->tokenizer, (long long)(size - setup->picture_tokens),
            (long long)rows);
    }
    if (size > rows) {
        GR_FAIL(GR_ERR_RECIPE,
                "tokenizer %s lacks %lld of the tokens <img>, </img> and <IMG_CONTEXT>, which "
                "pictures need, and behind its %lld ids the language model's embedding of %lld "
                "rows has no room for them; use a model with more rows than ids",
                setup->recipe->tokenizer, (long long)setup->picture_tokens,
                (long long)(size - setup->picture_tokens), (long long)rows);
    }
done:
    return err;
}

static gr_err load_tokenizer(gr_setup *setup)
{
    gr_err err = GR_OK;
    if (setup->exec->counts && !gri_is_there(setup->recipe->tokenizer)) {
        GR_TRY(gri_note_missing(setup, "tokenizer", setup->recipe->tokenizer, NULL));
        goto done;
    }
    err = gr_tokenizer_load(setup->recipe->tokenizer, &setup->tokenizer);
    if (err != GR_OK) {
        err = name_path(err, gr_doc_root(setup->recipe->doc), "tokenizer",
                        setup->recipe->tokenizer);
    }
    GR_TRY(err);
    if (setup->recipe->part[GR_PART_LANGUAGE]) {
        GR_TRY(check_tokenizer(setup->recipe, setup->tokenizer));
    }
    if (setup->recipe->part[GR_PART_VISION]) {
        GR_TRY(gr_chat_add_picture_tokens(setup->tokenizer, &setup->picture_tokens));
    }
    GR_TRY(check_rows(setup));
done:
    return err;
}

static const gr_dataset *find_dataset(const gr_setup *setup, const char *path)
{
    for (int64_t i = 0; i < setup->dataset_count; i++) {
        if (strcmp(gr_dataset_path(setup->datasets[i]), path) == 0) {
            return setup->datasets[i];
        }
    }
    return NULL;
}

/// Entry i of a stage's list of data sets, as the recipe has it.
static const gr_node *source_node(const gr_recipe *recipe, int64_t stage, const char *key,
                                  int64_t i)
{
    const gr_node *stages = find_map(recipe, "stages");
    return &gr_node_find(&stages->u.list.items[stage], key)->u.list.items[i];
}

static gr_err open_sources(gr_setup *setup, int64_t stage, const char *key,
                           const gr_recipe_sources *sources)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < sources->count; i++) {
        if (setup->exec->counts && !gri_is_there(sources->items[i].path)) {
            GR_TRY(gri_note_missing_data(setup, sources->items[i].path));
        } else if (!find_dataset(setup, sources->items[i].path)) {
            int64_t n = setup->dataset_count;
            GR_RESIZE(setup->datasets, n, n + 1);
            err = gr_dataset_open(sources->items[i].path, &setup->datasets[n]);
            if (err != GR_OK) {
                err = name_path(err, source_node(setup->recipe, stage, key, i), "path",
                                sources->items[i].path);
            }
            GR_TRY(err);
            setup->dataset_count = n + 1;
        }
    }
done:
    return err;
}

bool gr_setup_has_data(const gr_setup *setup, const gr_recipe_sources *sources)
{
    bool has = setup->tokenizer != NULL;
    for (int64_t i = 0; i < sources->count; i++) {
        has = has && find_dataset(setup, sources->items[i].path);
    }
    return has;
}

/// All but the context, which decides what is refused, and the weights.
static gr_err open_all(gr_setup *setup)
{
    gr_err err = GR_OK;
    const gr_recipe *recipe = setup->recipe;
    gr_model_config config;
    gr_messages_set(recipe->messages);
    gr_owned_set_blocks(recipe->stripe_blocks);
    GR_TRY(compose_config(setup, &config));
    setup->pictures = config.vision.pictures;
    GR_TRY(gr_model_create(&config, setup->exec, &setup->model));
    GR_TRY(load_tokenizer(setup));
    for (int64_t i = 0; i < recipe->stage_count; i++) {
        GR_TRY(open_sources(setup, i, "data", &recipe->stages[i].data));
        GR_TRY(open_sources(setup, i, "validation", &recipe->stages[i].validation));
    }
done:
    return err;
}

gr_err gr_setup_create(const gr_recipe *recipe, int threads, gr_setup **out)
{
    gr_err err = GR_OK;
    gr_setup *setup = NULL;
    GR_ALLOC(setup, 1);
    setup->recipe = recipe;
    GR_TRY(gr_exec_create_cpu(threads, 0, &setup->exec));
    GR_TRY_CONTEXT(gr_exec_set_precision(setup->exec, recipe->precision), "precision");
    GR_TRY(open_all(setup));
    GR_TRY(load_weights(recipe, setup->model));
    *out = setup;
    setup = NULL;
done:
    gr_setup_destroy(&setup);
    return err;
}

gr_err gr_setup_create_planned(const gr_recipe *recipe, int threads, gr_setup **out)
{
    gr_err err = GR_OK;
    gr_setup *setup = NULL;
    GR_ALLOC(setup, 1);
    setup->recipe = recipe;
    GR_TRY(gr_exec_create_counting(threads, recipe->precision, &setup->exec));
    GR_TRY(open_all(setup));
    *out = setup;
    setup = NULL;
done:
    gr_setup_destroy(&setup);
    return err;
}

void gr_setup_destroy(gr_setup **setup)
{
    gr_setup *s = *setup;
    if (!s) {
        return;
    }
    for (int64_t i = 0; i < s->dataset_count; i++) {
        gr_dataset_close(&s->datasets[i]);
    }
    GR_FREE(s->datasets);
    gr_tokenizer_destroy(&s->tokenizer);
    gr_str_fini(&s->missing);
    gr_model_destroy(&s->model);
    gr_exec_destroy(&s->exec);
    GR_FREE(*setup);
}

/// The model directory's rules with what the stage's recipe says instead.
static gr_err stage_pictures(const gr_setup *setup, const gr_recipe_stage *stage,
                             gr_picture_rules *out)
{
    gr_err err = GR_OK;
    const gr_recipe_images *images = &stage->images;
    gr_picture_rules rules = setup->pictures;
    rules.fit = images->own_fit ? images->fit : rules.fit;
    rules.edge = rules.fit == GR_FIT_CROP ? rules.edge : 0;
    rules.fewest = 1;
    rules.most = images->tiles;
    rules.thumbnail = images->tiles > 1 && images->thumbnail;
    rules.second_scale = rules.second_scale && images->tiles > 1;
    if (images->tiles > 1 && rules.fit == GR_FIT_CROP) {
        GR_FAIL(
            GR_ERR_RECIPE,
            "stage %s: images.tiles is %lld, but the vision part's preprocessor_config.json "
            "crops pictures, and tiles are cut out of the whole picture: set images.fit to "
            "stretch",
            stage->name, (long long)images->tiles);
    }
    *out = rules;
done:
    return err;
}

gr_err gr_setup_enter_stage(gr_setup *setup, const gr_recipe_stage *stage)
{
    gr_err err = GR_OK;
    gr_picture_rules rules;
    GR_TRY(stage_pictures(setup, stage, &rules));
    gr_model_set_pictures(setup->model, &rules);
    gr_model_set_recompute(setup->model, stage->recompute);
    setup->stage = stage;
done:
    return err;
}

gr_err gr_setup_save_tokenizer(const gr_setup *setup, const char *dir)
{
    gr_err err = GR_OK;
    char *jinja = NULL;
    const gr_chat_options options = {.system = setup->recipe->system,
                                     .template = setup->stage ? setup->stage->template : NULL};
    GR_TRY(gr_chat_jinja(&options, &jinja));
    GR_TRY(gr_tokenizer_save(setup->tokenizer, dir, jinja));
done:
    GR_FREE(jinja);
    return err;
}

gr_err gr_setup_loader(const gr_setup *setup, const gr_recipe_stage *stage, bool validation,
                       gr_loader **out)
{
    gr_err err = GR_OK;
    gr_loader_source *sources = NULL;
    const gr_recipe_sources *list = validation ? &stage->validation : &stage->data;
    const gr_model_config *config = gr_model_get_config(setup->model);
    gr_vision_config vision = config->vision;
    bool sees = config->parts & (1u << GR_PART_VISION);
    GR_TRY(stage_pictures(setup, stage, &vision.pictures));
    GR_ALLOC(sources, list->count);
    for (int64_t i = 0; i < list->count; i++) {
        sources[i].dataset = find_dataset(setup, list->items[i].path);
        sources[i].from = list->items[i].from;
        sources[i].task = list->items[i].task;
        sources[i].to = list->items[i].to;
        sources[i].weight = list->items[i].weight;
        sources[i].max_repeats = list->items[i].max_repeats;
    }
    gr_loader_options options = {
        .sources = sources,
        .source_count = list->count,
        .tokenizer = setup->tokenizer,
        .chat = {.system = setup->recipe->system,
                 .all_text = stage->all_text,
                 .template = stage->template,
                 .image_tokens = sees ? gr_image_tokens(&vision) : 0},
        .vision = sees ? &vision : NULL,
        .global_batch = stage->global_batch,
        .lanes = setup->recipe->lanes,
        .sequence_length = stage->sequence_length,
        .max_images = stage->max_images,
        .seed = setup->recipe->seed,
        .stream = gr_rng_stream(stage->name),
        .shuffle = !validation,
        .window = stage->window,
        .drop = stage->drop,
        .steps = validation ? 0 : stage->steps,
        .epochs = validation ? 1 : stage->epochs,
        .threads = setup->exec->threads,
    };
    GR_TRY_CONTEXT(gr_loader_create(&options, out), "stage %s, %s", stage->name,
                   validation ? "validation" : "data");
done:
    GR_FREE(sources);
    return err;
}
