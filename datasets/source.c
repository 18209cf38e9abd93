#include "datasets/source.h"

#include "datasets/source_synth.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"

#include <string.h>
#include <strings.h>

static const char *const tar_ends[] = {".tar",    ".tar.gz",  ".tgz", ".tar.zst",
                                       ".tar.xz", ".tar.bz2", NULL};

bool gri_ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcasecmp(text + n - m, end) == 0;
}

void gri_position(const char *text, const char *at, long long *line, long long *column)
{
    const char *start = text;
    *line = 1;
    for (const char *p = text; p < at; p++) {
        if (*p == '\n') {
            *line += 1;
            start = p + 1;
        }
    }
    *column = at - start + 1;
}

gr_err gri_source_add(gri_source *source, const char *path, const char *images,
                      const char *task)
{
    gr_err err = GR_OK;
    if (source->count == source->capacity) {
        int64_t capacity = source->capacity ? 2 * source->capacity : 4;
        GR_RESIZE(source->files, source->capacity, capacity);
        source->capacity = capacity;
    }
    gri_source_file *file = &source->files[source->count++];
    *file = (gri_source_file){0};
    GR_STRDUP(file->path, path);
    if (images) {
        GR_STRDUP(file->images, images);
    } else {
        GR_TRY(gr_path_dir(path, &file->images));
    }
    GR_STRDUP(file->task, task ? task : "");
done:
    return err;
}

void gri_source_fini(gri_source *source)
{
    for (int64_t i = 0; i < source->count; i++) {
        GR_FREE(source->files[i].path);
        GR_FREE(source->files[i].images);
        GR_FREE(source->files[i].task);
    }
    GR_FREE(source->files);
    *source = (gri_source){0};
}

/// One entry of a meta file.
static gr_err add_annotation(const gr_import_options *o, const char *folder,
                             const gr_node *entry, gri_source *out)
{
    gr_err err = GR_OK;
    char *path = NULL, *images = NULL;
    const char *annotation = NULL, *root = NULL;
    double times = 1;
    GR_TRY(gr_node_get_string(entry, "annotation", &annotation));
    GR_TRY(gr_node_opt_string(entry, "root", &root));
    GR_TRY(gr_node_opt_real(entry, "repeat_time", 0, 1e9, &times));
    if (times != 1) {
        gr_log_info("%s: repeat_time %g of %s is not the data's but a recipe's: give the data "
                    "set that weight there",
                    o->source, times, entry->key);
    }
    GR_TRY(gr_path_join(folder, annotation, &path));
    GR_TRY(gr_path_join(o->images ? o->images : folder, root ? root : ".", &images));
    if (!gr_dir_exists(images)) {
        GR_FAIL(GR_ERR_MISSING, "%s: %s: there is no folder %s", o->source, entry->key, images);
    }
    GR_TRY(gri_source_add(out, path, images, entry->key));
done:
    GR_FREE(path);
    GR_FREE(images);
    return err;
}

static gr_err add_meta(const gr_import_options *o, gri_source *out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    char *folder = NULL;
    GR_TRY(gr_doc_load(o->source, GR_ERR_DATA, &doc));
    GR_TRY(gr_path_dir(o->source, &folder));
    const gr_node *root = gr_doc_root(doc);
    for (int64_t i = 0; i < root->u.list.count || i == 0; i++) {
        const gr_node *entry = root->u.list.count ? &root->u.list.items[i] : NULL;
        if (!entry || entry->type != GR_DOC_MAP || !gr_node_find(entry, "annotation")) {
            GR_TRY(gr_node_error(entry ? entry : root,
                                 "expected a list of records, or a meta file whose entries are "
                                 "maps with \"annotation\" and \"root\""));
        }
    }
    for (int64_t i = 0; i < root->u.list.count; i++) {
        GR_TRY(add_annotation(o, folder, &root->u.list.items[i], out));
    }
done:
    GR_FREE(folder);
    gr_doc_destroy(&doc);
    return err;
}

