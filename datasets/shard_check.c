#include "datasets/shard_check.h"

#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
            "%s: schema \"%s\" version %d, this program reads \"%s\" version %d; make the data "
            "set again from its source, or take the program that made it",
            path, schema, version, GRI_SHARD_SCHEMA, GRI_SHARD_VERSION);
    }
done:
    return err;
}

/// The index tables of a shard while they are checked.
typedef struct tables {
    const char *path;
    const gri_shard *shard;
    void *data[GRI_TABLE_COUNT];
    void **tokens; ///< [manifest->tokenizer_count]
} tables;

/// Where the size of a table of labels is kept.
static int64_t *label_bytes(gri_shard *s, gri_table table)
{
    return table == GRI_TASK_BYTES ? &s->tasks : &s->sources;
}

/// Offsets must start at 0, never fall, and end at the size of what they cut.
static gr_err check_offsets(const tables *t, gri_table table, int64_t count, int64_t size)
{
    gr_err err = GR_OK;
    const uint64_t *offsets = t->data[table];
    const char *name = gri_table_get(table, 0, 0).name;
    uint64_t before = 0;
    for (int64_t i = 0; i <= count; i++) {
        if (offsets[i] < before || (i == 0 && offsets[i] != 0)) {
            GR_FAIL(GR_ERR_DATA, "%s: %s[%lld] is %llu, expected %s %llu", t->path, name,
                    (long long)i, (unsigned long long)offsets[i], i ? "at least" : "exactly",
                    (unsigned long long)before);
        }
        before = offsets[i];
    }
    if (before != (uint64_t)size) {
        GR_FAIL(GR_ERR_DATA, "%s: %s ends at %llu, but there are %lld to cut", t->path, name,
                (unsigned long long)before, (long long)size);
    }
done:
    return err;
}

static gr_err complain(const char *path, const char *what, gr_digest got, gr_digest want)
{
    gr_err err = GR_OK;
    char got_text[GR_DIGEST_TEXT], want_text[GR_DIGEST_TEXT];
    gr_digest_format(got, got_text);
    gr_digest_format(want, want_text);
    GR_FAIL(GR_ERR_DATA,
            "%s: digest of its %s is %s, the manifest says %s: the shard is damaged or of "
            "another data set",
            path, what, got_text, want_text);
done:
    return err;
}

/// The content ids are those that the digest of the data set was made of.
static gr_err check_ids(const tables *t)
{
    gr_err err = GR_OK;
    const gri_shard_entry *entry = t->shard->entry;
    gr_digest ids = {0};
    const gr_digest *id = t->data[GRI_CONTENT_ID];
    for (int64_t i = 0; i < entry->samples; i++) {
        ids = gri_digest_link_id(ids, id[i]);
    }
    if (!gr_digest_equal(ids, entry->digest)) {
        GR_TRY(complain(t->path, "content ids", ids, entry->digest));
    }
done:
    return err;
}

/// Counts of tokens, and where each table of them lies.
static gr_err read_tokens(gri_shard *s, gri_h5 *h5, tables *t)
{
    gr_err err = GR_OK;
    const gri_manifest *manifest = s->manifest;
    char name[GRI_TOKENS_NAME];
    GR_FREE(s->tokens); // of an earlier try
    GR_ALLOC(s->tokens, manifest->tokenizer_count);
    GR_ALLOC(t->tokens, manifest->tokenizer_count);
    for (int64_t k = 0; k < manifest->tokenizer_count; k++) {
        gri_tokens_name(manifest->tokenizers[k], name);
        GR_TRY(gri_h5_read(h5, name, GRI_H5_I32, s->entry->samples, 0, &t->tokens[k], NULL));
        GR_TRY(gri_h5_locate_table(h5, name, GRI_H5_I32, s->entry->samples, 0, &s->tokens[k]));
    }
done:
    return err;
}

static void tables_fini(tables *t)
{
    for (gri_table k = 0; k < GRI_TABLE_COUNT; k++) {
        GR_FREE(t->data[k]);
    }
    for (int64_t k = 0; t->tokens && k < t->shard->manifest->tokenizer_count; k++) {
        GR_FREE(t->tokens[k]);
    }
    GR_FREE(t->tokens);
}

