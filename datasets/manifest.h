#ifndef DATASETS_MANIFEST_H
#define DATASETS_MANIFEST_H

/// manifest.json of a data set: what makes a folder of shards a data set, written last. Private to datasets/.

#include "src/base/digest.h"

typedef struct gri_shard_entry {
    char *name;                     ///< file name, owned
    int64_t samples, images, bytes; ///< bytes of the whole file
    gr_digest digest;               ///< chain over its content ids
    gr_digest tables;               ///< chain over its index tables
} gri_shard_entry;

typedef struct gri_manifest {
    gri_shard_entry *shards; ///< [capacity], `count` in use
    int64_t count, capacity;
    int64_t samples, images, bytes; ///< sums over the shards
    gr_digest digest;               ///< chain over all content ids
} gri_manifest;

/// Appends a copy of the entry and adds to the sums.
GR_MUST_CHECK gr_err gri_manifest_add(gri_manifest *manifest, const gri_shard_entry *entry);
GR_MUST_CHECK gr_err gri_manifest_save(const gri_manifest *manifest, const char *dir);
/// GR_ERR_MISSING if the folder has none; a manifest that contradicts itself is GR_ERR_DATA. `out` must be zeroed.
GR_MUST_CHECK gr_err gri_manifest_load(const char *dir, gri_manifest *out);
void gri_manifest_fini(gri_manifest *manifest);

/// "DIR/manifest.json" in new memory.
GR_MUST_CHECK gr_err gri_manifest_path(const char *dir, char **out);

#endif
