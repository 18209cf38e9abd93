#include "datasets/shard_check.h"

#include "datasets/frame.h"
#include "src/base/file.h"
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

/// A shard's headers and index tables in memory while they are checked.
typedef struct checking {
    const char *path;
    gri_shard *shard;
    gri_frame frame;
    const unsigned char *tables[GRI_TABLE_COUNT]; ///< inside the frame, at any address
} checking;

/// Where the size of a table of labels is kept.
static int64_t *label_bytes(gri_shard *s, gri_table table)
{
    return table == GRI_TASK_BYTES ? &s->tasks : &s->sources;
}

/// Offsets must start at 0, never fall, and end at the size of what they cut.
static gr_err check_offsets(const checking *c, gri_table table, int64_t count, int64_t size)
{
    gr_err err = GR_OK;
    const char *name = gri_table_get(table, 0, 0).name;
    uint64_t before = 0;
    for (int64_t i = 0; i <= count; i++) {
        uint64_t at = 0;
        memcpy(&at, c->tables[table] + i * (int64_t)sizeof at, sizeof at);
        if (at < before || (i == 0 && at != 0)) {
            GR_FAIL(GR_ERR_DATA, "%s: %s[%lld] is %llu, expected %s %llu", c->path, name,
                    (long long)i, (unsigned long long)at, i ? "at least" : "exactly",
                    (unsigned long long)before);
        }
        before = at;
    }
    if (before != (uint64_t)size) {
        GR_FAIL(GR_ERR_DATA, "%s: %s ends at %llu, but there are %lld to cut", c->path, name,
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
static gr_err check_ids(const checking *c)
{
    gr_err err = GR_OK;
    const gri_shard_entry *entry = c->shard->entry;
    gr_digest ids = {0};
    for (int64_t i = 0; i < entry->samples; i++) {
        gr_digest id;
        memcpy(&id, c->tables[GRI_CONTENT_ID] + i * (int64_t)sizeof id, sizeof id);
        ids = gri_digest_link_id(ids, id);
    }
    if (!gr_digest_equal(ids, entry->digest)) {
        GR_TRY(complain(c->path, "content ids", ids, entry->digest));
    }
done:
    return err;
}

/// Where the counts of each tokenizer lie.
static gr_err locate_tokens(gri_shard *s, gri_h5 *h5)
{
    gr_err err = GR_OK;
    const gri_manifest *manifest = s->manifest;
    char name[GRI_TOKENS_NAME];
    GR_FREE(s->tokens); // of an earlier try
    GR_ALLOC(s->tokens, manifest->tokenizer_count);
    for (int64_t k = 0; k < manifest->tokenizer_count; k++) {
        gri_tokens_name(manifest->tokenizers[k], name);
        GR_TRY(gri_h5_locate_table(h5, name, GRI_H5_I32, s->entry->samples, 0, &s->tokens[k]));
    }
done:
    return err;
}

/// Where an index table lies, in the file and in the frame.
static gr_err locate_table(checking *c, gri_h5 *h5, gri_table table)
{
    gr_err err = GR_OK;
    gri_shard *s = c->shard;
    const gri_table_info info = gri_table_get(table, s->entry->samples, s->entry->images);
    gri_region region = {0};
    if (info.rows < 0) {
        GR_TRY(gri_h5_locate(h5, info.name, &region.offset, &region.size));
        *label_bytes(s, table) = region.size;
    } else {
        region.size = info.rows * (int64_t)info.row_size;
        GR_TRY(gri_h5_locate_table(h5, info.name, info.type, info.rows, info.columns,
                                   &region.offset));
    }
    c->tables[table] = gri_frame_at(&c->frame, region);
    if (!c->tables[table]) {
        GR_FAIL(GR_ERR_DATA,
                "%s: %s (%lld bytes at byte %lld) lies among the bytes of pictures or texts",
                c->path, info.name, (long long)region.size, (long long)region.offset);
    }
    s->tables[table] = region.offset;
done:
    return err;
}

/// Finds all index tables, checks them, and keeps where they are.
static gr_err check_tables(checking *c, gri_h5 *h5)
{
    gr_err err = GR_OK;
    gri_shard *s = c->shard;
    int64_t samples = s->entry->samples, images = s->entry->images;
    for (gri_table k = 0; k < GRI_TABLE_COUNT; k++) {
        GR_TRY(locate_table(c, h5, k));
    }
    GR_TRY(locate_tokens(s, h5));
    GR_TRY(check_offsets(c, GRI_IMAGE_OFFSETS, images, s->images.size));
    GR_TRY(check_offsets(c, GRI_TEXT_OFFSETS, samples, s->texts.size));
    GR_TRY(check_offsets(c, GRI_SAMPLE_IMAGES, samples, images));
    GR_TRY(check_offsets(c, GRI_SOURCE_OFFSETS, samples, s->sources));
    GR_TRY(check_offsets(c, GRI_TASK_OFFSETS, samples, s->tasks));
    GR_TRY(check_ids(c));
done:
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

/// Reads headers and tables, which must be those that were written. This comes before HDF5 sees the file.
static gr_err read_frame(const char *path, const gri_shard_entry *entry, gri_frame *frame)
{
    gr_err err = GR_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        GR_FAIL(gr_file_open_code(), "%s: cannot open it: %s", path, strerror(errno));
    }
    GR_TRY(gri_frame_read(fd, path, entry, frame));
    if (!gr_digest_equal(frame->digest, entry->frame)) {
        GR_TRY(complain(path, "headers and index tables", frame->digest, entry->frame));
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
    checking c = {.path = path, .shard = shard};
    GR_TRY(check_file(path, s->entry));
    GR_TRY(read_frame(path, s->entry, &c.frame));
    GR_TRY(gri_h5_open(path, &h5));
    GR_TRY(check_schema(h5, path));
    GR_TRY(locate(h5, path, "image_bytes", s->entry->image_bytes, &s->images));
    GR_TRY(locate(h5, path, "text_bytes", s->entry->text_bytes, &s->texts));
    GR_TRY(check_tables(&c, h5));
    s->known = true;
done:
    gri_h5_destroy(&h5);
    gri_frame_fini(&c.frame);
    return err;
}
