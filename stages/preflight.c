#include "stages/preflight.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <string.h>

enum { VERDICT_MOST = 64 << 20 }; ///< bytes of a file that may be one

static const char schema_name[] = "gradus-check";

static void put_sources(gr_json *j, const char *key, const gr_setup *setup,
                        const gr_recipe_sources *sources)
{
    gr_json_list_begin(j, key);
    for (int64_t i = 0; i < sources->count; i++) {
        const gr_recipe_source *s = &sources->items[i];
        gr_digest digest = {0};
        for (int64_t d = 0; d < setup->dataset_count; d++) {
            if (strcmp(gr_dataset_path(setup->datasets[d]), s->path) == 0) {
                digest = gr_dataset_digest(setup->datasets[d]);
            }
        }
        gr_json_map_begin(j, NULL);
        gr_json_digest(j, "content", digest);
        gr_json_real(j, "from", s->from);
        gr_json_real(j, "to", s->to);
        if (s->task) {
            gr_json_string(j, "task", s->task);
        }
        gr_json_real(j, "weight", s->weight);
        gr_json_real(j, "max_repeats", s->max_repeats);
        gr_json_map_end(j);
    }
    gr_json_list_end(j);
}

static void put_ints(gr_json *j, const char *const *keys, const int64_t *numbers)
{
    for (; *keys; keys++, numbers++) {
        gr_json_int(j, *keys, *numbers);
    }
}

static void put_stage(gr_json *j, const gr_setup *setup, const gr_recipe_stage *s)
{
    static const char *const keys[] = {
        "global_batch", "window", "sequence_length", "max_images", "tiles",    "thumbnail",
        "own_fit",      "fit",    "steps",           "drop",       "loss_all", "trains",
        "recompute",    NULL};
    const int64_t numbers[] = {s->global_batch,   s->window,       s->sequence_length,
                               s->max_images,     s->images.tiles, s->images.thumbnail,
                               s->images.own_fit, s->images.fit,   s->steps,
                               s->drop,           s->all_text,     s->trains,
                               s->recompute};
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "name", s->name);
    put_sources(j, "data", setup, &s->data);
    put_sources(j, "validation", setup, &s->validation);
    put_ints(j, keys, numbers);
    gr_json_real(j, "epochs", s->epochs);
    gr_json_string(j, "template", s->template ? s->template->name : "");
    gr_json_map_end(j);
}

/// How the model wants its pictures.
static void put_vision(gr_json *j, const gr_setup *setup)
{
    static const char *const keys[] = {"image_size", "image_tokens", "fit", "edge",
                                       "bilinear",   "second_scale", NULL};
    const gr_model_config *config = gr_model_get_config(setup->model);
    const gr_vision_config *v = &config->vision;
    const gr_picture_rules *p = &setup->pictures;
    const bool sees = config->parts & (1u << GR_PART_VISION);
    const int64_t numbers[] = {
        sees ? v->image_size : 0, sees ? gr_image_tokens(v) : 0, p->fit, p->edge, p->bilinear,
        p->second_scale};
    gr_json_map_begin(j, "vision");
    put_ints(j, keys, numbers);
    gr_json_map_end(j);
}

/// Everything that the verdict depends on, but the tokenizer, as {"about": {...}}.
static void put_about(gr_json *j, const gr_setup *setup)
{
    const gr_recipe *recipe = setup->recipe;
    gr_json_map_begin(j, "about");
    gr_json_digest(j, "seed", gr_digest_of(&recipe->seed, sizeof recipe->seed));
    gr_json_int(j, "lanes", recipe->lanes);
    gr_json_string(j, "system", recipe->system ? recipe->system : "(template's)");
    put_vision(j, setup);
    gr_json_list_begin(j, "stages");
    for (int64_t i = 0; i < recipe->stage_count; i++) {
        put_stage(j, setup, &recipe->stages[i]);
    }
    gr_json_list_end(j);
    gr_json_map_end(j);
}

static gr_err write_about(const gr_setup *setup, gr_json *j)
{
    gr_json_map_begin(j, NULL);
    put_about(j, setup);
    gr_json_map_end(j);
    return gr_json_finish(j);
}

