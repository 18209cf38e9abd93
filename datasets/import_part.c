#include "datasets/import_part.h"

#include "datasets/manifest.h"
#include "datasets/shard_write.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static gr_err part_path(const char *work, int64_t unit, const char *end, char **out)
{
    *out = gr_str_format("%s/unit-%08lld.%s", work, (long long)unit, end);
    return *out ? GR_OK : GR_ERR_MEMORY;
}

/// Ends a line of the index; the next one is a document of its own.
static gr_err end_line(gri_part_writer *part)
{
    gr_err err = GR_OK;
    GR_TRY(gr_json_finish(&part->index));
    part->index.comma = false;
    GR_TRY(gr_str_add(&part->index.text, "\n"));
done:
    return err;
}

gr_err gri_part_create(const char *work, int64_t unit, gri_part_writer *out)
{
    gr_err err = GR_OK;
    *out = (gri_part_writer){.fd = -1};
    GR_TRY(part_path(work, unit, "index", &out->index_path));
    GR_TRY(part_path(work, unit, "bytes", &out->bytes_path));
    out->fd = open(out->bytes_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out->fd < 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot create it: %s", out->bytes_path, strerror(errno));
    }
    gr_json_map_begin(&out->index, NULL);
    gr_json_int(&out->index, "unit", unit);
    gr_json_map_end(&out->index);
    GR_TRY(end_line(out));
done:
    return err;
}

static gr_err add_bytes(gri_part_writer *part, const void *data, size_t size)
{
    gr_err err = GR_OK;
    GR_TRY(gr_file_pwrite(part->fd, part->bytes_path, data, size, part->size));
    part->size += (int64_t)size;
done:
    return err;
}

gr_err gri_part_add(gri_part_writer *part, const gr_sample *sample)
{
    gr_err err = GR_OK;
    gr_json *j = &part->index;
    for (int64_t i = 0; i < sample->images; i++) {
        GR_TRY(add_bytes(part, sample->image[i], sample->image_size[i]));
    }
    GR_TRY(add_bytes(part, sample->text, sample->text_size));
    gr_json_map_begin(j, NULL);
    gr_json_digest(j, "content", gr_sample_id(sample));
    gr_json_string(j, "id", sample->source);
    gr_json_string(j, "task", sample->task);
    gr_json_int(j, "text", (int64_t)sample->text_size);
    gr_json_list_begin(j, "images");
    for (int64_t i = 0; i < sample->images; i++) {
        gr_json_list_begin(j, NULL);
        gr_json_int(j, NULL, (int64_t)sample->image_size[i]);
        gr_json_int(j, NULL, sample->pixels[i][0]);
        gr_json_int(j, NULL, sample->pixels[i][1]);
        gr_json_list_end(j);
    }
    gr_json_list_end(j);
    gr_json_map_end(j);
    GR_TRY(end_line(part));
done:
    return err;
}

gr_err gri_part_reject(gri_part_writer *part, const char *file, gri_place where, const char *id)
{
    gr_err err = GR_OK;
    gr_json *j = &part->index;
    gr_json_map_begin(j, NULL);
    if (file) {
        gr_json_string(j, "file", file);
    }
    gr_json_int(j, where.unit, where.number);
    if (id) {
        gr_json_string(j, "id", id);
    } else {
        gr_json_null(j, "id");
    }
    gr_json_string(j, "reason", gr_err_message());
    gr_json_map_end(j);
    GR_TRY(end_line(part));
done:
    return err;
}

gr_err gri_part_finish(gri_part_writer *part)
{
    gr_err err = GR_OK;
    int fd = part->fd;
    part->fd = -1;
    if (close(fd) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot close it: %s", part->bytes_path, strerror(errno));
    }
    GR_TRY(
        gr_file_write_unsynced(part->index_path, part->index.text.data, part->index.text.size));
done:
    return err;
}

void gri_part_abandon(gri_part_writer *part)
{
    if (part->index_path && part->fd >= 0) {
        close(part->fd);
        unlink(part->bytes_path);
    }
    GR_FREE(part->index_path);
    GR_FREE(part->bytes_path);
    gr_json_fini(&part->index);
    *part = (gri_part_writer){.fd = -1};
}

