#ifndef SRC_MODEL_FLOPS_H
#define SRC_MODEL_FLOPS_H

/// How many floating-point operations a training step needs: those of its matrix products, counted
/// from the parameter table, so that no kind of model needs code here.

#include "src/model/params.h"

/// What one step computes.
typedef struct gr_load {
    int64_t images;    ///< each of image_size
    int64_t tokens;    ///< T, image tokens among them
    int64_t sequences; ///< packed in a row of T, of T / sequences tokens each
    int64_t targets;   ///< positions with a loss
} gr_load;

typedef struct gr_step_flops {
    double forward, backward;
} gr_step_flops;

/// A multiplication and an addition are two operations. N rows through a weight of I x O numbers:
///   forward 2 N I O; backward 2 N I O for the input's gradient where one is needed (not for patches) and
///   2 N I O for the weight's where its part trains.
/// N is images x tokens in the vision part, images x image tokens in the connector, T in the language model,
/// the targets for its output projection. Tables that are only read (embeddings, positions) cost nothing.
/// Attention, per block of width W = heads x head size and per sequence of L tokens: forward 4 W P, backward
/// 8 W P, where P is the number of pairs that see each other: L L, or L (L + 1) / 2 when causal. What
/// backward computes a second time is not counted.
gr_step_flops gr_model_flops(const gr_model_config *c, const gr_params *params,
                             const gr_load *load, gr_part_set train);

/// Whether this parameter is a matrix that rows are multiplied with (and not a table).
bool gr_param_multiplies(const gr_param *p);
/// Rows that pass through it.
int64_t gr_load_rows(const gr_model_config *c, const gr_load *load, const gr_param *p);

#endif
