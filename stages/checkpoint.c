#include "stages/checkpoint.h"

#include "src/base/file.h"
#include "src/base/log.h"
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
static gr_err list_checkpoints(const char *run, char **folder, char ***names, int64_t *count)
{
    gr_err err = GR_OK;
    GR_TRY(gr_path_join(run, "checkpoints", folder));
    if (!gr_dir_exists(*folder)) {
        goto done;
    }
    GR_TRY(gr_dir_list(*folder, names, count));
    if (*count > 0) {
        qsort(*names, (size_t)*count, sizeof **names, by_number);
    }
done:
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
    GR_TRY(list_checkpoints(run, &folder, &names, &count));
    for (int64_t i = count - 1; i >= 0; i--) {
        int64_t number = number_of(names[i]);
        bool kept = keep_every > 0 && number % keep_every == 0;
        if (number >= 0 && number <= updates && ++newer > keep && !kept) {
            GR_FREE(path);
            GR_TRY(gr_path_join(folder, names[i], &path));
            GR_TRY(gr_dir_remove(path));
        }
    }
done:
    GR_FREE(path);
    GR_FREE(folder);
    gr_dir_list_free(&names, count);
    return err;
}

gr_err gr_checkpoint_verify(const char *path)
{
    return gri_checkpoint_dir_verify(path);
}

/// The newest whole one of at most `updates`; *damaged counts those that were passed over.
static gr_err find_newest(const char *run, int64_t updates, char **path, int64_t *damaged)
{
    gr_err err = GR_OK;
    char *folder = NULL;
    char *candidate = NULL;
    char **names = NULL;
    int64_t count = 0;
    GR_TRY(list_checkpoints(run, &folder, &names, &count));
    *path = NULL;
    for (int64_t i = count - 1; i >= 0 && !*path; i--) {
        if (number_of(names[i]) < 0 || number_of(names[i]) > updates) {
            continue;
        }
        GR_FREE(candidate);
        GR_TRY(gr_path_join(folder, names[i], &candidate));
        if (gri_checkpoint_dir_verify(candidate) == GR_OK) {
            *path = candidate;
            candidate = NULL;
        } else {
            gr_log_warn("checkpoint %s is passed over: %s", candidate, gr_err_message());
            gr_err_clear();
            *damaged += 1;
        }
    }
done:
    GR_FREE(candidate);
    GR_FREE(folder);
    gr_dir_list_free(&names, count);
    return err;
}

gr_err gr_checkpoint_find_up_to(const char *run, int64_t updates, char **path)
{
    int64_t damaged = 0;
    return find_newest(run, updates, path, &damaged);
}

gr_err gr_checkpoint_find(const char *run, char **path)
{
    gr_err err = GR_OK;
    int64_t damaged = 0;
    GR_TRY(find_newest(run, INT64_MAX, path, &damaged));
    if (damaged > 0 && !*path) {
        char text[64] = "the only checkpoint is";
        if (damaged > 1) {
            snprintf(text, sizeof text, "all %lld checkpoints are", (long long)damaged);
        }
        GR_FAIL(
            GR_ERR_DATA,
            "%s/checkpoints: %s damaged, so the run cannot go on; repair one, name another with --resume "
            "PATH, or move this folder away to begin anew",
            run, text);
    }
done:
    return err;
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

/// What of the file belongs to this rank's range.
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
        gr_range mine = gr_range_overlap((gr_range){start, start + p->count}, u->own);
        if (u->trains & (1u << p->part) && gr_range_count(mine) > 0) {
            int64_t from = mine.begin - start, at = mine.begin - u->own.begin;
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

bool gr_checkpoint_has_final(const char *run)
{
    char *path = NULL;
    bool there =
        gr_path_join(run, "final", &path) == GR_OK && gri_checkpoint_dir_verify(path) == GR_OK;
    gr_err_clear();
    GR_FREE(path);
    return there;
}
