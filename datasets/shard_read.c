#include "datasets/manifest.h"
#include "datasets/shard.h"
#include "datasets/shard_format.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/// Where a dataset's bytes lie in the shard file.
typedef struct region {
    int64_t offset, size;
} region;

typedef struct shard {
    char *path;
    const gri_shard_entry *entry; ///< in the manifest
    int64_t first;                ///< index of its first sample in the data set
    pthread_mutex_t lock;         ///< guards `loaded` and all below while it is being filled
    bool loaded;
    int fd; ///< -1: not open
    region images, texts;
    void *tables[GRI_TABLE_COUNT];
    const gri_manifest *manifest;
    int32_t **tokens; ///< [manifest->tokenizer_count] counts of each sample
} shard;

struct gr_dataset {
    char *dir;
    gri_manifest manifest;
    shard *shards; ///< [manifest.count]
};

static gr_err shard_init(shard *s, const char *dir, const gri_shard_entry *entry, int64_t first)
{
    gr_err err = GR_OK;
    struct stat status;
    pthread_mutex_init(&s->lock, NULL);
    s->fd = -1;
    s->entry = entry;
    s->first = first;
    GR_TRY(gr_path_join(dir, entry->name, &s->path));
    if (stat(s->path, &status) != 0) {
        GR_FAIL(errno == ENOENT ? GR_ERR_MISSING : GR_ERR_IO,
                "%s: the manifest names this shard, but: %s", s->path, strerror(errno));
    }
    if (status.st_size != entry->bytes) {
        GR_FAIL(GR_ERR_DATA,
                "%s: the file has %lld bytes, the manifest says %lld: copy it again from its "
                "source",
                s->path, (long long)status.st_size, (long long)entry->bytes);
    }
done:
    return err;
}

/// Drops what loading has filled in.
static void shard_unload(shard *s)
{
    for (gri_table t = 0; t < GRI_TABLE_COUNT; t++) {
        GR_FREE(s->tables[t]);
    }
    for (int64_t k = 0; s->tokens && k < s->manifest->tokenizer_count; k++) {
        GR_FREE(s->tokens[k]);
    }
    GR_FREE(s->tokens);
    if (s->fd >= 0) {
        close(s->fd);
    }
    s->fd = -1;
    s->loaded = false;
}

gr_err gr_dataset_open(const char *dir, gr_dataset **out)
{
    gr_err err = GR_OK;
    gr_dataset *d = NULL;
    int64_t first = 0;
    GR_ALLOC(d, 1);
    GR_STRDUP(d->dir, dir);
    GR_TRY(gri_manifest_load(dir, &d->manifest));
    GR_ALLOC(d->shards, d->manifest.count);
    for (int64_t i = 0; i < d->manifest.count; i++) {
        const gri_shard_entry *entry = &d->manifest.shards[i];
        d->shards[i].manifest = &d->manifest;
        GR_TRY(shard_init(&d->shards[i], dir, entry, first));
        first += entry->samples;
    }
    *out = d;
    d = NULL;
done:
    gr_dataset_close(&d);
    return err;
}

void gr_dataset_close(gr_dataset **dataset)
{
    gr_dataset *d = *dataset;
    if (!d) {
        return;
    }
    for (int64_t i = 0; d->shards && i < d->manifest.count; i++) {
        shard *s = &d->shards[i];
        if (s->entry) {
            shard_unload(s);
            pthread_mutex_destroy(&s->lock);
            GR_FREE(s->path);
        }
    }
    GR_FREE(d->shards);
    gri_manifest_fini(&d->manifest);
    GR_FREE(d->dir);
    GR_FREE(*dataset);
}

int64_t gr_dataset_count(const gr_dataset *dataset)
{
    return dataset->manifest.samples;
}

int64_t gr_dataset_images(const gr_dataset *dataset)
{
    return dataset->manifest.images;
}

int64_t gr_dataset_bytes(const gr_dataset *dataset)
{
    return dataset->manifest.bytes;
}

int64_t gr_dataset_shards(const gr_dataset *dataset)
{
    return dataset->manifest.count;
}

int64_t gr_dataset_shard_first(const gr_dataset *dataset, int64_t number)
{
    const gri_manifest *m = &dataset->manifest;
    return number < m->count ? dataset->shards[number].first : m->samples;
}

const char *gr_dataset_path(const gr_dataset *dataset)
{
    return dataset->dir;
}

