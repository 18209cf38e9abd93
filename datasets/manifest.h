#ifndef DATASETS_MANIFEST_H
#define DATASETS_MANIFEST_H

/// manifest.json of a data set: what makes a folder of shards a data set, written last. Private to datasets/.

#include "src/base/digest.h"
#include "src/base/doc.h"
#include "src/base/json.h"

/// A run of bytes or of entries.
typedef struct gri_region {
    int64_t offset, size;
} gri_region;

typedef struct gri_shard_entry {
    char *name;                     ///< file name, owned
    int64_t samples, images, bytes; ///< bytes of the whole file
    gri_region image_bytes;         ///< where the dataset of this name lies in it
    gri_region text_bytes;
    gr_digest digest; ///< chain over its content ids
    gr_digest frame;  ///< of all its other bytes, see gri_shard_frame
} gri_shard_entry;

typedef struct gri_manifest {
    gri_shard_entry *shards; ///< [capacity], `count` in use
    int64_t count, capacity;
    int64_t samples, images, bytes; ///< sums over the shards
    gr_digest digest;               ///< chain over all content ids
    gr_digest *tokenizers;          ///< [tokenizer_count] whose counts the shards have
    int64_t tokenizer_count;
} gri_manifest;

/// Notes whose token counts the shards have.
GR_MUST_CHECK gr_err gri_manifest_tokenizers(gri_manifest *manifest,
                                             const gr_digest *tokenizers, int64_t count);
/// Appends a copy of the entry and adds to the sums.
GR_MUST_CHECK gr_err gri_manifest_add(gri_manifest *manifest, const gri_shard_entry *entry);
GR_MUST_CHECK gr_err gri_manifest_save(const gri_manifest *manifest, const char *dir);
/// GR_ERR_MISSING if the folder has none; a manifest that contradicts itself is GR_ERR_DATA. `out` must be zeroed.
GR_MUST_CHECK gr_err gri_manifest_load(const char *dir, gri_manifest *out);
void gri_manifest_fini(gri_manifest *manifest);

/// One shard's entry as a map of a document, also used while an import is under way. `name` of what is read is owned by the caller.
void gri_shard_entry_put(gr_json *j, const gri_shard_entry *entry);
GR_MUST_CHECK gr_err gri_shard_entry_get(const gr_node *node, gri_shard_entry *out);
/// A digest as 32 hexadecimal digits under `key`.
GR_MUST_CHECK gr_err gri_digest_get(const gr_node *map, const char *key, gr_digest *out);

/// "DIR/manifest.json" in new memory.
GR_MUST_CHECK gr_err gri_manifest_path(const char *dir, char **out);

#endif
