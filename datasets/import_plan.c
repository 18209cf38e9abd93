#include "datasets/import_plan.h"

#include "datasets/manifest.h"
#include "datasets/source_synth.h"
#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    UNIT = 64,           ///< records: what a kill costs at most, in each process
    MOST_UNITS = 1 << 14 ///< about as many, so that their files stay a folder's worth
};

static gr_err put_file(gr_json *j, const gri_source_file *file)
{
    gr_err err = GR_OK;
    struct stat status;
    if (stat(file->path, &status) != 0) {
        GR_FAIL(errno == EACCES || errno == ENOENT || errno == ENOTDIR ? GR_ERR_MISSING
                                                                       : GR_ERR_IO,
                "%s: cannot open it: %s", file->path, strerror(errno));
    }
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "path", file->path);
    gr_json_string(j, "images", file->images);
    gr_json_string(j, "task", file->task);
    gr_json_int(j, "bytes", status.st_size);
    gr_json_int(j, "seconds", status.st_mtim.tv_sec);
    gr_json_int(j, "nanoseconds", status.st_mtim.tv_nsec);
    gr_json_map_end(j);
done:
    return err;
}

/// All that the bytes of the result follow from, but the pictures.
static gr_err describe(const gri_plan *plan, const gr_import_options *o, gr_json *j)
{
    gr_err err = GR_OK;
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "creator", "gradus " GRADUS_VERSION);
    gr_json_int(j, "form", o->form);
    gr_json_int(j, "shard_bytes", o->shard_bytes);
    gr_json_bool(j, "keep", o->keep);
    gr_json_bool(j, "drop_alpha", o->drop_alpha);
    gr_json_bool(j, "ignore_exif", o->ignore_exif);
    gr_json_real(j, "quality", o->quality);
    gr_json_int(j, "max_side", o->max_side);
    gr_json_string(j, "prompt", o->prompt ? o->prompt : "");
    gr_json_list_begin(j, "tokenizers");
    for (int64_t k = 0; k < o->tokenizer_count; k++) {
        gr_digest digest = {0};
        GR_TRY(gr_tokenizer_digest(o->tokenizers[k], &digest));
        gr_json_digest(j, NULL, digest);
    }
    gr_json_list_end(j);
    if (o->synth) {
        gri_synth_describe(o->synth, j);
    }
    gr_json_list_begin(j, "files");
    for (int64_t i = 0; i < plan->source.count && !o->synth; i++) {
        GR_TRY(put_file(j, &plan->source.files[i]));
    }
    gr_json_list_end(j);
    gr_json_map_end(j);
    GR_TRY(gr_json_finish(j));
done:
    return err;
}

static gr_err remove_matching(const char *dir, const char *start, const char *kept)
{
    gr_err err = GR_OK;
    char **names = NULL, *path = NULL;
    int64_t count = 0;
    GR_TRY(gr_dir_list(dir, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        if (gr_starts_with(names[i], start) && strcmp(names[i], kept) != 0) {
            GR_TRY(gr_path_join(dir, names[i], &path));
            if (unlink(path) != 0) {
                GR_FAIL(GR_ERR_IO, "%s: cannot remove it: %s", path, strerror(errno));
            }
            GR_FREE(path);
        }
    }
done:
    GR_FREE(path);
    gr_dir_list_free(&names, count);
    return err;
}

static gr_err refuse_data_set(const gri_plan *plan)
{
    gr_err err = GR_OK;
    char *manifest = NULL;
    GR_TRY(gri_manifest_path(plan->folder.dir, &manifest));
    if (gr_file_exists(manifest)) {
        GR_FAIL(GR_ERR_USAGE, "%s is a data set already: name a new folder", plan->folder.dir);
    }
done:
    GR_FREE(manifest);
    return err;
}

/// Removes what an import of another plan left; never a data set.
static gr_err begin_afresh(const gri_plan *plan)
{
    gr_err err = GR_OK;
    GR_TRY(refuse_data_set(plan));
    GR_TRY(remove_matching(plan->folder.dir, "shard-",
                           "")); // first: without a plan nobody may have them
    GR_TRY(remove_matching(plan->folder.work, "", "lock"));
done:
    return err;
}

bool gri_plan_has_parts(const gri_plan *plan)
{
    char **names = NULL;
    int64_t count = 0;
    bool any = gr_dir_list(plan->folder.work, &names, &count) != GR_OK; // who knows
    for (int64_t i = 0; i < count; i++) {
        any = any || strstr(names[i], ".index") != NULL;
    }
    gr_dir_list_free(&names, count);
    return any;
}

/// Whether the plans part in what a file of the source holds: its record was put right, say, and the work is void.
static bool is_state(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot && gr_starts_with(key, "files[") &&
           (strcmp(dot, ".bytes") == 0 || strcmp(dot, ".seconds") == 0 ||
            strcmp(dot, ".nanoseconds") == 0);
}

/// What is done there by a command with other options is not thrown away for a slip in this one.
static gr_err refuse_other(const gri_plan *plan, const gr_json *now, const char *path,
                           const char *text, size_t size)
{
    static const char apart[] = "synth.";
    gr_err err = GR_OK;
    gr_doc *a = NULL, *b = NULL;
    char *key = NULL;
    GR_TRY(gr_doc_parse_json(path, text, size, GR_ERR_IO, &a));
    GR_TRY(gr_doc_parse_json("now", now->text.data, now->text.size, GR_ERR_IO, &b));
    GR_TRY(gr_doc_difference(a, b, &key));
    if (key && !is_state(key)) {
        GR_FAIL(GR_ERR_USAGE,
                "%s holds an import that was not finished, of another source or with other "
                "options (first difference: %s): the same command goes on with it; to begin "
                "afresh remove the folder",
                plan->folder.dir, key + (gr_starts_with(key, apart) ? strlen(apart) : 0));
    }
done:
    GR_FREE(key);
    gr_doc_destroy(&a);
    gr_doc_destroy(&b);
    return err;
}

/// Whether the plan that was left says the same; one of other options, with work done, is refused.
static gr_err same_plan(const gri_plan *plan, const char *path, const gr_json *j, bool *out)
{
    gr_err err = GR_OK;
    char *text = NULL;
    size_t size = 0;
    GR_TRY(gr_file_read(path, 0, &text, &size));
    *out = size == j->text.size && memcmp(text, j->text.data, size) == 0;
    if (!*out) {
        GR_TRY(refuse_data_set(plan));
    }
    if (!*out && gri_plan_has_parts(plan)) {
        GR_TRY(refuse_other(plan, j, path, text, size));
    }
done:
    GR_FREE(text);
    return err;
}

gr_err gri_plan_claim(gri_plan *plan, const gr_import_options *options)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    char *path = NULL;
    bool unfinished = false, same = false;
    GR_TRY(describe(plan, options, &j));
    GR_TRY(gri_folder_claim(options->out, &unfinished, &plan->folder));
    GR_TRY(gr_path_join(plan->folder.work, GRI_FOLDER_PLAN, &path));
    if (unfinished) {
        GR_TRY(same_plan(plan, path, &j, &same));
    }
    if (same) {
        gr_log_info("%s: going on with an import that was not finished", options->out);
    } else {
        if (unfinished) {
            gr_log_info("%s: an import was not finished there, and its source is another now: "
                        "beginning afresh",
                        options->out);
        }
        GR_TRY(begin_afresh(plan));
        GR_TRY(gr_file_write(path, j.text.data, j.text.size));
    }
done:
    GR_FREE(path);
    gr_json_fini(&j);
    return err;
}

