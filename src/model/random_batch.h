#ifndef SRC_MODEL_RANDOM_BATCH_H
#define SRC_MODEL_RANDOM_BATCH_H

/// A batch that means nothing, to time a step with: random pictures, each in a sequence of its own in front of random text.

#include "src/model/model.h"

typedef struct gr_random_batch {
    gr_batch batch;
    int64_t targets; ///< tokens that are predicted
    int32_t *ids, *target_ids, *positions, *cu_seqlens, *image_rows;
    float *pixels;
} gr_random_batch;

/// `images` pictures of the model's size and `tokens` of text beside theirs, spread over the sequences; without images one sequence.
/// A pure function of its arguments. What does not fit the model is GR_ERR_USAGE. End it with gr_random_batch_fini.
GR_MUST_CHECK gr_err gr_random_batch_create(const gr_model_config *config, int64_t images,
                                            int64_t tokens, gr_random_batch *out);
/// May be called on a zeroed struct.
void gr_random_batch_fini(gr_random_batch *batch);

#endif
