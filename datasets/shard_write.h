#ifndef DATASETS_SHARD_WRITE_H
#define DATASETS_SHARD_WRITE_H

/// Writing one shard. Which samples go into which shard is a function of their sizes in order (gri_shard_full), so that shards can be
/// written by different processes. Private to datasets/.

#include "datasets/folder.h"
#include "datasets/manifest.h"
#include "datasets/shard.h"

/// Tokenizers whose counts are stored.
typedef struct gri_counting {
    const gr_tokenizer *const *tokenizers; ///< [count], borrowed
    const gr_digest *digests;              ///< [count]
    int64_t count;
} gri_counting;

/// Whether a sample of `adding` bytes has to begin a new shard after `samples` samples of `held` bytes (images and text). limit 0:
/// the default, 1 GiB.
bool gri_shard_full(int64_t samples, int64_t held, int64_t adding, int64_t limit);
/// Bytes of a sample's images and text.
int64_t gri_sample_bytes(const gr_sample *sample);

typedef struct gri_shard_writer gri_shard_writer;
/// Shard `number` of the data set in the folder; `counting` is borrowed, too.
GR_MUST_CHECK gr_err gri_shard_writer_create(const gri_folder *folder, int64_t number,
                                             const gri_counting *counting,
                                             gri_shard_writer **out);
/// Appends a copy of the sample under this content id.
GR_MUST_CHECK gr_err gri_shard_writer_add(gri_shard_writer *writer, const gr_sample *sample,
                                          gr_digest id);
/// Writes the file aside, syncs it and gives it its name. `entry` borrows its name from the writer.
GR_MUST_CHECK gr_err gri_shard_writer_finish(gri_shard_writer *writer, gri_shard_entry *entry);
/// What was not finished is gone.
void gri_shard_writer_destroy(gri_shard_writer **writer);

/// Tokens of a stored conversation as shard.h defines them.
GR_MUST_CHECK gr_err gri_count_tokens(const gr_tokenizer *tokenizer, const char *text,
                                      size_t size, int64_t *out);

#endif