gr_digest gr_dataset_digest(const gr_dataset *dataset)
{
    return dataset->manifest.digest;
}

static gr_err check_schema(gri_h5 *h5, const char *path)
{
    gr_err err = GR_OK;
    char schema[64];
    int32_t version = 0;
    GR_TRY(gri_h5_get_text(h5, "schema", schema, sizeof schema));
    GR_TRY(gri_h5_get_int(h5, "version", &version));
    if (strcmp(schema, GRI_SHARD_SCHEMA) != 0 || version != GRI_SHARD_VERSION) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: schema \"%s\" version %d, this program reads \"%s\" version %d; make the data set "
            "again from its source, or take the program that made it",
            path, schema, version, GRI_SHARD_SCHEMA, GRI_SHARD_VERSION);
    }
done:
    return err;
}

/// Offsets must start at 0, never fall, and end at the size of what they cut.
static gr_err check_offsets(const shard *s, gri_table table, int64_t count, int64_t size)
{
    gr_err err = GR_OK;
    const uint64_t *offsets = s->tables[table];
    const char *name = gri_table_get(table, 0, 0).name;
    uint64_t before = 0;
    for (int64_t i = 0; i <= count; i++) {
        if (offsets[i] < before || (i == 0 && offsets[i] != 0)) {
            GR_FAIL(GR_ERR_DATA, "%s: %s[%lld] is %llu, expected %s %llu", s->path, name,
                    (long long)i, (unsigned long long)offsets[i], i ? "at least" : "exactly",
                    (unsigned long long)before);
        }
        before = offsets[i];
    }
    if (before != (uint64_t)size) {
        GR_FAIL(GR_ERR_DATA, "%s: %s ends at %llu, but there are %lld to cut", s->path, name,
                (unsigned long long)before, (long long)size);
    }
done:
    return err;
}

/// The tables are those that were written: their digest and that of the content ids stand in the manifest.
static gr_err check_digests(const shard *s)
{
    gr_err err = GR_OK;
    const gri_shard_entry *entry = s->entry;
    gr_digest ids = {0}, tables = {0};
    const gr_digest *id = s->tables[GRI_CONTENT_ID];
    for (int64_t i = 0; i < entry->samples; i++) {
        ids = gri_digest_link_id(ids, id[i]);
    }
    for (gri_table t = 0; t < GRI_TABLE_COUNT; t++) {
        gri_table_info info = gri_table_get(t, entry->samples, entry->images);
        size_t rows = info.rows < 0 ? ((const uint64_t *)s->tables[t - 1])[entry->samples]
                                    : (size_t)info.rows;
        tables = gri_digest_link(tables, s->tables[t], rows * info.row_size);
    }
    for (int64_t k = 0; k < s->manifest->tokenizer_count; k++) {
        tables =
            gri_digest_link(tables, s->tokens[k], (size_t)entry->samples * sizeof(int32_t));
    }
    bool same_ids = gr_digest_equal(ids, entry->digest);
    if (!same_ids || !gr_digest_equal(tables, entry->tables)) {
        char got[GR_DIGEST_TEXT], want[GR_DIGEST_TEXT];
        gr_digest_format(same_ids ? tables : ids, got);
        gr_digest_format(same_ids ? entry->tables : entry->digest, want);
        GR_FAIL(GR_ERR_DATA,
                "%s: digest of its %s is %s, the manifest says %s: the shard is damaged or of "
                "another data set",
                s->path, same_ids ? "index tables" : "content ids", got, want);
    }
done:
    return err;
}

static gr_err load_tokens(shard *s, gri_h5 *h5)
{
    gr_err err = GR_OK;
    char name[GRI_TOKENS_NAME];
    GR_ALLOC(s->tokens, s->manifest->tokenizer_count);
    for (int64_t k = 0; k < s->manifest->tokenizer_count; k++) {
        void *counts = NULL;
        gri_tokens_name(s->manifest->tokenizers[k], name);
        GR_TRY(gri_h5_read(h5, name, GRI_H5_I32, s->entry->samples, 0, &counts, NULL));
        s->tokens[k] = counts;
    }
done:
    return err;
}

