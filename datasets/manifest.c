#include "datasets/manifest.h"

#include "src/base/file.h"
#include "src/base/mem.h"

#include <string.h>

#define SCHEMA "gradus-dataset"
enum { VERSION = 3 };

gr_err gri_manifest_path(const char *dir, char **out)
{
    return gr_path_join(dir, "manifest.json", out);
}

/// Whether shards come in the order of their names, in which they were written: shard-99999 before shard-100000.
static bool in_order(const char *before, const char *name)
{
    const size_t a = strlen(before), b = strlen(name);
    return a != b ? a < b : strcmp(before, name) < 0;
}

gr_err gri_manifest_tokenizers(gri_manifest *manifest, const gr_digest *tokenizers,
                               int64_t count)
{
    gr_err err = GR_OK;
    GR_ASSERT(!manifest->tokenizers);
    GR_ALLOC(manifest->tokenizers, count);
    if (count > 0) {
        memcpy(manifest->tokenizers, tokenizers, (size_t)count * sizeof *tokenizers);
    }
    manifest->tokenizer_count = count;
done:
    return err;
}

gr_err gri_manifest_add(gri_manifest *manifest, const gri_shard_entry *entry)
{
    gr_err err = GR_OK;
    if (manifest->count == manifest->capacity) {
        int64_t capacity = manifest->capacity ? 2 * manifest->capacity : 16;
        GR_RESIZE(manifest->shards, manifest->capacity, capacity);
        manifest->capacity = capacity;
    }
    gri_shard_entry copy = *entry;
    GR_STRDUP(copy.name, entry->name);
    manifest->shards[manifest->count++] = copy;
    manifest->samples += entry->samples;
    manifest->images += entry->images;
    manifest->bytes += entry->bytes;
done:
    return err;
}

void gri_manifest_fini(gri_manifest *manifest)
{
    for (int64_t i = 0; i < manifest->count; i++) {
        GR_FREE(manifest->shards[i].name);
    }
    GR_FREE(manifest->shards);
    GR_FREE(manifest->tokenizers);
    *manifest = (gri_manifest){0};
}

void gri_shard_entry_put(gr_json *j, const gri_shard_entry *shard)
{
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "name", shard->name);
    gr_json_int(j, "samples", shard->samples);
    gr_json_int(j, "images", shard->images);
    gr_json_int(j, "bytes", shard->bytes);
    gr_json_digest(j, "digest", shard->digest);
    gr_json_digest(j, "frame", shard->frame);
    gr_json_int(j, "image_offset", shard->image_bytes.offset);
    gr_json_int(j, "image_bytes", shard->image_bytes.size);
    gr_json_int(j, "text_offset", shard->text_bytes.offset);
    gr_json_int(j, "text_bytes", shard->text_bytes.size);
    gr_json_map_end(j);
}

gr_err gri_manifest_save(const gri_manifest *manifest, const char *dir)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 1};
    char *path = NULL;
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "schema", SCHEMA);
    gr_json_int(&j, "version", VERSION);
    gr_json_string(&j, "creator", "gradus " GRADUS_VERSION);
    gr_json_int(&j, "samples", manifest->samples);
    gr_json_int(&j, "images", manifest->images);
    gr_json_int(&j, "bytes", manifest->bytes);
    gr_json_digest(&j, "digest", manifest->digest);
    gr_json_list_begin(&j, "tokenizers");
    for (int64_t i = 0; i < manifest->tokenizer_count; i++) {
        gr_json_digest(&j, NULL, manifest->tokenizers[i]);
    }
    gr_json_list_end(&j);
    gr_json_list_begin(&j, "shards");
    for (int64_t i = 0; i < manifest->count; i++) {
        gri_shard_entry_put(&j, &manifest->shards[i]);
    }
    gr_json_list_end(&j);
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gri_manifest_path(dir, &path));
    GR_TRY(gr_file_write(path, j.text.data, j.text.size));
done:
    GR_FREE(path);
    gr_json_fini(&j);
    return err;
}

static gr_err read_digest(const gr_node *node, gr_digest *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_expect(node, GR_DOC_STRING));
    if (gr_digest_parse(node->u.string.data, out) != GR_OK) {
        GR_TRY(gr_node_error(node, "expected 32 hexadecimal digits, got \"%s\"",
                             node->u.string.data));
    }
done:
    return err;
}

gr_err gri_digest_get(const gr_node *map, const char *key, gr_digest *out)
{
    gr_err err = GR_OK;
    const char *text = NULL;
    GR_TRY(gr_node_get_string(map, key, &text));
    GR_TRY(read_digest(gr_node_find(map, key), out));
done:
    return err;
}

/// Where a dataset lies in a file of `bytes` bytes.
static gr_err read_region(const gr_node *node, const char *offset, const char *size,
                          int64_t bytes, gri_region *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_get_int(node, offset, 0, bytes, &out->offset));
    GR_TRY(gr_node_get_int(node, size, 0, bytes - out->offset, &out->size));
done:
    return err;
}

