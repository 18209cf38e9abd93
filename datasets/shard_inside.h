#ifndef DATASETS_SHARD_INSIDE_H
#define DATASETS_SHARD_INSIDE_H

/// What the loader asks of a data set beyond shard.h. Private to datasets/.

#include "datasets/manifest.h"
#include "datasets/shard.h"

/// Memory that is used for sample after sample; start with a zeroed one. Free with gri_sample_buffer_fini.
typedef struct gri_sample_buffer {
    gr_sample *sample; ///< what was read last; points into the same block
    size_t capacity;   ///< bytes of the block
} gri_sample_buffer;
void gri_sample_buffer_fini(gri_sample_buffer *buffer);

/// Makes sure that the shard of sample `index` is fit to be read. An error here is the shard's, not the sample's.
GR_MUST_CHECK gr_err gri_dataset_check_shard(const gr_dataset *dataset, int64_t index);
/// gr_dataset_read into the buffer, gr_dataset_about into the buffer.
GR_MUST_CHECK gr_err gri_dataset_read(const gr_dataset *dataset, int64_t index,
                                      gri_sample_buffer *buffer);
GR_MUST_CHECK gr_err gri_dataset_read_about(const gr_dataset *dataset, int64_t index,
                                            gri_sample_buffer *buffer);

/// The content id of a sample whose text has this digest: its text may be NULL, its text_size counts.
gr_digest gri_sample_id_known(const gr_sample *sample, gr_digest text);

/// Where a sample lies in its shard, as the index tables say, so that they are asked once: its pictures (their numbers), its text.
typedef struct gri_place {
    gri_region images, text;
} gri_place;
/// The conversation and the pictures' sides, no more: labels, sizes and bytes are NULL, and the content id is not checked.
/// `place` gets where the sample lies.
GR_MUST_CHECK gr_err gri_dataset_read_text(const gr_dataset *dataset, int64_t index,
                                           gri_sample_buffer *buffer, gri_place *place);
/// Which samples of a shard are of the task, of [samples]. Reads the labels' tables once.
GR_MUST_CHECK gr_err gri_dataset_shard_of_task(const gr_dataset *dataset, int64_t shard,
                                               const char *task, bool *of);
/// All but the labels (source and task are NULL), with a check of the content id; `place` is what gri_dataset_read_text
/// found, or NULL.
GR_MUST_CHECK gr_err gri_dataset_read_content(const gr_dataset *dataset, int64_t index,
                                              const gri_place *place,
                                              gri_sample_buffer *buffer);
/// The rest of a sample whose conversation gri_dataset_read_text gave: sizes and bytes of its pictures, the content id checked with
/// `text`, that conversation's digest. Labels, text and the pictures' sides are NULL.
GR_MUST_CHECK gr_err gri_dataset_read_pictures(const gr_dataset *dataset, int64_t index,
                                               const gri_place *place, gr_digest text,
                                               gri_sample_buffer *buffer);

/// Content ids of all samples of shard `shard` into ids[...].
GR_MUST_CHECK gr_err gri_dataset_shard_ids(const gr_dataset *dataset, int64_t shard,
                                           gr_digest *ids);

#endif
