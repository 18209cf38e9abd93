#include "datasets/import.h"
#include "datasets/record.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct import {
    const gr_import_options *options;
    char *folder;  ///< of the images
    char *rejects; ///< path of the list
    gr_dataset_writer *writer;
    gr_import_result result;
    gr_digest *ids; ///< [capacity], result.samples in use: to count duplicates
    int64_t capacity;
    char *first_reject; ///< where and why, for the message
} import;

/// Where a record stands: {"line", 12} in a .jsonl file, {"index", 11} in a .json file.
typedef struct place {
    const char *unit;
    int64_t number;
} place;

static gr_err too_many_rejects(const import *im)
{
    gr_err err = GR_OK;
    long long allowed = im->options->max_rejects, found = im->result.rejects;
    GR_FAIL(GR_ERR_DATA,
            "%s: %lld bad record%s, %lld allowed; the first is %s; %s lists what was found so "
            "far. Correct the records or allow more rejects",
            im->options->source, found, found == 1 ? "" : "s", allowed, im->first_reject,
            im->rejects);
done:
    return err;
}

static gr_err note_first(import *im, const char *id, place where, const char *reason)
{
    gr_err err = GR_OK;
    im->first_reject = gr_str_format("%s %lld (id %s): %s", where.unit, (long long)where.number,
                                     id ? id : "unknown", reason);
    if (!im->first_reject) {
        err = GR_ERR_MEMORY;
    }
    return err;
}

/// Lists the record with this thread's error message as the reason.
static gr_err reject(import *im, const char *id, place where)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    const char *reason = gr_err_message();
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, where.unit, where.number);
    if (id) {
        gr_json_string(&j, "id", id);
    } else {
        gr_json_null(&j, "id");
    }
    gr_json_string(&j, "reason", reason);
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_str_add(&j.text, "\n"));
    if (!im->first_reject) {
        GR_TRY(note_first(im, id, where, reason));
    }
    GR_TRY(gr_file_append(im->rejects, j.text.data, j.text.size));
    if (++im->result.rejects > im->options->max_rejects) {
        GR_TRY(too_many_rejects(im));
    }
done:
    gr_json_fini(&j);
    return err;
}

static gr_err keep_id(import *im, const gr_sample *sample)
{
    gr_err err = GR_OK;
    if (im->result.samples == im->capacity) {
        int64_t capacity = im->capacity ? 2 * im->capacity : 1024;
        GR_RESIZE(im->ids, im->capacity, capacity);
        im->capacity = capacity;
    }
    im->ids[im->result.samples++] = gr_sample_id(sample);
    im->result.images += sample->images;
done:
    return err;
}

static bool is_reject(gr_err err)
{
    return err == GR_ERR_DATA || err == GR_ERR_MISSING;
}

static gr_err import_record(import *im, const gr_node *node, place where)
{
    gr_err err = GR_OK;
    gri_record record = {0};
    err = gri_record_read(node, where.number, im->folder, im->options, &record);
    if (is_reject(err)) {
        GR_TRY(reject(im, record.source, where));
    } else {
        GR_TRY(err);
        GR_TRY(gr_dataset_writer_add(im->writer, &record.sample));
        GR_TRY(keep_id(im, &record.sample));
    }
    gr_progress_update(5.0, "import: %lld samples, %lld images, %lld rejects",
                       (long long)im->result.samples, (long long)im->result.images,
                       (long long)im->result.rejects);
done:
    gri_record_fini(&record);
    return err;
}

static gr_err import_json(import *im)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    GR_TRY(gr_doc_load(im->options->source, GR_ERR_DATA, &doc));
    const gr_node *root = gr_doc_root(doc);
    GR_TRY(gr_node_expect(root, GR_DOC_LIST));
    for (int64_t i = 0; i < root->u.list.count; i++) {
        GR_TRY(import_record(im, &root->u.list.items[i], (place){"index", i}));
    }
done:
    gr_doc_destroy(&doc);
    return err;
}

static gr_err import_line(import *im, const char *text, size_t size, int64_t line)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    char *name = gr_str_format("%s:%lld", im->options->source, (long long)line);
    if (!name) {
        return GR_ERR_MEMORY;
    }
    place where = {"line", line};
    err = gr_doc_parse_json(name, text, size, GR_ERR_DATA, &doc);
    if (is_reject(err)) {
        GR_TRY(reject(im, NULL, where));
    } else {
        GR_TRY(err);
        GR_TRY(import_record(im, gr_doc_root(doc), where));
    }
