#ifndef SRC_MODEL_CONNECTOR_H
#define SRC_MODEL_CONNECTOR_H

/// Private to the room: pixel shuffle by 2, LayerNorm, linear, GELU, linear (`mlp1`).

#include "src/model/course.h"
#include "src/model/layer.h"

typedef struct gri_connector {
    double eps;
    bool by_column;     ///< order of the tokens
    gri_course *course; ///< borrowed
    gri_norm norm;
    gri_linear first, second;
} gri_connector;

/// What backward needs, in the arena.
typedef struct gri_connector_kept {
    gr_tensor shuffled; ///< [M, 4 C]
    gri_norm_kept n;
    gr_tensor z; ///< [M, width]: before the GELU
} gri_connector_kept;

void gri_connector_bind(const gr_model_config *config, const gr_params *params,
                        gri_course *course, gri_connector *out);
/// y [M, width] from features [images, rows, columns, C], M a quarter of the tokens. Without `kept` (NULL)
/// nothing stays in the arena.
void gri_connector_fwd(gr_exec *ex, const gri_connector *c, gr_tensor features, gr_tensor y,
                       gri_connector_kept *kept);
/// Adds weight gradients unless grads is NULL; overwrites dfeatures (shaped like features) unless absent.
void gri_connector_bwd(gr_exec *ex, const gri_connector *c, const gri_connector_kept *kept,
                       int64_t images, gr_tensor dy, float *grads, gr_tensor dfeatures);

#endif
