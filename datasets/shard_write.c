#include "datasets/shard_write.h"

#include "datasets/frame.h"

#include "datasets/shard_format.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_SHARD_BYTES ((int64_t)1 << 30)

/// A nameless file that collects bytes until their number is known.
typedef struct spool {
    int fd; ///< -1: not open
    int64_t size;
} spool;

struct gri_shard_writer {
    const gri_folder *folder;
    const gri_counting *counting;
    char name[32];
    char *aside, *path; ///< where it is written, where it goes
    spool images, texts;
    gr_str tables[GRI_TABLE_COUNT];
    gr_str *tokens;        ///< [counting->count]
    gri_shard_entry entry; ///< counts and digest so far
};

bool gri_shard_full(int64_t samples, int64_t held, int64_t adding, int64_t limit)
{
    return samples > 0 && held + adding > (limit ? limit : DEFAULT_SHARD_BYTES);
}

int64_t gri_sample_bytes(const gr_sample *sample)
{
    int64_t bytes = (int64_t)sample->text_size;
    for (int64_t i = 0; i < sample->images; i++) {
        bytes += (int64_t)sample->image_size[i];
    }
    return bytes;
}

static gr_err spool_open(const char *dir, spool *out)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(dir, "spool-XXXXXX", &path));
    out->fd = mkostemp(path, O_CLOEXEC);
    if (out->fd < 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot create a temporary file: %s", dir, strerror(errno));
    }
    unlink(path);
done:
    GR_FREE(path);
    return err;
}

static gr_err spool_add(spool *s, const char *dir, const void *data, size_t size)
{
    gr_err err = GR_OK;
    GR_TRY(gr_file_pwrite(s->fd, dir, data, size, s->size));
    s->size += (int64_t)size;
done:
    return err;
}

static void spool_close(spool *s)
{
    if (s->fd >= 0) {
        close(s->fd);
    }
    s->fd = -1;
}

static gr_err add_u64(gri_shard_writer *w, gri_table table, int64_t value)
{
    uint64_t word = (uint64_t)value;
    return gr_str_add_bytes(&w->tables[table], &word, sizeof word);
}

gr_err gri_shard_writer_create(const gri_folder *folder, int64_t number,
                               const gri_counting *counting, gri_shard_writer **out)
{
    static const gri_table from_zero[] = {GRI_IMAGE_OFFSETS, GRI_TEXT_OFFSETS,
                                          GRI_SAMPLE_IMAGES, GRI_SOURCE_OFFSETS,
                                          GRI_TASK_OFFSETS};
    gr_err err = GR_OK;
    gri_shard_writer *w = NULL;
    GR_ALLOC(w, 1);
    w->images.fd = w->texts.fd = -1;
    w->folder = folder;
    w->counting = counting;
    snprintf(w->name, sizeof w->name, "shard-%05lld.h5", (long long)number);
    GR_ALLOC(w->tokens, counting->count);
    GR_TRY(gr_path_join(folder->dir, w->name, &w->path));
    GR_TRY(gr_path_join(folder->work, w->name, &w->aside));
    GR_TRY(spool_open(folder->work, &w->images));
    GR_TRY(spool_open(folder->work, &w->texts));
    for (size_t i = 0; i < sizeof from_zero / sizeof *from_zero; i++) {
        GR_TRY(add_u64(w, from_zero[i], 0));
    }
    *out = w;
    w = NULL;
done:
    gri_shard_writer_destroy(&w);
    return err;
}

static gr_err add_image(gri_shard_writer *w, const gr_sample *sample, int64_t i)
{
    gr_err err = GR_OK;
    GR_TRY(spool_add(&w->images, w->folder->work, sample->image[i], sample->image_size[i]));
    GR_TRY(add_u64(w, GRI_IMAGE_OFFSETS, w->images.size));
    GR_TRY(gr_str_add_bytes(&w->tables[GRI_IMAGE_SIZE], sample->pixels[i],
                            sizeof sample->pixels[i]));
    w->entry.images++;
done:
    return err;
}

/// A label (source, task) into the table behind `offsets`, and where it ends into `offsets`.
static gr_err add_label(gri_shard_writer *w, gri_table offsets, const char *text)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(&w->tables[offsets + 1], text ? text : ""));
    GR_TRY(add_u64(w, offsets, (int64_t)w->tables[offsets + 1].size));
done:
    return err;
}

static gr_err add_tokens(gri_shard_writer *w, const gr_sample *sample)
{
    gr_err err = GR_OK;
    for (int64_t k = 0; k < w->counting->count; k++) {
        int64_t tokens = 0;
        GR_TRY(gri_count_tokens(w->counting->tokenizers[k], sample->text, sample->text_size,
                                &tokens));
        const int32_t word = (int32_t)tokens;
        GR_TRY(gr_str_add_bytes(&w->tokens[k], &word, sizeof word));
    }
done:
    return err;
}