static gr_err digest_of_data(const gr_setup *setup, gr_digest *out)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    GR_TRY(write_about(setup, &j));
    *out = gr_digest_of(j.text.data, j.text.size);
done:
    gr_json_fini(&j);
    return err;
}

/// Computes one microbatch as the stage does and says what it took.
static gr_err measure_batch(gr_setup *setup, const gr_batch *batch, gr_part_set trains,
                            float *const grads[GR_PART_COUNT], int64_t *out)
{
    gr_err err = GR_OK;
    gr_arena *arena = setup->exec->scratch;
    double loss = 0;
    gr_arena_forget_peak(arena);
    GR_TRY(trains ? gr_model_loss_grad(setup->model, batch, trains, grads, &loss)
                  : gr_model_loss(setup->model, batch, &loss));
    *out = gr_arena_peak(arena);
done:
    return err;
}

/// The same for the microbatch at a place; keeps it if it took more than the one before.
static gr_err measure_row(gr_setup *setup, gr_loader *loader, gr_part_set trains,
                          float *const grads[GR_PART_COUNT], const gr_check_row *row,
                          gr_preflight_part *part)
{
    gr_err err = GR_OK;
    const gr_lane_batch *lane = NULL;
    int64_t memory = 0;
    if (row->tokens == 0) {
        goto done;
    }
    GR_TRY(gr_loader_lane(loader, row->step, row->lane, &lane));
    GR_ASSERT(row->microbatch < lane->count);
    const gr_batch *batch = &lane->batches[row->microbatch];
    GR_ASSERT(batch->tokens == row->tokens && batch->images == row->images);
    GR_TRY(measure_batch(setup, batch, trains, grads, &memory));
    if (memory > part->memory) {
        part->memory = memory;
        part->worst = *row;
    }
done:
    return err;
}

/// Whether no set before has the same row.
static bool is_first(const gr_check_report *r, int set)
{
    for (int s = 1; s < set; s++) {
        if (memcmp(&r->most[s], &r->most[set], sizeof r->most[s]) == 0) {
            return false;
        }
    }
    return true;
}

static gr_err measure_part(gr_setup *setup, const gr_recipe_stage *stage, gr_loader *loader,
                           gr_preflight_part *part)
{
    gr_err err = GR_OK;
    float *grads[GR_PART_COUNT] = {NULL};
    const gr_params *params = gr_model_get_params(setup->model);
    const gr_part_set trains = part->validation ? 0 : stage->trains;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (trains >> p & 1) {
            GR_ALLOC(grads[p], params->size[p]);
        }
    }
    for (int set = 1; set < GR_CHECK_SETS; set++) {
        if (is_first(&part->found, set)) {
            GR_TRY(measure_row(setup, loader, trains, grads, &part->found.most[set], part));
        }
    }
done:
    for (int p = 0; p < GR_PART_COUNT; p++) {
        GR_FREE(grads[p]);
    }
    return err;
}

/// Adds up the reports of all ranks, in their order. Collective.
static gr_err gather(const gr_world *world, const gr_check_report *mine, gr_check_report *sum)
{
    gr_err err = GR_OK;
    gr_check_report *all = NULL;
    all = gr_mem_alloc((size_t)world->size, sizeof *all);
    GR_TRY(gr_world_agree(world, all ? GR_OK : GR_ERR_MEMORY));
    GR_TRY(gr_world_gather(world, mine, sizeof *mine, all));
    for (int r = 0; r < world->size; r++) {
        gr_check_add(sum, &all[r]);
    }
done:
    GR_FREE(all);
    return err;
}

static bool is_good(const gr_preflight_part *part)
{
    return part->found.unusable == 0 &&
           (part->found.bad == 0 || (part->drop && part->found.samples > 0));
}