done:
    gr_doc_destroy(&doc);
    GR_FREE(name);
    return err;
}

static gr_err import_jsonl(import *im)
{
    gr_err err = GR_OK;
    const char *path = im->options->source;
    char *text = NULL; // getline's own memory
    size_t capacity = 0;
    ssize_t size = 0;
    FILE *file = NULL;
    GR_TRY(gr_file_open(path, &file));
    for (int64_t line = 1; (size = getline(&text, &capacity, file)) >= 0; line++) {
        if (strspn(text, " \t\r\n") < (size_t)size) {
            GR_TRY(import_line(im, text, (size_t)size, line));
        }
    }
    if (ferror(file)) {
        GR_FAIL(GR_ERR_IO, "%s: cannot read it: %s", path, strerror(errno));
    }
done:
    if (file) {
        fclose(file);
    }
    free(text);
    return err;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static gr_err import_records(import *im)
{
    gr_err err = GR_OK;
    const char *source = im->options->source;
    if (ends_in(source, ".jsonl")) {
        GR_TRY(import_jsonl(im));
    } else if (ends_in(source, ".json")) {
        GR_TRY(import_json(im));
    } else {
        GR_FAIL(GR_ERR_USAGE, "%s: expected a name ending in .json or .jsonl", source);
    }
done:
    return err;
}

static gr_err check_any(const import *im)
{
    gr_err err = GR_OK;
    const char *source = im->options->source;
    if (im->result.samples == 0 && im->result.rejects == 0) {
        GR_FAIL(GR_ERR_DATA, "%s: names no record, nothing to import", source);
    }
    if (im->result.samples == 0) {
        GR_FAIL(GR_ERR_DATA,
                "%s: all %lld records are bad, nothing to import; the first is %s; %s lists "
                "them",
                source, (long long)im->result.rejects, im->first_reject, im->rejects);
    }
done:
    return err;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(gr_digest)); // any order will do: equal ids come together
}

static int64_t count_duplicates(gr_digest *ids, int64_t count)
{
    int64_t duplicates = 0;
    if (count > 0) {
        qsort(ids, (size_t)count, sizeof *ids, compare_ids);
    }
    for (int64_t i = 1; i < count; i++) {
        duplicates += gr_digest_equal(ids[i - 1], ids[i]);
    }
    return duplicates;
}

static gr_err import_begin(import *im)
{
    gr_err err = GR_OK;
    const gr_import_options *options = im->options;
    if (options->images) {
        GR_STRDUP(im->folder, options->images);
    } else {
        GR_TRY(gr_path_dir(options->source, &im->folder));
    }
    GR_TRY(gr_dataset_writer_create(options->out, options->shard_bytes, &im->writer));
    GR_TRY(gr_path_join(options->out, "rejects.jsonl", &im->rejects));
    if (unlink(im->rejects) != 0 && errno != ENOENT) {
        GR_FAIL(GR_ERR_IO, "%s: cannot remove the list of an earlier import: %s", im->rejects,
                strerror(errno));
    }
done:
    return err;
}

/// Closes the data set and opens it as its reader will.
static gr_err import_finish(import *im)
{
    gr_err err = GR_OK;
    gr_dataset *dataset = NULL;
    GR_TRY(gr_dataset_writer_finish(im->writer));
    GR_TRY(gr_dataset_open(im->options->out, &dataset));
    im->result.bytes = gr_dataset_bytes(dataset);
    im->result.duplicates = count_duplicates(im->ids, im->result.samples);
done:
    gr_dataset_close(&dataset);
    return err;
}

gr_err gr_import_llava(const gr_import_options *options, gr_import_result *out)
{
    gr_err err = GR_OK;
import im = {.options = options };
    GR_TRY(import_begin(&im));
    GR_TRY(import_records(&im));
    GR_TRY(check_any(&im));
    GR_TRY(import_finish(&im));
    *out = im.result;
done:
    gr_progress_end();
    gr_dataset_writer_destroy(&im.writer);
    GR_FREE(im.folder);
    GR_FREE(im.rejects);
    GR_FREE(im.ids);
    GR_FREE(im.first_reject);
    return err;
}