/// The path in a buffer, where there is no way to fail. A path that does not fit is no file.
static const char *short_path(const char *work, int64_t unit, const char *end,
                              char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/unit-%08lld.%s", work, (long long)unit, end);
    return path;
}

bool gri_part_done(const char *work, int64_t unit)
{
    char path[PATH_MAX];
    return gr_file_exists(short_path(work, unit, "index", path));
}

void gri_part_remove(const char *work, int64_t unit)
{
    char path[PATH_MAX];
    unlink(short_path(work, unit, "index", path)); // first: without it the rest is nothing
    unlink(short_path(work, unit, "bytes", path));
}

void gri_part_drop_bytes(const char *work, int64_t unit)
{
    char path[PATH_MAX];
    unlink(short_path(work, unit, "bytes", path));
}

/// The first line says which unit it is: a part under another's name is not taken for that.
static gr_err check_unit(gri_part_reader *part, int64_t unit)
{
    gr_err err = GR_OK;
    char want[48];
    const int size = snprintf(want, sizeof want, "{\"unit\":%lld}\n", (long long)unit);
    if (part->end - part->at < size || memcmp(part->at, want, (size_t)size) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: its index does not begin with unit %lld", part->bytes_path,
                (long long)unit);
    }
    part->at += size;
done:
    return err;
}

gr_err gri_part_open(const char *work, int64_t unit, gri_part_reader *out)
{
    gr_err err = GR_OK;
    char *path = NULL;
    size_t size = 0;
    *out = (gri_part_reader){.fd = -1};
    GR_TRY(part_path(work, unit, "index", &path));
    GR_TRY(part_path(work, unit, "bytes", &out->bytes_path));
    GR_TRY(gr_file_read(path, 0, &out->index, &size));
    out->at = out->index;
    out->end = out->index + size;
    GR_TRY(check_unit(out, unit));
done:
    GR_FREE(path);
    return err;
}

/// [bytes, width, height] of an image in the index.
static bool is_image(const gr_node *node)
{
    bool good = node->type == GR_DOC_LIST && node->u.list.count == 3;
    for (int64_t i = 0; good && i < 3; i++) {
        const gr_node *number = &node->u.list.items[i];
        good = number->type == GR_DOC_INT && number->u.integer >= 0;
    }
    return good;
}

static gr_err read_images(gri_part_reader *part, const gr_node *list, gri_part_item *out)
{
    gr_err err = GR_OK;
    int64_t count = list->u.list.count;
    GR_ALLOC(part->image, count);
    GR_ALLOC(part->image_size, count);
    GR_ALLOC(part->pixels, count);
    for (int64_t i = 0; i < count; i++) {
        const gr_node *numbers = &list->u.list.items[i];
        if (!is_image(numbers)) {
            GR_FAIL(GR_ERR_IO, "%s: its index has no size of image %lld of a record",
                    part->bytes_path, (long long)i);
        }
        const gr_node *number = numbers->u.list.items;
        part->image_size[i] = (size_t)number[0].u.integer;
        part->pixels[i][0] = (int32_t)number[1].u.integer;
        part->pixels[i][1] = (int32_t)number[2].u.integer;
        out->bytes += number[0].u.integer;
    }
    out->sample.images = count;
    out->sample.image = part->image;
    out->sample.image_size = part->image_size;
    out->sample.pixels = (const int32_t(*)[2])part->pixels;
done:
    return err;
}

static gr_err read_sample(gri_part_reader *part, const gr_node *node, gri_part_item *out)
{
    gr_err err = GR_OK;
    const gr_node *images = NULL;
    int64_t text = 0;
    GR_TRY(gri_digest_get(node, "content", &out->sample.id));
    GR_TRY(gr_node_get_string(node, "id", &out->sample.source));
    GR_TRY(gr_node_get_string(node, "task", &out->sample.task));
    GR_TRY(gr_node_get_int(node, "text", 0, INT64_MAX, &text));
    GR_TRY(gr_node_get_list(node, "images", &images));
    GR_TRY(read_images(part, images, out));
    out->source = out->sample.source;
    out->sample.text_size = (size_t)text;
    out->bytes += text;
    part->offset += out->bytes;
done:
    return err;
}

