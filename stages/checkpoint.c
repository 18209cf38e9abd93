#include "stages/checkpoint.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/formats/hf.h"
#include "src/formats/safetensors.h"
#include "stages/checkpoint_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Updates that the checkpoint of this name holds; -1 if the name is none of a checkpoint.
static int64_t number_of(const char *name)
{
    size_t digits = strspn(name + (strncmp(name, "update-", 7) == 0 ? 7 : 0), "0123456789");
    bool named =
        strncmp(name, "update-", 7) == 0 && digits >= 8 && digits <= 18 && !name[7 + digits];
    return named ? strtoll(name + 7, NULL, 10) : -1;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = number_of(*(char *const *)a), y = number_of(*(char *const *)b);
    return (x > y) - (x < y);
}

/// The names of the run's checkpoints and of what else lies there, in the order of their numbers.
static gr_err list_names(const char *run, char **folder, char ***names, int64_t *count)
{
    gr_err err = GR_OK;
    bool there = false;
    GR_TRY(gr_path_join(run, "checkpoints", folder));
    GR_TRY(gr_path_exists(*folder, &there));
    if (!there) {
        goto done;
    }
    GR_TRY(gr_dir_list(*folder, names, count));
    if (*count > 0) {
        qsort(*names, (size_t)*count, sizeof **names, by_number);
    }
done:
    return err;
}

bool gr_checkpoint_stays(int64_t updates, int64_t keep_every)
{
    return keep_every > 0 && updates % keep_every == 0;
}

gr_err gr_checkpoint_settle(const char *run)
{
    gr_err err = GR_OK;
    char *folder = NULL;
    GR_TRY(gr_path_join(run, "checkpoints", &folder));
    GR_TRY(gri_checkpoint_dir_settle(folder));
    GR_TRY(gri_checkpoint_dir_settle(run));
done:
    GR_FREE(folder);
    return err;
}

gr_err gr_checkpoint_remove_old(const char *run, int64_t updates, int64_t keep,
                                int64_t keep_every)
{
    gr_err err = GR_OK;
    char *folder = NULL;
    char *path = NULL;
    char **names = NULL;
    int64_t count = 0;
    int64_t newer = 0;
    GR_TRY(list_names(run, &folder, &names, &count));
    for (int64_t i = count - 1; i >= 0; i--) {
        int64_t number = number_of(names[i]);
        if (number >= 0 && number <= updates && ++newer > keep &&
            !gr_checkpoint_stays(number, keep_every)) {
            GR_FREE(path);
            GR_TRY(gr_path_join(folder, names[i], &path));
            GR_TRY(gri_checkpoint_dir_remove(path));
        }
    }
done:
    GR_FREE(path);
    GR_FREE(folder);
    gr_dir_list_free(&names, count);
    return err;
}

gr_err gr_checkpoint_list(const char *run, int64_t updates, char ***paths, int64_t *count)
{
    gr_err err = GR_OK;
    char *folder = NULL;
    char **names = NULL, **list = NULL;
    int64_t name_count = 0, n = 0;
    GR_TRY(list_names(run, &folder, &names, &name_count));
    GR_ALLOC(list, name_count);
    for (int64_t i = name_count - 1; i >= 0; i--) {
        if (number_of(names[i]) >= 0 && number_of(names[i]) <= updates) {
            GR_TRY(gr_path_join(folder, names[i], &list[n]));
            n++;
        }
    }
    *paths = list;
    *count = n;
    list = NULL;
done:
    gr_dir_list_free(&list, n);
    gr_dir_list_free(&names, name_count);
    GR_FREE(folder);
    return err;
}

gr_err gr_checkpoint_verify(const char *path)
{
    static const char *const needed[] = {"config.json", "gradus/state.json", NULL};
    return gri_manifest_verify(path, needed);
}

static gr_err load_state(const char *path, gr_doc **doc)
{
    gr_err err = GR_OK;
    char *file = NULL;
    GR_TRY(gr_path_join(path, "gradus/state.json", &file));
    GR_TRY(gr_doc_load(file, GR_ERR_DATA, doc));
    GR_TRY(gr_node_expect(gr_doc_root(*doc), GR_DOC_MAP));
done:
    GR_FREE(file);
    return err;
}

/// What decides whether a stage is over; checkpoints of earlier versions have none of it.
static gr_err read_end(const gr_node *root, gr_progress *out)
{
    gr_err err = GR_OK;
    const gr_node *map = NULL;
    GR_TRY(gr_node_opt_int(root, "spared", 0, INT64_MAX, &out->spared));
    if (gr_node_find(root, "held_out")) {
        GR_TRY(gr_node_get_map(root, "held_out", &map));
        GR_TRY(gr_node_get_real(map, "best", 0, 1e300, &out->end.best));
        GR_TRY(gr_node_get_int(map, "measured", 1, INT64_MAX, &out->end.measured));
        GR_TRY(gr_node_get_int(map, "since", 0, INT64_MAX, &out->end.since));
    }
done:
    return err;
}