/// Whether the first thing in the file is a map.
static gr_err begins_map(const char *path, bool *out)
{
    gr_err err = GR_OK;
    gr_file_map map = {0};
    GR_TRY(gr_file_map_open(path, &map));
    size_t at = 0;
    while (at < map.size && memchr(" \t\r\n\xef\xbb\xbf", map.data[at], 7)) {
        at++;
    }
    *out = at < map.size && map.data[at] == '{';
done:
    gr_file_map_close(&map);
    return err;
}

static gr_err find_llava(const gr_import_options *o, gri_source *out)
{
    gr_err err = GR_OK;
    bool meta = false;
    if (!gri_ends_in(o->source, ".jsonl") && !gri_ends_in(o->source, ".json")) {
        GR_FAIL(GR_ERR_USAGE, "%s: expected a name ending in .json or .jsonl", o->source);
    }
    if (gri_ends_in(o->source, ".json")) {
        GR_TRY(begins_map(o->source, &meta));
    }
    if (meta) {
        GR_TRY(add_meta(o, out));
    } else {
        GR_TRY(gri_source_add(out, o->source, o->images, o->task));
    }
done:
    return err;
}

static bool is_tar(const char *name)
{
    bool found = false;
    for (int i = 0; tar_ends[i]; i++) {
        found = found || gri_ends_in(name, tar_ends[i]);
    }
    return found;
}

static gr_err find_tars(const gr_import_options *o, gri_source *out)
{
    gr_err err = GR_OK;
    char **names = NULL, *path = NULL;
    int64_t count = 0;
    if (!gr_dir_exists(o->source)) {
        GR_TRY(gri_source_add(out, o->source, o->images, o->task));
        goto done;
    }
    GR_TRY(gr_dir_list(o->source, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        if (is_tar(names[i])) {
            GR_TRY(gr_path_join(o->source, names[i], &path));
            GR_TRY(gri_source_add(out, path, o->images, o->task));
            GR_FREE(path);
        }
    }
    if (out->count == 0) {
        GR_FAIL(GR_ERR_DATA,
                "%s: the folder holds no tar (.tar .tar.gz .tgz .tar.zst .tar.xz .tar.bz2)",
                o->source);
    }
done:
    GR_FREE(path);
    gr_dir_list_free(&names, count);
    return err;
}

gr_err gri_source_find(const gr_import_options *o, gri_source *out)
{
    gr_err err = GR_OK;
    gri_source source = {0};
    if (o->images && !gr_dir_exists(o->images)) {
        GR_FAIL(GR_ERR_MISSING, "%s: there is no such folder of images", o->images);
    }
    if (o->form == GR_IMPORT_SYNTH) {
        GR_TRY(gri_source_add(&source, o->source, NULL, NULL));
    } else if (o->form == GR_IMPORT_WEBDATASET) {
        GR_TRY(find_tars(o, &source));
    } else if (o->form == GR_IMPORT_LLAVA) {
        GR_TRY(find_llava(o, &source));
    } else {
        GR_TRY(gri_source_add(&source, o->source, o->images, o->task));
    }
    *out = source;
    source = (gri_source){0};
done:
    gri_source_fini(&source);
    return err;
}

gr_err gri_reader_open(const gri_source_file *file, const gr_import_options *options,
                       gri_reader **out)
{
    switch (options->form) {
    case GR_IMPORT_WEBDATASET:
        return gri_tar_open(file, options, out);
    case GR_IMPORT_VLMEVAL:
        return gri_tsv_open(file, options, out);
    case GR_IMPORT_SYNTH:
        return gri_synth_open(file, options, out);
    case GR_IMPORT_LLAVA:
        break;
    }
    return gri_llava_open(file, options, out);
}

void gri_reader_close(gri_reader **reader)
{
    if (*reader) {
        (*reader)->destroy(*reader);
        *reader = NULL;
    }
}