static gr_err load_tables(shard *s, gri_h5 *h5)
{
    gr_err err = GR_OK;
    int64_t samples = s->entry->samples, images = s->entry->images,
            bytes[GRI_TABLE_COUNT] = {0};
    for (gri_table t = 0; t < GRI_TABLE_COUNT; t++) {
        gri_table_info info = gri_table_get(t, samples, images);
        GR_TRY(gri_h5_read(h5, info.name, info.type, info.rows, info.columns, &s->tables[t],
                           &bytes[t]));
    }
    GR_TRY(load_tokens(s, h5));
    GR_TRY(check_offsets(s, GRI_IMAGE_OFFSETS, images, s->images.size));
    GR_TRY(check_offsets(s, GRI_TEXT_OFFSETS, samples, s->texts.size));
    GR_TRY(check_offsets(s, GRI_SAMPLE_IMAGES, samples, images));
    GR_TRY(check_offsets(s, GRI_SOURCE_OFFSETS, samples, bytes[GRI_SOURCE_BYTES]));
    GR_TRY(check_offsets(s, GRI_TASK_OFFSETS, samples, bytes[GRI_TASK_BYTES]));
    GR_TRY(check_digests(s));
done:
    return err;
}

static gr_err shard_load(shard *s)
{
    gr_err err = GR_OK;
    gri_h5 *h5 = NULL;
    GR_TRY(gri_h5_open(s->path, &h5));
    GR_TRY(check_schema(h5, s->path));
    GR_TRY(gri_h5_locate(h5, "image_bytes", &s->images.offset, &s->images.size));
    GR_TRY(gri_h5_locate(h5, "text_bytes", &s->texts.offset, &s->texts.size));
    GR_TRY(load_tables(s, h5));
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot open it: %s", s->path, strerror(errno));
    }
    s->loaded = true;
done:
    gri_h5_destroy(&h5);
    if (err != GR_OK) {
        shard_unload(s);
    }
    return err;
}

