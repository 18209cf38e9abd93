#include "datasets/manifest.h"
#include "datasets/shard.h"
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

/// A nameless file beside the shard that collects bytes until their number is known.
typedef struct spool {
    int fd; ///< -1: not open
    int64_t size;
} spool;

struct gr_dataset_writer {
    char *dir;
    int64_t shard_bytes;
    spool images, texts;            ///< of the shard being collected
    gr_str tables[GRI_TABLE_COUNT]; ///< of the shard being collected
    gri_shard_entry shard;          ///< its counts and digest; name and size when it is written
    gri_manifest manifest;          ///< finished shards
    bool broken, finished; ///< broken: an add or a shard failed, nothing more is written
};

static gr_err spool_open(const char *dir, spool *out)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(dir, ".spool-XXXXXX", &path));
    out->size = 0;
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

static gr_err add_u64(gr_dataset_writer *w, gri_table table, int64_t value)
{
    uint64_t word = (uint64_t)value;
    return gr_str_add_bytes(&w->tables[table], &word, sizeof word);
}

static gr_err shard_begin(gr_dataset_writer *w)
{
    gr_err err = GR_OK;
    w->shard = (gri_shard_entry){0};
    for (gri_table t = 0; t < GRI_TABLE_COUNT; t++) {
        gr_str_clear(&w->tables[t]);
    }
    GR_TRY(spool_open(w->dir, &w->images));
    GR_TRY(spool_open(w->dir, &w->texts));
    GR_TRY(add_u64(w, GRI_IMAGE_OFFSETS, 0));
    GR_TRY(add_u64(w, GRI_TEXT_OFFSETS, 0));
    GR_TRY(add_u64(w, GRI_SAMPLE_IMAGES, 0));
    GR_TRY(add_u64(w, GRI_SOURCE_OFFSETS, 0));
done:
    return err;
}

static gr_err write_tables(gr_dataset_writer *w, gri_h5 *h5)
{
    gr_err err = GR_OK;
    for (gri_table t = 0; t < GRI_TABLE_COUNT; t++) {
        gri_table_info info = gri_table_get(t, w->shard.samples, w->shard.images);
        int64_t rows = (int64_t)(w->tables[t].size / info.row_size);
        GR_ASSERT(info.rows < 0 || info.rows == rows);
        GR_TRY(gri_h5_write(h5, info.name, info.type, rows, info.columns, w->tables[t].data));
        w->shard.tables =
            gri_digest_link(w->shard.tables, w->tables[t].data, w->tables[t].size);
    }
done:
    return err;
}

static gr_err write_file(gr_dataset_writer *w, const char *path)
{
    gr_err err = GR_OK;
    gri_h5 *h5 = NULL;
    GR_TRY(gri_h5_create(path, &h5));
    GR_TRY(gri_h5_put_text(h5, "schema", GRI_SHARD_SCHEMA));
    GR_TRY(gri_h5_put_int(h5, "version", GRI_SHARD_VERSION));
    GR_TRY(gri_h5_put_text(h5, "creator", "gradus " GRADUS_VERSION));
    GR_TRY(write_tables(w, h5));
    GR_TRY(gri_h5_write_file(h5, "image_bytes", w->images.fd, w->dir, w->images.size));
    GR_TRY(gri_h5_write_file(h5, "text_bytes", w->texts.fd, w->dir, w->texts.size));
    GR_TRY(gri_h5_finish(h5));
done:
    gri_h5_destroy(&h5);
    return err;
}

/// Syncs the written file, gives it its name and notes its size.
static gr_err publish(gr_dataset_writer *w, const char *aside, const char *path)
{
    gr_err err = GR_OK;
    struct stat status;
    int fd = open(aside, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0 || fstat(fd, &status) != 0 || rename(aside, path) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot sync it or rename it to %s: %s", aside, path,
                strerror(errno));
    }
    w->shard.bytes = status.st_size;
    GR_TRY(gr_dir_sync(w->dir));
done:
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

static gr_err shard_finish(gr_dataset_writer *w)
{
    gr_err err = GR_OK;
    char *aside = NULL, *path = NULL, name[32], aside_name[64];
    snprintf(name, sizeof name, "shard-%05lld.h5", (long long)w->manifest.count);
    snprintf(aside_name, sizeof aside_name, ".%s.tmp.%ld", name, (long)getpid());
    GR_TRY(gr_path_join(w->dir, name, &path));
    GR_TRY(gr_path_join(w->dir, aside_name, &aside));
    GR_TRY(write_file(w, aside));
    GR_TRY(publish(w, aside, path));
    w->shard.name = name;
    GR_TRY(gri_manifest_add(&w->manifest, &w->shard));
done:
    if (err != GR_OK && aside) { // `path` too: its folder may not have been synced
        unlink(aside);
        unlink(path);
    }
    w->shard = (gri_shard_entry){0};
    spool_close(&w->images);
    spool_close(&w->texts);
    GR_FREE(aside);
    GR_FREE(path);
    return err;
}

