/// Samples that were left out, and the checkpoints that a run has.

#include "datasets/check.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/eval/report_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_alike(const gri_left_out *l, const char *stage, const char *set,
                     const char *path, const char *reason)
{
    return strcmp(l->stage, stage) == 0 && strcmp(l->set, set) == 0 &&
           strcmp(l->path, path) == 0 && gr_check_same_kind(l->reason, reason);
}

static gr_err take_line(gri_run *run, const gr_node *line)
{
    gr_err err = GR_OK;
    const char *stage = NULL, *set = NULL, *path = NULL, *reason = NULL;
    const int64_t n = run->left_out_count;
    GR_TRY(gr_node_get_string(line, "stage", &stage));
    GR_TRY(gr_node_get_string(line, "set", &set));
    GR_TRY(gr_node_get_string(line, "path", &path));
    GR_TRY(gr_node_get_string(line, "reason", &reason));
    for (int64_t i = 0; i < n; i++) {
        if (is_alike(&run->left_out[i], stage, set, path, reason)) {
            run->left_out[i].count++;
            goto done;
        }
    }
    GR_RESIZE(run->left_out, n, n + 1);
    run->left_out_count = n + 1; // what is not copied yet is NULL
    gri_left_out *l = &run->left_out[n];
    l->count = 1;
    GR_STRDUP(l->stage, stage);
    GR_STRDUP(l->set, set);
    GR_STRDUP(l->path, path);
    GR_STRDUP(l->reason, reason);
done:
    return err;
}

gr_err gri_run_load_ledger(gri_run *run)
{
    int64_t bad = 0;
    return gri_run_lines(run, "ledger.jsonl", take_line, &bad);
}

/// Bytes of the files in the folder and in its folder `gradus`.
static gr_err add_bytes(const char *folder, int depth, int64_t *bytes)
{
    gr_err err = GR_OK;
    char **names = NULL, *path = NULL;
    int64_t count = 0;
    GR_TRY(gr_dir_list(folder, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        struct stat status;
        GR_FREE(path);
        GR_TRY(gr_path_join(folder, names[i], &path));
        if (stat(path, &status) != 0) {
            continue; // removed by a run that goes on
        }
        if (S_ISREG(status.st_mode)) {
            *bytes += status.st_size;
        } else if (S_ISDIR(status.st_mode) && depth > 0) {
            GR_TRY(add_bytes(path, depth - 1, bytes));
        }
    }
done:
    gr_dir_list_free(&names, count);
    GR_FREE(path);
    return err;
}

static gr_err add_checkpoint(gri_run *run, const char *folder, const char *name)
{
    gr_err err = GR_OK;
    char *path = NULL, *manifest = NULL, *end = NULL;
    struct stat status;
    const int64_t n = run->checkpoint_count;
    const long long updates = strtoll(name + strlen("update-"), &end, 10);
    GR_TRY(gr_path_join(folder, name, &path));
    GR_TRY(gr_path_join(path, "gradus/manifest.json", &manifest));
    if (*end != '\0' || stat(manifest, &status) != 0) {
        goto done; // one that is being written
    }
    GR_RESIZE(run->checkpoints, n, n + 1);
    run->checkpoint_count = n + 1;
    gri_checkpoint *c = &run->checkpoints[n];
    c->updates = updates;
    c->time = (double)status.st_mtime;
    GR_STRDUP(c->name, name);
    GR_TRY(add_bytes(path, 1, &c->bytes));
done:
    GR_FREE(path);
    GR_FREE(manifest);
    return err;
}

gr_err gri_run_load_checkpoints(gri_run *run)
{
    gr_err err = GR_OK;
    char *folder = NULL, **names = NULL;
    int64_t count = 0;
    GR_TRY(gr_path_join(run->path, "checkpoints", &folder));
    if (!gr_dir_exists(folder)) {
        goto done;
    }
    GR_TRY(gr_dir_list(folder, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        if (gr_starts_with(names[i], "update-")) {
            err = add_checkpoint(run, folder, names[i]);
            if (err == GR_ERR_MISSING || err == GR_ERR_IO) { // removed by a run that goes on
                gr_err_clear();
                err = GR_OK;
            }
            GR_TRY(err);
        }
    }
done:
    gr_dir_list_free(&names, count);
    GR_FREE(folder);
    return err;
}
