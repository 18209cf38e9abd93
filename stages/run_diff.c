#include "stages/run_diff.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/model/config.h"
#include "stages/digest_file.h"
#include "stages/recipe_bits.h"
#include "stages/sample_list.h"

#include <string.h>

enum { RECORDS_BEHIND = 32 };

/// The models have the same tensors; else their digests say nothing.
static gr_err check_models(const gri_digest_file files[2])
{
    gr_err err = GR_OK;
    const gr_node *parts[2] = {NULL, NULL};
    for (int r = 0; r < 2; r++) {
        GR_TRY(gr_node_get_map(gr_doc_root(files[r].head), "tensors", &parts[r]));
    }
    for (int p = 0; p < GR_PART_COUNT; p++) {
        const gr_node *names[2] = {NULL, NULL};
        for (int r = 0; r < 2; r++) {
            GR_TRY(gr_node_get_list(parts[r], gr_part_name((gr_part)p), &names[r]));
        }
        int64_t i = 0, counts[2] = {names[0]->u.list.count, names[1]->u.list.count};
        while (i < counts[0] && i < counts[1] &&
               names[0]->u.list.items[i].type == GR_DOC_STRING &&
               names[1]->u.list.items[i].type == GR_DOC_STRING &&
               strcmp(names[0]->u.list.items[i].u.string.data,
                      names[1]->u.list.items[i].u.string.data) == 0) {
            i++;
        }
        if (i < counts[0] || i < counts[1]) {
            GR_FAIL(
                GR_ERR_DATA,
                "%s and %s train different models: tensor %lld of their %s parts has another name or is in "
                "one alone",
                files[0].path, files[1].path, (long long)i, gr_part_name((gr_part)p));
        }
    }
done:
    return err;
}

/// The first key that decides bits in which the recipes differ. What cannot be read says nothing.
static char *compare_recipes(const char *first, const char *second)
{
    const char *runs[2] = {first, second};
    gr_doc *docs[2] = {NULL, NULL};
    char *path = NULL, *key = NULL;
    gr_err err = GR_OK;
    for (int r = 0; r < 2; r++) {
        GR_TRY(gr_path_join(runs[r], "recipe.json", &path));
        GR_TRY(gr_doc_load(path, GR_ERR_DATA, &docs[r]));
        GR_FREE(path);
    }
    GR_TRY(gr_recipe_difference(docs[0], docs[1], &key));
done:
    gr_err_clear();
    GR_FREE(path);
    gr_doc_destroy(&docs[0]);
    gr_doc_destroy(&docs[1]);
    return key;
}

/// A step that began with other weights: they changed in what was not recorded, or where nothing should write.
static gr_err explain_before(gr_run_diff *d)
{
    gr_err err = GR_OK;
    gr_parting *p = &d->parting;
    char *what = NULL;
    if (p->phase != GR_PARTED_BEFORE) {
        goto done;
    }
    if (d->agreed == 0 && p->update == 1) {
        what = gr_str_format("%s, the first: other weights to begin with", p->what);
    } else if (d->agreed == p->update - 1) {
        what = gr_str_format(
            "%s: they changed in memory after step %lld, or a checkpoint was taken up that holds others",
            p->what, (long long)d->agreed);
    } else if (d->agreed == p->update - 2) {
        what = gr_str_format(
            "%s: it was in step %lld of the run, which is not recorded in both; with digests.every 1 it would be named",
            p->what, (long long)d->agreed + 1);
    } else {
        what = gr_str_format(
            "%s: it was in one of the steps %lld to %lld of the run, which are not recorded in both; with "
            "digests.every 1 it would be named",
            p->what, (long long)d->agreed + 1, (long long)p->update - 1);
    }
    if (!what) {
        GR_TRY(GR_ERR_MEMORY);
    }
    GR_FREE(p->what);
    p->what = what;
done:
    return err;
}

/// Goes through both files until they part.
static gr_err compare_records(gri_digest_file files[2], gr_run_diff *out)
{
    gr_err err = GR_OK;
    const gr_node *heads[2] = {gr_doc_root(files[0].head), gr_doc_root(files[1].head)};
    for (;;) {
        bool behind[2] = {files[0].update <=
                              files[1].update, // both at once where they are level
                          files[1].update <= files[0].update};
        for (int r = 0; r < 2; r++) {
            if (behind[r]) {
                GR_TRY(gri_digest_file_next(&files[r]));
                if (!files[r].record) {
                    goto done;
                }
            }
        }
        if (files[0].update != files[1].update) {
            continue;
        }
        const gr_node *records[2] = {gr_doc_root(files[0].record),
                                     gr_doc_root(files[1].record)};
        out->compared++;
        gr_parting_fini(&out->parting);
        GR_TRY(gr_parting_find(records, heads, &out->parting));
        if (out->parting.phase != GR_PARTED_NOT) {
            goto done;
        }
        out->agreed = files[0].update;
    }
done:
    return err;
}

/// Runs that parted in data: is there a sample that is not the same in both? It may stand some records behind, since samples are packed
/// together.
static gr_err find_changed(gri_digest_file files[2], gr_run_diff *out)
{
    gr_err err = GR_OK;
    gri_sample_list lists[2] = {{0}, {0}};
    gri_listed_sample samples[2];
    char name[512];
    for (int r = 0; r < 2; r++) {
        for (int n = 0; files[r].record && n < RECORDS_BEHIND; n++) {
            GR_TRY(gri_sample_list_add(&lists[r], gr_doc_root(files[r].record)));
            GR_TRY(gri_digest_file_next(&files[r]));
        }
    }
    if (gri_sample_list_changed(lists, samples) > 0) {
        GR_TRY(gri_name_sample(gr_doc_root(files[0].head), &samples[0], name, sizeof name));
        out->changed =
            gr_str_format("%s of %s", gri_samples_differ(&samples[0], &samples[1]), name);
        err = out->changed ? GR_OK : GR_ERR_MEMORY;
    }
done:
    gri_sample_list_fini(&lists[0]);
    gri_sample_list_fini(&lists[1]);
    return err;
}

static gr_err find_last(gri_digest_file *file, int64_t *last)
{
    gr_err err = GR_OK;
    while (file->record) {
        GR_TRY(gri_digest_file_next(file));
    }
    *last = file->update;
done:
    return err;
}

gr_err gr_run_diff_find(const char *first, const char *second, gr_run_diff *out)
{
    gr_err err = GR_OK;
    const char *runs[2] = {first, second};
    gri_digest_file files[2] = {0};
    *out = (gr_run_diff){0};
    for (int r = 0; r < 2; r++) {
        GR_TRY(gri_digest_file_open(runs[r], &files[r]));
    }
    GR_TRY(check_models(files));
    GR_TRY(compare_records(files, out));
    GR_TRY(explain_before(out));
    if (out->parting.phase == GR_PARTED_DATA) {
        GR_TRY(find_changed(files, out));
    }
    for (int r = 0; r < 2 && out->parting.phase == GR_PARTED_NOT; r++) {
        GR_TRY(find_last(&files[r], &out->last[r]));
    }
    if (out->compared == 0) {
        GR_FAIL(GR_ERR_DATA,
                "%s and %s recorded no step in common; give both the same digests.every",
                files[0].path, files[1].path);
    }
    out->recipe = compare_recipes(first, second);
done:
    gri_digest_file_close(&files[0]);
    gri_digest_file_close(&files[1]);
    return err;
}

void gr_run_diff_fini(gr_run_diff *diff)
{
    gr_parting_fini(&diff->parting);
    GR_FREE(diff->changed);
    GR_FREE(diff->recipe);
}