/// Where a bad record stands: the key of a number in its line.
static void read_place(const gr_node *node, gri_part_item *out)
{
    static const char *const units[] = {"line", "index", "record"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const gr_node *number = gr_node_find(node, units[i]);
        if (number && number->type == GR_DOC_INT) {
            out->unit = units[i];
            out->number = number->u.integer;
        }
    }
}

/// Forgets the current record.
static void forget(gri_part_reader *part)
{
    gr_doc_destroy(&part->doc);
    GR_FREE(part->block);
    GR_FREE(part->image);
    GR_FREE(part->image_size);
    GR_FREE(part->pixels);
}

gr_err gri_part_next(gri_part_reader *part, gri_part_item *out, bool *there)
{
    gr_err err = GR_OK;
    forget(part);
    *out = (gri_part_item){0};
    *there = part->at < part->end;
    if (!*there) {
        goto done;
    }
    const char *end = memchr(part->at, '\n', (size_t)(part->end - part->at));
    if (!end) {
        GR_FAIL(GR_ERR_IO, "%s: its index ends in the middle of a line", part->bytes_path);
    }
    out->line = part->at;
    out->line_size = (size_t)(end + 1 - part->at);
    part->at = end + 1;
    GR_TRY(
        gr_doc_parse_json(part->bytes_path, out->line, out->line_size, GR_ERR_IO, &part->doc));
    const gr_node *node = gr_doc_root(part->doc);
    GR_TRY(gr_node_opt_string(node, "reason", &out->reason));
    if (out->reason) {
        GR_TRY(gr_node_opt_string(node, "id", &out->source));
        read_place(node, out);
    } else {
        GR_TRY(read_sample(part, node, out));
    }
done:
    return err;
}

gr_err gri_part_bytes(gri_part_reader *part, gri_part_item *item)
{
    gr_err err = GR_OK;
    if (part->fd < 0) {
        part->fd = open(part->bytes_path, O_RDONLY | O_CLOEXEC);
        if (part->fd < 0) {
            GR_FAIL(GR_ERR_IO, "%s: cannot open it: %s", part->bytes_path, strerror(errno));
        }
    }
    GR_ALLOC(part->block, item->bytes + 1);
    GR_TRY(gr_file_pread(part->fd, part->bytes_path, part->block, (size_t)item->bytes,
                         part->offset - item->bytes));
    const char *at = part->block;
    for (int64_t i = 0; i < item->sample.images; i++) {
        part->image[i] = (const unsigned char *)at;
        at += part->image_size[i];
    }
    item->sample.text = at;
    if (!gr_digest_equal(gr_sample_id(&item->sample), item->sample.id)) {
        GR_FAIL(GR_ERR_IO, "%s: the bytes of \"%s\" are not those that were written",
                part->bytes_path, item->source);
    }
done:
    return err;
}

gr_err gri_part_check(const char *work, int64_t unit, int64_t records, bool *bad)
{
    gr_err err = GR_OK;
    gri_part_reader part = {.fd = -1};
    gri_part_item item;
    bool there = true;
    int64_t found = 0;
    GR_TRY(gri_part_open(work, unit, &part));
    for (*bad = false; there; found += there) {
        GR_TRY(gri_part_next(&part, &item, &there));
        *bad = *bad || item.reason;
        if (there && !item.reason) {
            GR_TRY(gri_part_bytes(&part, &item));
        }
    }
    if (found != records) {
        GR_FAIL(GR_ERR_IO, "%s: its index has %lld records, expected %lld", part.bytes_path,
                (long long)found, (long long)records);
    }
done:
    gri_part_close(&part);
    return err;
}

void gri_part_close(gri_part_reader *part)
{
    forget(part);
    if (part->bytes_path && part->fd >= 0) {
        close(part->fd);
    }
    GR_FREE(part->index);
    GR_FREE(part->bytes_path);
    *part = (gri_part_reader){.fd = -1};
}