/// The shard of sample `index`, with its tables in memory. They never change after that, so only the
/// loading is locked.
static gr_err find_shard(const gr_dataset *d, int64_t index, shard **out)
{
    gr_err err = GR_OK;
    GR_ASSERT(index >= 0 && index < d->manifest.samples);
    int64_t low = 0, high = d->manifest.count;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (d->shards[middle].first <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    shard *s = &d->shards[low];
    pthread_mutex_lock(&s->lock);
    if (!s->loaded) {
        GR_TRY(shard_load(s));
    }
    *out = s;
done:
    pthread_mutex_unlock(&s->lock);
    return err;
}

gr_err gr_dataset_id(const gr_dataset *dataset, int64_t index, gr_digest *out)
{
    gr_err err = GR_OK;
    shard *s = NULL;
    GR_TRY(find_shard(dataset, index, &s));
    const gr_digest *ids = s->tables[GRI_CONTENT_ID];
    *out = ids[index - s->first];
done:
    return err;
}

/// Item `i` of what `table` cuts.
static region cut(const shard *s, gri_table table, int64_t i)
{
    const uint64_t *offsets = s->tables[table];
    return (region){(int64_t)offsets[i], (int64_t)(offsets[i + 1] - offsets[i])};
}

/// Lays out the arrays behind the sample and, if they are there, points them into the image bytes behind those, which come end to end
/// as in the shard. Returns what lies behind the arrays. One block holds it all.
static char *fill_images(const shard *s, region images, bool with_bytes, gr_sample *sample)
{
    const int32_t(*stored)[2] = s->tables[GRI_IMAGE_SIZE];
    const unsigned char **image = (void *)(sample + 1);
    size_t *size = (void *)(image + images.size);
    int32_t(*pixels)[2] = (void *)(size + images.size);
    char *bytes = (char *)(pixels + images.size), *at = bytes;
    for (int64_t i = 0; i < images.size; i++) {
        image[i] = (unsigned char *)at;
        size[i] = (size_t)cut(s, GRI_IMAGE_OFFSETS, images.offset + i).size;
        memcpy(pixels[i], stored[images.offset + i], sizeof pixels[i]);
        at += size[i];
    }
    sample->images = images.size;
    sample->image = with_bytes ? image : NULL;
    sample->image_size = size;
    sample->pixels = (const int32_t(*)[2])pixels;
    return bytes;
}

/// Copies the label (source, task) of sample `n` that `table` cuts out of the table behind it to `*at`, ends it with a NUL and moves on.
static const char *put_label(const shard *s, gri_table table, int64_t n, char **at)
{
    region r = cut(s, table, n);
    char *text = *at;
    memcpy(text, (const char *)s->tables[table + 1] + r.offset, (size_t)r.size);
    *at += r.size + 1;
    return text;
}

/// Reads sample `n` of the shard, with its bytes or without, unchecked.
static gr_err read_sample(const shard *s, int64_t n, bool with_bytes, gr_sample **out)
{
    gr_err err = GR_OK;
    char *block = NULL;
    region images = cut(s, GRI_SAMPLE_IMAGES, n);
    region text = cut(s, GRI_TEXT_OFFSETS, n);
    size_t labels =
        (size_t)(cut(s, GRI_SOURCE_OFFSETS, n).size + 1 + cut(s, GRI_TASK_OFFSETS, n).size + 1);
    const uint64_t *offsets = s->tables[GRI_IMAGE_OFFSETS];
    int64_t image_at = (int64_t)offsets[images.offset];
    size_t image_bytes = (size_t)((int64_t)offsets[images.offset + images.size] - image_at);
    size_t arrays =
        (size_t)images.size * (sizeof(char *) + sizeof(size_t) + sizeof(int32_t[2]));
    size_t bytes = with_bytes ? image_bytes + (size_t)text.size + 1 : 0;
    GR_ALLOC(block, sizeof(gr_sample) + arrays + bytes + labels);
    gr_sample *sample = (void *)block;
    char *at = fill_images(s, images, with_bytes, sample);
    sample->text_size = (size_t)text.size;
    if (with_bytes) {
        GR_TRY(gr_file_pread(s->fd, s->path, at, image_bytes, s->images.offset + image_at));
        at += image_bytes;
        GR_TRY(gr_file_pread(s->fd, s->path, at, (size_t)text.size,
                             s->texts.offset + text.offset));
        sample->text = at;
        at += text.size + 1;
    }
    sample->source = put_label(s, GRI_SOURCE_OFFSETS, n, &at);
    sample->task = put_label(s, GRI_TASK_OFFSETS, n, &at);
    sample->id = ((const gr_digest *)s->tables[GRI_CONTENT_ID])[n];
    *out = sample;
    block = NULL;
done:
    GR_FREE(block);
    return err;
}

gr_err gr_dataset_about(const gr_dataset *dataset, int64_t index, gr_sample **out)
{
    gr_err err = GR_OK;
    shard *s = NULL;
    GR_TRY(find_shard(dataset, index, &s));
    GR_TRY(read_sample(s, index - s->first, false, out));
done:
    return err;
}

const gr_digest *gr_dataset_tokenizers(const gr_dataset *dataset, int64_t *count)
{
    *count = dataset->manifest.tokenizer_count;
    return dataset->manifest.tokenizers;
}

gr_err gr_dataset_tokens(const gr_dataset *dataset, int64_t index, gr_digest tokenizer,
                         int64_t *out)
{
    gr_err err = GR_OK;
    const gri_manifest *manifest = &dataset->manifest;
    shard *s = NULL;
    int64_t tokens = -1;
    GR_TRY(find_shard(dataset, index, &s));
    for (int64_t k = 0; k < manifest->tokenizer_count; k++) {
        if (gr_digest_equal(manifest->tokenizers[k], tokenizer)) {
            tokens = s->tokens[k][index - s->first];
        }
    }
    *out = tokens;
done:
    return err;
}

gr_err gr_dataset_read(const gr_dataset *dataset, int64_t index, gr_sample **out)
{
    gr_err err = GR_OK;
    shard *s = NULL;
    gr_sample *sample = NULL;
    GR_TRY(find_shard(dataset, index, &s));
    GR_TRY(read_sample(s, index - s->first, true, &sample));
    gr_digest got = gr_sample_id(sample);
    if (!gr_digest_equal(got, sample->id)) {
        char got_text[GR_DIGEST_TEXT], want_text[GR_DIGEST_TEXT];
        gr_digest_format(got, got_text);
        gr_digest_format(sample->id, want_text);
        GR_FAIL(GR_ERR_DATA,
                "%s: sample %lld (\"%s\", number %lld of the data set) is damaged: content id "
                "%s, expected %s; copy the shard again from its source",
                s->path, (long long)(index - s->first), sample->source, (long long)index,
                got_text, want_text);
    }
    *out = sample;
    sample = NULL;
done:
    gr_sample_destroy(&sample);
    return err;
}
