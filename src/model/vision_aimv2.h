#ifndef SRC_MODEL_VISION_AIMV2_H
#define SRC_MODEL_VISION_AIMV2_H

/// Private to the room: the AIMv2 (SAILViT) vision encoder.
/// patches -> linear -> RMSNorm -> + positions -> blocks -> RMSNorm. Each image attends to itself.
/// Source: Fini et al. 2024 (AIMv2), arXiv 2411.14402.

#include "src/model/layer.h"

typedef struct gri_vision {
    const gr_vision_config *config; ///< borrowed
    gri_linear patch;
    gri_weight patch_norm, positions, final_norm;
    gri_stack stack;
} gri_vision;

/// What backward needs, in the arena; the pixels stay the caller's.
typedef struct gri_vision_kept {
    gr_tensor pixels;
    gr_tensor embedded, r0; ///< [T, D] and [T]: before the patch norm
    gri_sequences seq;
    gri_block_kept *blocks;
    gr_tensor last, r; ///< [T, D] and [T]: before the final norm
} gri_vision_kept;

GR_MUST_CHECK gr_err gri_vision_bind(const gr_vision_config *config, const gr_params *params,
                                     float *weights, gri_vision *out);
void gri_vision_fini(gri_vision *v);

/// features [images * tokens, D] from pixels [images, 3, S, S]. Without `kept` (NULL) images pass in
/// small groups that use the same memory one after another.
void gri_vision_fwd(gr_exec *ex, const gri_vision *v, const float *pixels, int64_t images,
                    gr_tensor features, gri_vision_kept *kept);
/// Adds all weight gradients. Spoils `kept`.
void gri_vision_bwd(gr_exec *ex, const gri_vision *v, const gri_vision_kept *kept,
                    gr_tensor dfeatures, float *grads);

#endif
