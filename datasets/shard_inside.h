#ifndef DATASETS_SHARD_INSIDE_H
#define DATASETS_SHARD_INSIDE_H

/// What the loader asks of a data set beyond shard.h. Private to datasets/.

#include "datasets/shard.h"

/// Memory that is used for sample after sample; start with a zeroed one. Free with gri_sample_buffer_fini.
typedef struct gri_sample_buffer {
    gr_sample *sample; ///< what was read last; points into the same block
    size_t capacity;   ///< bytes of the block
} gri_sample_buffer;
void gri_sample_buffer_fini(gri_sample_buffer *buffer);

/// Makes sure that the shard of sample `index` is fit to be read. An error here is the shard's, not the sample's.
GR_MUST_CHECK gr_err gri_dataset_check_shard(const gr_dataset *dataset, int64_t index);
/// gr_dataset_read into the buffer.
GR_MUST_CHECK gr_err gri_dataset_read(const gr_dataset *dataset, int64_t index,
                                      gri_sample_buffer *buffer);
/// The same without the pictures' bytes (sample->image is NULL) and so without a check of the content id.
GR_MUST_CHECK gr_err gri_dataset_read_text(const gr_dataset *dataset, int64_t index,
                                           gri_sample_buffer *buffer);

/// Content ids of all samples of shard `shard` into ids[...].
GR_MUST_CHECK gr_err gri_dataset_shard_ids(const gr_dataset *dataset, int64_t shard,
                                           gr_digest *ids);

#endif
