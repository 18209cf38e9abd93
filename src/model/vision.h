#ifndef SRC_MODEL_VISION_H
#define SRC_MODEL_VISION_H

/// Private to the room: the vision encoder. patches -> linear (-> norm) (-> class token in front) ->
/// + positions -> blocks (-> norm). Each image attends to itself. What stands in brackets is there when the
/// architecture has its tensors.
///
/// Learned positions are stored for one grid; for another they are resized bicubically, and their
/// gradient goes back through the same map. A class token has a position of its own, which is never resized,
/// and is no feature: it is dropped at the end.

#include "src/model/course.h"
#include "src/model/layer.h"
#include "src/model/model.h"

typedef struct gri_vision {
    const gr_vision_config *config; ///< borrowed
    gri_linear patch;
    gri_norm patch_norm, final_norm;
    gri_weight class_token; ///< [1, D]
    gri_weight positions;   ///< [(1 +) patches of the stored grid, D]
    gri_stack stack;
    bool unnormed; ///< leave out the final norm
} gri_vision;

/// Pictures as patchify takes them (src/ops/rearrange.h), and their sides.
typedef struct gri_pictures {
    gr_tensor pixels;
    const float (*table)[256];
    int64_t count, height, width;
} gri_pictures;
gri_pictures gri_pictures_of(gr_pixels pixels, int64_t count, int64_t channels, int64_t height,
                             int64_t width);

/// What backward needs, in the arena; the pixels stay the caller's.
typedef struct gri_vision_kept {
    bool drop_path;        ///< leave out branches as the config says; set by the caller, with
    uint64_t seed, stream; ///< the names of its random numbers
    gri_pictures pictures;
    gr_tensor embedded; ///< [images * patches, D]: before the patch norm
    gri_norm_kept n0;
    gri_sequences seq;
    gri_block_kept *blocks;
    gr_tensor last; ///< [images * (patches (+ 1)), D]: what the blocks give
    gri_norm_kept n;
} gri_vision_kept;

GR_MUST_CHECK gr_err gri_vision_bind(const gr_model_config *config, const gr_params *params,
                                     gri_course *course, gri_vision *out);
void gri_vision_fini(gri_vision *v);

/// features [images * patches, D]. Without `kept` (NULL) images pass in
/// small groups that use the same memory one after another.
void gri_vision_fwd(gr_exec *ex, const gri_vision *v, gri_pictures pictures, gr_tensor features,
                    gri_vision_kept *kept);
/// Adds all weight gradients. Spoils `kept`.
void gri_vision_bwd(gr_exec *ex, const gri_vision *v, const gri_vision_kept *kept,
                    gr_tensor dfeatures, float *grads);

/// For the tables of architectures: a slot of gri_vision.
#define GRI_VISION(member) offsetof(gri_vision, member)

#endif