/// Where a stage's search for its learning rate stands.
static gr_err read_search(const gr_node *root, gr_adalrs_state *out)
{
    gr_err err = GR_OK;
    const gr_node *map = NULL;
    const double most = 1e300;
    if (!gr_node_find(root, "adalrs")) {
        goto done;
    }
    GR_TRY(gr_node_get_map(root, "adalrs", &map));
    GR_TRY(gr_node_get_real(map, "scale", 0, most, &out->scale));
    GR_TRY(gr_node_get_int(map, "decisions", 0, INT64_MAX, &out->decisions));
    GR_TRY(gr_node_get_int(map, "rising", 0, INT64_MAX, &out->rising));
    GR_TRY(gr_node_opt_bool(map, "trying", &out->trying));
    GR_TRY(gr_node_get_real(map, "velocity", -most, most, &out->velocity));
    GR_TRY(gr_node_get_real(map, "error", 0, most, &out->error));
    GR_TRY(gr_node_get_real(map, "highest", 0, most, &out->highest));
    GR_TRY(gr_node_get_int(map, "losses", 0, INT64_MAX, &out->losses));
    GR_TRY(gr_node_get_int(map, "seen", 0, INT64_MAX, &out->seen));
    GR_TRY(gr_node_get_real(map, "first", 0, most, &out->first));
    GR_TRY(gr_node_get_real(map, "sum", -most, most, &out->sum));
    GR_TRY(gr_node_get_real(map, "moment", -most, most, &out->moment));
    GR_TRY(gr_node_get_real(map, "squares", 0, most, &out->squares));
done:
    return err;
}

gr_err gr_checkpoint_read_progress(const char *path, const gr_identity *identity,
                                   gr_progress *out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    gr_progress p = {0};
    int64_t schema = 0;
    GR_TRY(load_state(path, &doc));
    const gr_node *root = gr_doc_root(doc);
    GR_TRY(
        gr_node_get_int(root, "schema", GR_CHECKPOINT_SCHEMA, GR_CHECKPOINT_SCHEMA, &schema));
    GR_TRY(gr_identity_check(identity, root, path));
    GR_TRY(gr_node_get_int(root, "stage", 0, INT32_MAX, &p.stage));
    GR_TRY(gr_node_get_int(root, "step", 0, INT64_MAX, &p.step));
    GR_TRY(gr_node_get_int(root, "updates", 0, INT64_MAX, &p.updates));
    GR_TRY(gr_node_get_int(root, "samples", 0, INT64_MAX, &p.samples));
    GR_TRY(gr_node_get_int(root, "tokens", 0, INT64_MAX, &p.tokens));
    GR_TRY(read_end(root, &p));
    GR_TRY(read_search(root, &p.adalrs));
    GR_TRY(gr_node_opt_int(root, "skipped_in_a_row", 0, INT64_MAX, &p.skipped));
    *out = p;
done:
    gr_doc_destroy(&doc);
    return err;
}

/// Elements `from` on of one moment, as many as `to` takes.
static gr_err read_moment(const gr_safetensors *file, const char *prefix, const gr_param *p,
                          int64_t from, int64_t count, float *to)
{
    gr_err err = GR_OK;
    char *name = gr_str_format("%s.%s", prefix, p->name);
    if (!name) {
        err = GR_ERR_MEMORY;
        goto done;
    }
    const gr_safetensor *t = gr_safetensors_find(file, name);
    if (!t || t->count != p->count || t->dtype != GR_DTYPE_F32) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor %s of %lld numbers (F32) is missing or another",
                file->path, name, (long long)p->count);
    }
    memcpy(to, t->data + from * (int64_t)sizeof *to, (size_t)count * sizeof *to);
done:
    GR_FREE(name);
    return err;
}

/// What of the file this rank owns.
static gr_err read_moments(const char *path, const gr_params *params, gr_updater *u)
{
    gr_err err = GR_OK;
    char *name = NULL;
    gr_safetensors *file = NULL;
    GR_TRY(gr_path_join(path, "gradus/optimizer.safetensors", &name));
    GR_TRY(gr_safetensors_open(name, &file));
    for (int64_t i = 0; i < params->count; i++) {
        const gr_param *p = &params->items[i];
        int64_t start = u->parts[p->part].begin + p->offset;
        if (!(u->trains & (1u << p->part))) {
            continue;
        }
        for (gr_range tensor = {start, start + p->count}, mine = {start, start};
             gr_owned_next(&u->own, tensor, &mine);) {
            int64_t from = mine.begin - start, at = gr_owned_place(&u->own, mine.begin);
            int64_t count = gr_range_count(mine);
            GR_TRY(read_moment(file, "exp_avg", p, from, count, u->first + at));
            GR_TRY(read_moment(file, "exp_avg_sq", p, from, count, u->second + at));
        }
    }
done:
    gr_safetensors_close(&file);
    GR_FREE(name);
    return err;
}

gr_err gr_checkpoint_load(const char *path, const gr_setup *setup, gr_updater *updater)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    const gr_params *params = gr_model_get_params(setup->model);
    GR_TRY(gr_hf_load_weights(path, gr_model_get_config(setup->model)->parts, setup->model));
    if (updater) {
        GR_TRY(load_state(path, &doc));
        GR_TRY(gr_node_get_int(gr_doc_root(doc), "optimizer_updates", 0, INT64_MAX,
                               &updater->updates));
        GR_TRY(read_moments(path, params, updater));
    }
done:
    gr_doc_destroy(&doc);
    return err;
}

gr_err gr_checkpoint_check_weights(const char *dir, gr_part_set parts)
{
    gr_err err = GR_OK;
    char *manifest = NULL;
    GR_TRY(gr_path_join(dir, "gradus/manifest.json", &manifest));
    for (gr_part p = 0; p < GR_PART_COUNT && gr_file_exists(manifest); p++) {
        if (parts & 1u << p) {
            GR_TRY_CONTEXT(
                gri_manifest_verify_file(dir, gr_hf_part_file(p)),
                "%s does not fit (weights that were changed on purpose stand without "
                "the folder gradus)",
                manifest);
        }
    }
done:
    GR_FREE(manifest);
    return err;
}

bool gr_checkpoint_has_final(const char *run)
{
    static const char *const needed[] = {"config.json", NULL};
    char *path = NULL;
    bool there = gr_path_join(run, "final", &path) == GR_OK &&
                 gri_manifest_verify(path, needed) == GR_OK;
    gr_err_clear();
    GR_FREE(path);
    return there;
}