gr_err gri_plan_join(gri_plan *plan, const char *out)
{
    gr_err err = GR_OK;
    plan->folder = (gri_folder){.lock = -1};
    GR_STRDUP(plan->folder.dir, out);
    GR_TRY(gr_path_join(out, ".work", &plan->folder.work));
done:
    return err;
}

static gr_err count_path(const gri_plan *plan, int64_t file, char **out)
{
    *out = gr_str_format("%s/records-%06lld", plan->folder.work, (long long)file);
    return *out ? GR_OK : GR_ERR_MEMORY;
}

gr_err gri_plan_count(const gri_plan *plan, const gr_import_options *options, int64_t file)
{
    gr_err err = GR_OK;
    gri_reader *reader = NULL;
    char *path = NULL, text[32];
    int64_t count = 0;
    bool there = true;
    GR_TRY(count_path(plan, file, &path));
    if (gr_file_exists(path)) {
        goto done;
    }
    GR_TRY(gri_reader_open(&plan->source.files[file], options, &reader));
    if (reader->notice) {
        gr_log_warn("%s: %s", reader->file->path, reader->notice);
    }
    while (there) {
        GR_TRY(reader->next(reader, false, &there));
        count += there;
        if (there && count % 1024 == 0 && options->form != GR_IMPORT_SYNTH) {
            gr_progress_update(5.0, "counting records: file %lld of %lld, %lld so far",
                               (long long)file + 1, (long long)plan->source.count,
                               (long long)count);
        }
    }
    snprintf(text, sizeof text, "%lld\n", (long long)count);
    GR_TRY(gr_file_write(path, text, strlen(text)));
done:
    gri_reader_close(&reader);
    GR_FREE(path);
    return err;
}

gr_err gri_plan_cut(gri_plan *plan)
{
    gr_err err = GR_OK;
    char *path = NULL, *text = NULL;
    size_t size = 0;
    const int64_t files = plan->source.count;
    GR_ALLOC(plan->records, files);
    GR_ALLOC(plan->first, files + 1);
    for (int64_t i = 0; i < files; i++) {
        GR_TRY(count_path(plan, i, &path));
        GR_TRY(gr_file_read(path, 64, &text, &size));
        plan->records[i] = strtoll(text, NULL, 10);
        plan->total += plan->records[i];
        GR_FREE(text);
        GR_FREE(path);
    }
    for (plan->unit = UNIT; plan->total / plan->unit > MOST_UNITS;) {
        plan->unit *= 2;
    }
    for (int64_t i = 0; i < files; i++) {
        plan->first[i + 1] = plan->first[i] + (plan->records[i] + plan->unit - 1) / plan->unit;
    }
done:
    GR_FREE(path);
    GR_FREE(text);
    return err;
}

void gri_plan_fini(gri_plan *plan)
{
    gri_source_fini(&plan->source);
    gri_folder_leave(&plan->folder);
    GR_FREE(plan->records);
    GR_FREE(plan->first);
}