/// Reads all index tables, checks them, and keeps where they are.
static gr_err check_tables(gri_shard *s, const char *path, gri_h5 *h5)
{
    gr_err err = GR_OK;
    int64_t samples = s->entry->samples, images = s->entry->images;
    tables t = {.path = path, .shard = s};
    for (gri_table k = 0; k < GRI_TABLE_COUNT; k++) {
        gri_table_info info = gri_table_get(k, samples, images);
        GR_TRY(gri_h5_read(h5, info.name, info.type, info.rows, info.columns, &t.data[k],
                           info.rows < 0 ? label_bytes(s, k) : NULL));
        GR_TRY(gri_h5_locate_table(h5, info.name, info.type, info.rows, info.columns,
                                   &s->tables[k]));
    }
    GR_TRY(read_tokens(s, h5, &t));
    GR_TRY(check_offsets(&t, GRI_IMAGE_OFFSETS, images, s->images.size));
    GR_TRY(check_offsets(&t, GRI_TEXT_OFFSETS, samples, s->texts.size));
    GR_TRY(check_offsets(&t, GRI_SAMPLE_IMAGES, samples, images));
    GR_TRY(check_offsets(&t, GRI_SOURCE_OFFSETS, samples, s->sources));
    GR_TRY(check_offsets(&t, GRI_TASK_OFFSETS, samples, s->tasks));
    GR_TRY(check_ids(&t));
done:
    tables_fini(&t);
    return err;
}

static gr_err check_file(const char *path, const gri_shard_entry *entry)
{
    gr_err err = GR_OK;
    struct stat status;
    if (stat(path, &status) != 0) {
        GR_FAIL(errno == ENOENT ? GR_ERR_MISSING : GR_ERR_IO,
                "%s: the manifest names this shard, but: %s", path, strerror(errno));
    }
    if (status.st_size != entry->bytes) {
        GR_FAIL(GR_ERR_DATA,
                "%s: the file has %lld bytes, the manifest says %lld: copy it again from its "
                "source",
                path, (long long)status.st_size, (long long)entry->bytes);
    }
done:
    return err;
}

/// Headers and tables are those that were written. This comes before HDF5 sees the file.
static gr_err check_frame(const char *path, const gri_shard_entry *entry)
{
    gr_err err = GR_OK;
    gr_digest frame = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot open it: %s", path, strerror(errno));
    }
    GR_TRY(gri_shard_frame(fd, path, entry, &frame));
    if (!gr_digest_equal(frame, entry->frame)) {
        GR_TRY(complain(path, "headers and index tables", frame, entry->frame));
    }
done:
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

/// Where the file says that a dataset lies, which the manifest must say, too.
static gr_err locate(gri_h5 *h5, const char *path, const char *name, gri_region said,
                     gri_region *out)
{
    gr_err err = GR_OK;
    GR_TRY(gri_h5_locate(h5, name, &out->offset, &out->size));
    if (out->offset != said.offset || out->size != said.size) {
        GR_FAIL(GR_ERR_DATA,
                "%s: %s has %lld bytes at byte %lld, the manifest says %lld at %lld: they do "
                "not belong together",
                path, name, (long long)out->size, (long long)out->offset, (long long)said.size,
                (long long)said.offset);
    }
done:
    return err;
}

gr_err gri_shard_check(const char *path, gri_shard *shard)
{
    gr_err err = GR_OK;
    gri_h5 *h5 = NULL;
    gri_shard *s = shard;
    GR_TRY(check_file(path, s->entry));
    GR_TRY(check_frame(path, s->entry));
    GR_TRY(gri_h5_open(path, &h5));
    GR_TRY(check_schema(h5, path));
    GR_TRY(locate(h5, path, "image_bytes", s->entry->image_bytes, &s->images));
    GR_TRY(locate(h5, path, "text_bytes", s->entry->text_bytes, &s->texts));
    GR_TRY(check_tables(s, path, h5));
    s->known = true;
done:
    gri_h5_destroy(&h5);
    return err;
}