/// Samples first; microbatches only of data that can be used.
static gr_err check_part(const gr_world *world, gr_loader *loader, gr_seen *seen,
                         gr_preflight_part *part)
{
    gr_err err = GR_OK;
    gr_check_report *mine = NULL, *rows = NULL;
    mine = gr_mem_alloc(2, sizeof *mine);
    GR_TRY(gr_world_agree(world, mine ? GR_OK : GR_ERR_MEMORY));
    rows = mine + 1;
    GR_TRY(gr_world_agree(
        world, gr_loader_check_samples(loader, world->rank, world->size, seen, mine)));
    GR_TRY(gather(world, mine, &part->found));
    if (is_good(part)) {
        GR_TRY(gr_world_agree(world,
                              gr_loader_check_rows(loader, world->rank, world->size, rows)));
        GR_TRY(gather(world, rows, &part->found));
    }
done:
    GR_FREE(mine);
    return err;
}

static gr_err run_part(const gr_world *world, gr_setup *setup, const gr_recipe_stage *stage,
                       bool measure, gr_seen *seen, gr_preflight_part *part)
{
    gr_err err = GR_OK;
    gr_loader *loader = NULL;
    GR_TRY(gr_world_agree(world, gr_setup_loader(setup, stage, part->validation, &loader)));
    GR_TRY(check_part(world, loader, seen, part));
    if (measure && is_good(part)) {
        if (world->rank == 0) {
            err = measure_part(setup, stage, loader, part);
        }
        GR_TRY(gr_world_agree(world, err));
        GR_TRY(gr_world_broadcast(world, &part->worst, sizeof part->worst, 0));
        GR_TRY(gr_world_broadcast(world, &part->memory, sizeof part->memory, 0));
    }
done:
    gr_loader_destroy(&loader);
    return err;
}

static gr_err prepare(const gr_setup *setup, gr_preflight *p)
{
    gr_err err = GR_OK;
    GR_TRY(digest_of_data(setup, &p->data));
    GR_TRY(gr_tokenizer_digest(setup->tokenizer, &p->tokenizer));
    GR_ALLOC(p->parts, 2 * setup->recipe->stage_count);
done:
    return err;
}

gr_err gr_preflight_run(const gr_world *world, gr_setup *setup, bool measure, gr_preflight *out)
{
    gr_err err = GR_OK;
    gr_preflight p = {.good = true, .setup = setup};
    gr_seen seen = {
        0}; // a rank has the same part of a data set in each stage that uses all of it
    const gr_recipe *recipe = setup->recipe;
    GR_TRY(gr_world_agree(world, prepare(setup, &p)));
    for (int64_t i = 0; i < 2 * recipe->stage_count; i++) {
        const gr_recipe_stage *stage = &recipe->stages[i / 2];
        if (i % 2 == 1 && stage->validation.count == 0) {
            continue;
        }
        gr_preflight_part *part = &p.parts[p.count++];
        *part = (gr_preflight_part){
            .stage = stage->name, .validation = i % 2 == 1, .drop = stage->drop, .memory = -1};
        GR_TRY(gr_world_alike(world, gr_setup_enter_stage(setup, stage)));
        GR_TRY(run_part(world, setup, stage, measure, &seen, part));
        p.good = p.good && is_good(part);
    }
    *out = p;
    p = (gr_preflight){0};
done:
    gr_seen_fini(&seen);
    gr_preflight_fini(&p);
    return err;
}

void gr_preflight_fini(gr_preflight *preflight)
{
    GR_FREE(preflight->parts);
    preflight->count = 0;
}

static void put_row(gr_json *j, const char *key, const gr_check_row *row)
{
    gr_json_map_begin(j, key);
    gr_json_int(j, "step", row->step + 1); // as everywhere a person reads it
    gr_json_int(j, "lane", row->lane);
    gr_json_int(j, "microbatch", row->microbatch);
    gr_json_int(j, "tokens", row->tokens);
    gr_json_int(j, "images", row->images);
    gr_json_int(j, "targets", row->targets);
    gr_json_int(j, "longest", row->longest);
    gr_json_map_end(j);
}

