#ifndef SRC_MODEL_PARAMS_H
#define SRC_MODEL_PARAMS_H

/// The one flat parameter space: each part's parameters lie end to end, without gaps, in the order
/// of this table. Averaging, clipping, AdamW, checkpoints and digests are loops over ranges of it;
/// none knows what a transformer is.

#include "src/base/names.h"
#include "src/model/config.h"
#include "src/tensor/tensor.h"

typedef enum gr_init_kind {
    GR_INIT_ZERO,
    GR_INIT_ONE,
    GR_INIT_CONSTANT, ///< init_scale
    GR_INIT_NORMAL,   ///< normal, std = init_scale
    GR_INIT_UNIFORM,  ///< uniform in [-init_scale, init_scale)
} gr_init_kind;

typedef struct gr_param {
    /// Canonical: the tensor name in a full SAIL-VL style checkpoint ("vision_model.trunk...").
    char *name;
    gr_part part;
    int ndim;
    int64_t shape[GR_MAX_DIMS];
    int64_t offset; ///< elements, in its part's flat space
    int64_t count;
    bool
        reached; ///< its value changes what the model computes: not in blocks above select_layer
    bool
        decay; ///< weight decay applies: matrices and tables that are reached, not norms and biases
    bool product; ///< products alone read it: in bf16 a pass needs its bf16 copy only
    gr_init_kind init;
    double init_scale;
} gr_param;

typedef struct gr_params {
    gr_param *items; ///< part by part, in order of offset
    int64_t count;
    int64_t first[GR_PART_COUNT + 1]; ///< part p owns items first[p] .. first[p + 1] - 1
    int64_t size[GR_PART_COUNT];      ///< elements of each part's flat space
    gr_names names;                   ///< of the items
} gr_params;

/// Builds the table of a model. Names and shapes: `spec` sections 1.3, 3.2, 4.2.
GR_MUST_CHECK gr_err gr_params_create(const gr_model_config *config, gr_params **out);
void gr_params_destroy(gr_params **params);
/// The parameter of this canonical name, NULL if there is none.
const gr_param *gr_params_find(const gr_params *params, const char *name);
/// Fresh values of one part, a pure function of (seed, name, index): the same on every rank.
void gr_params_init(const gr_params *params, gr_part part, uint64_t seed, float *flat);

#endif
