#ifndef SRC_CLI_STEP_BATCH_H
#define SRC_CLI_STEP_BATCH_H

/// The batch file of `gradus debug step` as the model takes it: labels shifted to targets inside each
/// sequence, positions restarted, the rows of image tokens found by their id.

#include "src/model/model.h"

typedef struct gri_step_batch {
    gr_batch batch;      ///< points into the buffers below
    int64_t targets;     ///< how many positions carry loss
    int32_t *ids;        ///< [T]
    int32_t *target_ids; ///< [T]
    int32_t *positions;  ///< [T]
    int32_t *cu_seqlens; ///< [S + 1]
    int32_t *image_rows; ///< [positions whose id is the image token]
    float *pixels;       ///< [images, 3, H, W]
} gri_step_batch;

/// Reads and checks the file; `image_token` (-1: none) is the id that images replace. Errors are GR_ERR_DATA and
/// name the file, the tensor, expected and got.
GR_MUST_CHECK gr_err gri_step_batch_read(const char *path, const gr_model_config *config,
                                         int64_t image_token, gri_step_batch *out);
void gri_step_batch_fini(gri_step_batch *b);

#endif
