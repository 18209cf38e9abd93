#ifndef SRC_MODEL_FORWARD_H
#define SRC_MODEL_FORWARD_H

/// Private to the room: what a model holds, and the pieces of its forward pass that loss, trace and
/// generation put together.

#include "src/model/connector.h"
#include "src/model/course.h"
#include "src/model/language.h"
#include "src/model/model.h"
#include "src/model/vision.h"

struct gr_model {
    gr_model_config config;
    gr_exec *ex; ///< borrowed
    gr_params *params;
    gr_precision precision; ///< of ex when the model was made: what its layers are bound to
    gri_course course[GR_PART_COUNT]; ///< of each part, with its weights
    gri_vision vision;
    gri_connector connector;
    gri_language language;
};

bool gri_has_part(const gr_model *model, gr_part part);

/// Side lengths of the batch's pictures: its own, or the model's image_size; and their grid.
void gri_picture_size(const gr_model *model, const gr_batch *batch, int64_t *height,
                      int64_t *width);
gr_grid gri_batch_grid(const gr_model *model, const gr_batch *batch);

/// Refuses a model that cannot run as its context is now (GR_ERR_USAGE). What computes with a model asks first.
GR_MUST_CHECK gr_err gri_model_check(const gr_model *model);

/// Refuses a batch that does not fit the model (GR_ERR_DATA, naming the position); targets are looked
/// at only when `with_targets`. Without a language model only the absence of tokens is checked.
GR_MUST_CHECK gr_err gri_batch_check(const gr_model *model, const gr_batch *batch,
                                     bool with_targets);

/// Vision features [images * tokens, C] and connector outputs [M, width] of a batch; what is kept stays
/// in the arena behind them. Absent when the batch has no images.
typedef struct gri_images {
    gr_tensor features, outputs;
    gri_vision_kept vision;
    gri_connector_kept connector;
} gri_images;

/// The features as [images, rows, columns, C].
gr_tensor gri_as_grid(const gr_model *model, const gr_batch *batch, gr_tensor features);

/// Takes both matrices from the arena and fills them; outputs only when the model has a connector.
void gri_images_fwd(const gr_model *model, const gr_batch *batch, bool keep_vision,
                    bool keep_connector, gri_images *out);

/// The language model's input; ids with -1 at image rows are taken from the arena.
gri_language_input gri_language_input_take(const gr_model *model, const gr_batch *batch,
                                           gr_tensor outputs);

#endif