static void put_part(gr_json *j, const gr_preflight_part *part)
{
    const gr_check_report *r = &part->found;
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "stage", part->stage);
    gr_json_string(j, "set", part->validation ? "validation" : "data");
    gr_json_int(j, "samples", r->samples);
    gr_json_int(j, "images", r->images);
    gr_json_int(j, "tokens", r->tokens);
    gr_json_int(j, "targets", r->targets);
    gr_json_int(j, "longest", r->longest);
    gr_json_int(j, "bad", r->bad);
    gr_json_int(j, "too_long", r->too_long);
    gr_json_int(j, "longest_bad", r->longest_bad);
    gr_json_bool(j, "dropped", part->drop);
    gr_json_list_begin(j, "list");
    for (int64_t i = 0; i < r->kinds; i++) {
        gr_json_map_begin(j, NULL);
        gr_json_string(j, "reason", r->list[i].reason);
        gr_json_int(j, "samples", r->list[i].count);
        gr_json_map_end(j);
    }
    gr_json_list_end(j);
    gr_json_int(j, "rows", r->rows);
    gr_json_int(j, "row_tokens", r->row_tokens);
    if (r->rows > 0) {
        put_row(j, "most_tokens", &r->most[GR_CHECK_TOKENS]);
        put_row(j, "most_images", &r->most[GR_CHECK_IMAGES]);
    }
    if (part->memory >= 0) {
        put_row(j, "worst", &part->worst);
        gr_json_int(j, "memory", part->memory);
    }
    gr_json_map_end(j);
}

void gr_preflight_put(const gr_preflight *preflight, const char *recipe, gr_json *json)
{
    gr_json_map_begin(json, NULL);
    gr_json_string(json, "schema", schema_name);
    gr_json_int(json, "version", 2);
    gr_json_string(json, "creator", "gradus " GRADUS_VERSION);
    gr_json_string(json, "recipe", recipe);
    gr_json_digest(json, "data", preflight->data);
    gr_json_digest(json, "tokenizer", preflight->tokenizer);
    put_about(json, preflight->setup);
    gr_json_string(json, "verdict", preflight->good ? "good" : "bad");
    gr_json_list_begin(json, "stages");
    for (int64_t i = 0; i < preflight->count; i++) {
        put_part(json, &preflight->parts[i]);
    }
    gr_json_list_end(json);
    gr_json_map_end(json);
}

gr_err gr_preflight_path(const gr_recipe *recipe, char **out)
{
    gr_err err = GR_OK;
    const char *name = gr_doc_name(recipe->doc), *end = strrchr(gr_path_base(name), '.');
    const int stem = end ? (int)(end - name) : (int)strlen(name);
    *out = gr_str_format("%.*s.check.json", stem, name);
    GR_TRY(*out ? GR_OK : GR_ERR_MEMORY);
done:
    return err;
}

static gr_err read_schema(const char *path, const char *text, size_t size, bool *same)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    const char *schema = NULL;
    GR_TRY(gr_doc_parse_json(path, text, size, GR_ERR_DATA, &doc));
    GR_TRY(gr_node_get_string(gr_doc_root(doc), "schema", &schema));
    *same = strcmp(schema, schema_name) == 0;
done:
    gr_doc_destroy(&doc);
    return err;
}

bool gr_preflight_is_verdict(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    bool same = false;
    if (gr_file_read(path, VERDICT_MOST, &text, &size) != GR_OK ||
        read_schema(path, text, size, &same) != GR_OK) {
        gr_err_clear(); // then it is none
    }
    GR_FREE(text);
    return same;
}

static gr_err same_digest(const gr_node *map, const char *key, gr_digest want, bool *same)
{
    gr_err err = GR_OK;
    const char *text = NULL;
    gr_digest got = {0};
    GR_TRY(gr_node_get_string(map, key, &text));
    GR_TRY(gr_digest_parse(text, &got));
    *same = *same && gr_digest_equal(got, want);
done:
    return err;
}

/// Why a part's first bad sample is bad, if nothing is said yet.
static gr_err keep_reason(const gr_node *part, gr_str *reason)
{
    gr_err err = GR_OK;
    const gr_node *list = NULL;
    const char *first = NULL;
    GR_TRY(gr_node_get_list(part, "list", &list));
    if (list->u.list.count > 0 && reason->size == 0) {
        GR_TRY(gr_node_expect(&list->u.list.items[0], GR_DOC_MAP));
        GR_TRY(gr_node_get_string(&list->u.list.items[0], "reason", &first));
        GR_TRY(gr_str_add(reason, first));
    }
done:
    return err;
}