gr_err gri_shard_writer_add(gri_shard_writer *w, const gr_sample *sample, gr_digest id)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < sample->images; i++) {
        GR_TRY(add_image(w, sample, i));
    }
    GR_TRY(spool_add(&w->texts, w->folder->work, sample->text, sample->text_size));
    GR_TRY(add_u64(w, GRI_TEXT_OFFSETS, w->texts.size));
    GR_TRY(add_u64(w, GRI_SAMPLE_IMAGES, w->entry.images));
    GR_TRY(add_u64(w, GRI_CONTENT_ID, (int64_t)id.high));
    GR_TRY(add_u64(w, GRI_CONTENT_ID, (int64_t)id.low));
    GR_TRY(add_label(w, GRI_SOURCE_OFFSETS, sample->source));
    GR_TRY(add_label(w, GRI_TASK_OFFSETS, sample->task));
    GR_TRY(add_tokens(w, sample));
    w->entry.samples++;
    w->entry.digest = gri_digest_link_id(w->entry.digest, id);
done:
    return err;
}

static gr_err write_tables(gri_shard_writer *w, gri_h5 *h5)
{
    gr_err err = GR_OK;
    char name[GRI_TOKENS_NAME];
    for (gri_table t = 0; t < GRI_TABLE_COUNT; t++) {
        gri_table_info info = gri_table_get(t, w->entry.samples, w->entry.images);
        int64_t rows = (int64_t)(w->tables[t].size / info.row_size);
        GR_ASSERT(info.rows < 0 || info.rows == rows);
        GR_TRY(gri_h5_write(h5, info.name, info.type, rows, info.columns, w->tables[t].data));
    }
    for (int64_t k = 0; k < w->counting->count; k++) {
        gri_tokens_name(w->counting->digests[k], name);
        GR_TRY(gri_h5_write(h5, name, GRI_H5_I32, w->entry.samples, 0, w->tokens[k].data));
    }
done:
    return err;
}

static gr_err locate(gri_h5 *h5, const char *name, gri_region *out)
{
    return gri_h5_locate(h5, name, &out->offset, &out->size);
}

static gr_err write_file(gri_shard_writer *w)
{
    gr_err err = GR_OK;
    gri_h5 *h5 = NULL;
    if (unlink(w->aside) != 0 && errno != ENOENT) { // of a run that was killed
        GR_FAIL(GR_ERR_IO, "%s: cannot remove it: %s", w->aside, strerror(errno));
    }
    GR_TRY(gri_h5_create(w->aside, &h5));
    GR_TRY(gri_h5_put_text(h5, "schema", GRI_SHARD_SCHEMA));
    GR_TRY(gri_h5_put_int(h5, "version", GRI_SHARD_VERSION));
    GR_TRY(gri_h5_put_text(h5, "creator", "gradus " GRADUS_VERSION));
    GR_TRY(write_tables(w, h5));
    GR_TRY(gri_h5_write_file(h5, "image_bytes", w->images.fd, w->folder->work, w->images.size));
    GR_TRY(gri_h5_write_file(h5, "text_bytes", w->texts.fd, w->folder->work, w->texts.size));
    GR_TRY(locate(h5, "image_bytes", &w->entry.image_bytes));
    GR_TRY(locate(h5, "text_bytes", &w->entry.text_bytes));
    GR_TRY(gri_h5_finish(h5));
done:
    gri_h5_destroy(&h5);
    return err;
}

/// Syncs the written file, notes its size and digest, and gives it its name.
static gr_err publish(gri_shard_writer *w)
{
    gr_err err = GR_OK;
    struct stat status;
    int fd = open(w->aside, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0 || fstat(fd, &status) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot sync it: %s", w->aside, strerror(errno));
    }
    w->entry.bytes = status.st_size;
    GR_TRY(gri_shard_frame(fd, w->aside, &w->entry, &w->entry.frame));
    if (rename(w->aside, w->path) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot rename it to %s: %s", w->aside, w->path,
                strerror(errno));
    }
    GR_TRY(gr_dir_sync(w->folder->dir));
done:
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

gr_err gri_shard_writer_finish(gri_shard_writer *w, gri_shard_entry *entry)
{
    gr_err err = GR_OK;
    GR_TRY(write_file(w));
    GR_TRY(publish(w));
    *entry = w->entry;
    entry->name = w->name;
done:
    if (err != GR_OK) { // `path` too: its folder may not have been synced
        unlink(w->aside);
        unlink(w->path);
    }
    return err;
}

void gri_shard_writer_destroy(gri_shard_writer **writer)
{
    gri_shard_writer *w = *writer;
    if (!w) {
        return;
    }
    spool_close(&w->images);
    spool_close(&w->texts);
    for (gri_table t = 0; t < GRI_TABLE_COUNT; t++) {
        gr_str_fini(&w->tables[t]);
    }
    for (int64_t k = 0; w->tokens && k < w->counting->count; k++) {
        gr_str_fini(&w->tokens[k]);
    }
    GR_FREE(w->tokens);
    GR_FREE(w->aside);
    GR_FREE(w->path);
    GR_FREE(*writer);
}
