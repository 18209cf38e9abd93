#ifndef STAGES_PLAN_BATCH_H
#define STAGES_PLAN_BATCH_H

/// A microbatch of a given shape that means nothing, inside this room: to count a pass of, or to time one.

#include "src/model/model.h"

typedef struct gri_plan_batch {
    gr_batch batch; ///< without pixels
    int32_t *ids, *targets, *positions, *cu_seqlens, *image_rows;
    int64_t tokens, sequences, rows; ///< of the arrays
} gri_plan_batch;

/// `lengths` [sequences] add up to the tokens; the first rows are those of images, the last `targets` of the others have targets. Takes
/// memory only where the batch is larger than those before. `batch` begins zeroed.
GR_MUST_CHECK gr_err gri_plan_batch_fill(const gr_model_config *config, int64_t images,
                                         int64_t targets, const int64_t *lengths,
                                         int64_t sequences, gri_plan_batch *batch);
void gri_plan_batch_fini(gri_plan_batch *batch);

#endif
