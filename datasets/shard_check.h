#ifndef DATASETS_SHARD_CHECK_H
#define DATASETS_SHARD_CHECK_H

/// What a data set knows of a shard, and the check that comes before. Private to datasets/.

#include "datasets/manifest.h"
#include "datasets/shard_format.h"

#include <pthread.h>

/// What is known of a shard once it was checked: where all of it lies in the file.
typedef struct gri_shard {
    const gri_shard_entry *entry; ///< in the manifest
    int64_t first;                ///< index of its first sample in the data set
    pthread_mutex_t lock; ///< guards all below while it is being filled; it stays after that
    bool known;
    gri_region images, texts;
    int64_t sources; ///< bytes of source_bytes
    int64_t tasks;   ///< bytes of task_bytes
    const gri_manifest *manifest;
    int64_t *tokens; ///< [manifest->tokenizer_count]: file offsets of the counts; owned
    int64_t tables[GRI_TABLE_COUNT]; ///< file offsets
} gri_shard;

/// Checks size, digests, schema and index tables of the shard at `path` and fills in what is known of it. The tables are in
/// memory only as long as this takes.
GR_MUST_CHECK gr_err gri_shard_check(const char *path, gri_shard *shard);

#endif