gr_err gri_shard_entry_get(const gr_node *node, gri_shard_entry *out)
{
    static const char *const keys[] = {
        "name",         "samples",     "images",      "bytes",      "digest", "frame",
        "image_offset", "image_bytes", "text_offset", "text_bytes", NULL};
    gr_err err = GR_OK;
    gri_shard_entry entry = {0};
    const char *name = NULL;
    GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    GR_TRY(gr_node_check_keys(node, keys));
    GR_TRY(gr_node_get_string(node, "name", &name));
    if (!*name || strchr(name, '/')) {
        GR_TRY(gr_node_error(gr_node_find(node, "name"), "\"%s\" is no file name", name));
    }
    GR_TRY(gr_node_get_int(node, "samples", 1, INT64_MAX / 64, &entry.samples));
    GR_TRY(gr_node_get_int(node, "images", 0, INT64_MAX / 64, &entry.images));
    GR_TRY(gr_node_get_int(node, "bytes", 1, INT64_MAX / 64, &entry.bytes));
    GR_TRY(gri_digest_get(node, "digest", &entry.digest));
    GR_TRY(gri_digest_get(node, "frame", &entry.frame));
    GR_TRY(read_region(node, "image_offset", "image_bytes", entry.bytes, &entry.image_bytes));
    GR_TRY(read_region(node, "text_offset", "text_bytes", entry.bytes, &entry.text_bytes));
    GR_STRDUP(entry.name, name);
    *out = entry;
done:
    return err;
}

static gr_err read_shard(const gr_node *node, gri_manifest *out)
{
    gr_err err = GR_OK;
    gri_shard_entry entry = {0};
    GR_TRY(gri_shard_entry_get(node, &entry));
    GR_TRY(gri_manifest_add(out, &entry));
done:
    GR_FREE(entry.name);
    return err;
}

static gr_err read_tokenizers(const gr_node *root, gri_manifest *out)
{
    gr_err err = GR_OK;
    const gr_node *list = NULL;
    GR_TRY(gr_node_get_list(root, "tokenizers", &list));
    GR_TRY(gri_manifest_tokenizers(out, NULL, 0));
    GR_RESIZE(out->tokenizers, 0, list->u.list.count);
    for (int64_t i = 0; i < list->u.list.count; i++) {
        GR_TRY(read_digest(&list->u.list.items[i], &out->tokenizers[i]));
    }
    out->tokenizer_count = list->u.list.count;
done:
    return err;
}

static gr_err check_sum(const gr_node *root, const char *key, int64_t sum)
{
    gr_err err = GR_OK;
    int64_t stated = 0;
    GR_TRY(gr_node_get_int(root, key, 0, INT64_MAX, &stated));
    if (stated != sum) {
        GR_TRY(gr_node_error(gr_node_find(root, key), "the shards sum up to %lld, not %lld",
                             (long long)sum, (long long)stated));
    }
done:
    return err;
}

/// A shard that is listed twice would give its samples twice; entries that changed places, other samples for the same positions.
static gr_err check_names(const gr_node *list, const gri_manifest *manifest)
{
    gr_err err = GR_OK;
    for (int64_t i = 1; i < manifest->count; i++) {
        const char *before = manifest->shards[i - 1].name, *name = manifest->shards[i].name;
        if (!in_order(before, name)) {
            GR_TRY(gr_node_error(list,
                                 "%s is listed behind %s: shards stand in the order of their "
                                 "names, each once",
                                 name, before));
        }
    }
done:
    return err;
}

static gr_err read_manifest(const gr_node *root, gri_manifest *out)
{
    static const char *const keys[] = {"schema", "version", "creator",    "samples", "images",
                                       "bytes",  "digest",  "tokenizers", "shards",  NULL};
    gr_err err = GR_OK;
    const char *schema = NULL;
    const gr_node *shards = NULL;
    int64_t version = 0;
    GR_TRY(gr_node_expect(root, GR_DOC_MAP));
    GR_TRY(gr_node_get_string(root, "schema", &schema));
    GR_TRY(gr_node_get_int(root, "version", 0, INT64_MAX, &version));
    if (strcmp(schema, SCHEMA) != 0 || version != VERSION) {
        GR_TRY(gr_node_error(root,
                             "schema %s version %lld, this program reads %s version %d; make "
                             "the data set again from its source, or take the program that "
                             "made it",
                             schema, (long long)version, SCHEMA, VERSION));
    }
    GR_TRY(gr_node_check_keys(root, keys));
    GR_TRY(gri_digest_get(root, "digest", &out->digest));
    GR_TRY(read_tokenizers(root, out));
    GR_TRY(gr_node_get_list(root, "shards", &shards));
    for (int64_t i = 0; i < shards->u.list.count; i++) {
        GR_TRY(read_shard(&shards->u.list.items[i], out));
    }
    GR_TRY(check_names(shards, out));
    GR_TRY(check_sum(root, "samples", out->samples));
    GR_TRY(check_sum(root, "images", out->images));
    GR_TRY(check_sum(root, "bytes", out->bytes));
done:
    return err;
}

gr_err gri_manifest_load(const char *dir, gri_manifest *out)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_doc *doc = NULL;
    GR_TRY(gri_manifest_path(dir, &path));
    if (!gr_dir_exists(dir)) {
        GR_FAIL(GR_ERR_MISSING, "%s: %s", dir,
                gr_file_exists(dir) ? "is a file, expected the folder of a data set"
                                    : "there is no such folder: expected a data set");
    }
    if (!gr_file_exists(path)) {
        GR_FAIL(
            GR_ERR_MISSING,
            "%s is no data set: it has no manifest.json (an import that did not finish leaves "
            "none)",
            dir);
    }
    GR_TRY(gr_doc_load(path, GR_ERR_DATA, &doc));
    GR_TRY(read_manifest(gr_doc_root(doc), out));
done:
    if (err != GR_OK) {
        gri_manifest_fini(out);
    }
    gr_doc_destroy(&doc);
    GR_FREE(path);
    return err;
}