/// The folder must be new or hold nothing but an earlier import's list of rejects.
static gr_err check_empty(const char *dir)
{
    gr_err err = GR_OK;
    char **names = NULL;
    int64_t count = 0;
    GR_TRY(gr_dir_list(dir, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        if (strcmp(names[i], "rejects.jsonl") != 0) {
            GR_FAIL(
                GR_ERR_USAGE,
                "%s is not empty (%s): name a new folder, or remove what an interrupted run "
                "left there",
                dir, names[i]);
        }
    }
done:
    gr_dir_list_free(&names, count);
    return err;
}

gr_err gr_dataset_writer_create(const char *dir, int64_t shard_bytes, gr_dataset_writer **out)
{
    gr_err err = GR_OK;
    gr_dataset_writer *w = NULL;
    GR_ASSERT(shard_bytes >= 0);
    GR_TRY(gr_dir_make(dir));
    GR_TRY(check_empty(dir));
    GR_ALLOC(w, 1);
    w->images.fd = w->texts.fd = -1;
    w->shard_bytes = shard_bytes ? shard_bytes : DEFAULT_SHARD_BYTES;
    GR_STRDUP(w->dir, dir);
    *out = w;
    w = NULL;
done:
    gr_dataset_writer_destroy(&w);
    return err;
}

static gr_err add_image(gr_dataset_writer *w, const gr_sample *sample, int64_t i)
{
    gr_err err = GR_OK;
    GR_TRY(spool_add(&w->images, w->dir, sample->image[i], sample->image_size[i]));
    GR_TRY(add_u64(w, GRI_IMAGE_OFFSETS, w->images.size));
    GR_TRY(gr_str_add_bytes(&w->tables[GRI_IMAGE_SIZE], sample->pixels[i],
                            sizeof sample->pixels[i]));
    w->shard.images++;
done:
    return err;
}

static gr_err append(gr_dataset_writer *w, const gr_sample *sample)
{
    gr_err err = GR_OK;
    gr_digest id = gr_sample_id(sample);
    for (int64_t i = 0; i < sample->images; i++) {
        GR_TRY(add_image(w, sample, i));
    }
    GR_TRY(spool_add(&w->texts, w->dir, sample->text, sample->text_size));
    GR_TRY(add_u64(w, GRI_TEXT_OFFSETS, w->texts.size));
    GR_TRY(add_u64(w, GRI_SAMPLE_IMAGES, w->shard.images));
    GR_TRY(add_u64(w, GRI_CONTENT_ID, (int64_t)id.high));
    GR_TRY(add_u64(w, GRI_CONTENT_ID, (int64_t)id.low));
    GR_TRY(gr_str_add(&w->tables[GRI_SOURCE_BYTES], sample->source ? sample->source : ""));
    GR_TRY(add_u64(w, GRI_SOURCE_OFFSETS, (int64_t)w->tables[GRI_SOURCE_BYTES].size));
    w->shard.samples++;
    w->shard.digest = gri_digest_link_id(w->shard.digest, id);
    w->manifest.digest = gri_digest_link_id(w->manifest.digest, id);
done:
    return err;
}

static int64_t sample_bytes(const gr_sample *sample)
{
    int64_t bytes = (int64_t)sample->text_size;
    for (int64_t i = 0; i < sample->images; i++) {
        bytes += (int64_t)sample->image_size[i];
    }
    return bytes;
}

gr_err gr_dataset_writer_add(gr_dataset_writer *w, const gr_sample *sample)
{
    gr_err err = GR_OK;
    GR_ASSERT(!w->broken && !w->finished);
    int64_t held = w->images.size + w->texts.size;
    if (w->shard.samples > 0 && held + sample_bytes(sample) > w->shard_bytes) {
        GR_TRY(shard_finish(w));
    }
    if (w->shard.samples == 0) {
        GR_TRY(shard_begin(w));
    }
    GR_TRY(append(w, sample));
done:
    w->broken = err != GR_OK;
    return err;
}

gr_err gr_dataset_writer_finish(gr_dataset_writer *w)
{
    gr_err err = GR_OK;
    GR_ASSERT(!w->broken && !w->finished);
    if (w->shard.samples > 0) {
        GR_TRY(shard_finish(w));
    }
    GR_TRY(gri_manifest_save(&w->manifest, w->dir));
    w->finished = true;
done:
    w->broken = err != GR_OK;
    return err;
}

/// Takes back the shards of a data set that was not finished, and the folder if nothing else is in it.
static void remove_shards(gr_dataset_writer *w)
{
    for (int64_t i = 0; i < w->manifest.count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", w->dir, w->manifest.shards[i].name);
        unlink(path);
    }
    rmdir(w->dir);
}

void gr_dataset_writer_destroy(gr_dataset_writer **writer)
{
    gr_dataset_writer *w = *writer;
    if (!w) {
        return;
    }
    spool_close(&w->images);
    spool_close(&w->texts);
    if (!w->finished && w->dir) {
        remove_shards(w);
    }
    for (gri_table t = 0; t < GRI_TABLE_COUNT; t++) {
        gr_str_fini(&w->tables[t]);
    }
    gri_manifest_fini(&w->manifest);
    GR_FREE(w->dir);
    GR_FREE(*writer);
}
