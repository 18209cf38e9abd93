#ifndef DATASETS_PACK_H
#define DATASETS_PACK_H

/// Samples to packed microbatches: next-fit in order. Private to datasets/.

#include "datasets/loader.h"

/// What a sample becomes: borrowed, and the same for all lanes and threads.
typedef struct gri_pack_rules {
    const gr_tokenizer *tokenizer;
    gr_chat_options chat;
    const gr_vision_config *vision; ///< NULL: no images
    int64_t image_tokens;           ///< of one image, after the pixel shuffle
    int64_t sequence_length, max_images;
} gri_pack_rules;

/// A growable list whose memory stays when it is emptied.
typedef struct gri_ints {
    int32_t *data;
    int64_t count, capacity;
} gri_ints;

/// The microbatches of one lane. Buffers hold the whole lane end to end, grow to the largest lane and are
/// used again; `view` points into them after gri_pack_end.
typedef struct gri_pack {
    gr_lane_batch view;
    gri_ints ids, targets, positions, cu_seqlens, image_rows;
    float *pixels;
    int64_t pixel_capacity; ///< in floats
    int64_t capacity;       ///< of view.batches
} gri_pack;

void gri_pack_begin(gri_pack *pack);
/// Encodes sample `index` and adds it. One that cannot be used is GR_ERR_DATA and named.
GR_MUST_CHECK gr_err gri_pack_add(gri_pack *pack, const gri_pack_rules *rules,
                                  const gr_dataset *dataset, int64_t index);
/// Sets the pointers of the view.
void gri_pack_end(gri_pack *pack, const gri_pack_rules *rules);
void gri_pack_fini(gri_pack *pack);

#endif