/// Samples of all stages, and the first bad one, of a stage that stops there if there is one.
static gr_err count_samples(const gr_node *map, gr_verdict_found *out)
{
    gr_err err = GR_OK;
    const gr_node *list = NULL;
    gr_str dropped = {0};
    GR_TRY(gr_node_get_list(map, "stages", &list));
    for (int64_t i = 0; i < list->u.list.count; i++) {
        int64_t samples = 0, bad = 0;
        bool drops = false;
        const gr_node *part = &list->u.list.items[i];
        GR_TRY(gr_node_expect(part, GR_DOC_MAP));
        GR_TRY(gr_node_get_int(part, "samples", 0, INT64_MAX / 2, &samples));
        GR_TRY(gr_node_get_int(part, "bad", 0, INT64_MAX / 2, &bad));
        GR_TRY(gr_node_opt_bool(part, "dropped", &drops));
        GR_TRY(keep_reason(part, drops ? &dropped : &out->reason));
        out->good += samples;
        out->bad += bad;
        out->stopping += drops ? 0 : bad;
    }
    if (out->reason.size == 0 && dropped.size > 0) {
        GR_TRY(gr_str_add(&out->reason, dropped.data));
    }
done:
    gr_str_fini(&dropped);
    return err;
}

void gr_verdict_found_fini(gr_verdict_found *found)
{
    gr_str_fini(&found->reason);
    gr_str_fini(&found->differs);
}

/// The first setting that the verdict has otherwise; nothing when the file does not say what it is about.
static gr_err name_difference(const gr_setup *setup, const gr_node *root, gr_str *out)
{
    gr_err err = GR_OK;
    gr_json now = {0}, then = {0};
    gr_doc *a = NULL, *b = NULL;
    char *path = NULL;
    const gr_node *about = gr_node_find(root, "about");
    if (!about) {
        goto done;
    }
    gr_json_map_begin(&then, NULL);
    gr_node_write(&then, about);
    gr_json_map_end(&then);
    GR_TRY(gr_json_finish(&then));
    GR_TRY(write_about(setup, &now));
    GR_TRY(gr_doc_parse_json("now", now.text.data, now.text.size, GR_ERR_DATA, &a));
    GR_TRY(gr_doc_parse_json("then", then.text.data, then.text.size, GR_ERR_DATA, &b));
    GR_TRY(gr_doc_difference(a, b, &path));
    if (path) {
        GR_TRY(gr_str_add(out, path + strcspn(path, ".") + (strchr(path, '.') != NULL)));
    }
done:
    GR_FREE(path);
    gr_doc_destroy(&a);
    gr_doc_destroy(&b);
    gr_json_fini(&now);
    gr_json_fini(&then);
    return err;
}

gr_err gr_preflight_find(const gr_setup *setup, const char *path, gr_verdict_found *out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    gr_digest data = {0}, tokenizer = {0};
    const char *verdict = NULL;
    bool same_data = true, same_tokenizer = true;
    *out = (gr_verdict_found){.verdict = GR_VERDICT_NONE};
    if (!gr_file_exists(path)) {
        goto done;
    }
    GR_TRY(digest_of_data(setup, &data));
    GR_TRY(gr_tokenizer_digest(setup->tokenizer, &tokenizer));
    GR_TRY(gr_doc_load(path, GR_ERR_DATA, &doc));
    const gr_node *root = gr_doc_root(doc);
    GR_TRY(gr_node_expect(root, GR_DOC_MAP));
    GR_TRY(same_digest(root, "data", data, &same_data));
    GR_TRY(same_digest(root, "tokenizer", tokenizer, &same_tokenizer));
    GR_TRY(gr_node_get_string(root, "verdict", &verdict));
    GR_TRY(count_samples(root, out));
    if (!same_tokenizer) {
        GR_TRY(gr_str_add(&out->differs, "tokenizer"));
    } else if (!same_data) {
        GR_TRY(name_difference(setup, root, &out->differs));
    }
    out->verdict = !same_data || !same_tokenizer  ? GR_VERDICT_OTHER
                   : strcmp(verdict, "good") == 0 ? GR_VERDICT_GOOD
                                                  : GR_VERDICT_BAD;
done:
    gr_doc_destroy(&doc);
    return err;
}
