#ifndef STAGES_FLIP_H
#define STAGES_FLIP_H

/// A fault on purpose, to show what notices it: one bit of one number, flipped once. The environment variable
///   GR_FLIP=gradient:LANE:UPDATE:TENSOR:ELEMENT:BIT   the lane's gradient, as its backward left it
///   GR_FLIP=sum:RANK:UPDATE:TENSOR:ELEMENT:BIT        the sum over the lanes, on the rank whose range holds the element
///   GR_FLIP=weights:RANK:UPDATE:TENSOR:ELEMENT:BIT    that rank's copy of the weights, when the update is done
/// UPDATE is the number in metrics.jsonl. A warning says when it happens.

#include "src/model/params.h"

typedef enum gr_flip_kind {
    GR_FLIP_NONE,
    GR_FLIP_GRADIENT,
    GR_FLIP_SUM,
    GR_FLIP_WEIGHTS
} gr_flip_kind;

typedef struct gr_flip {
    gr_flip_kind kind;
    int64_t place;          ///< the lane or the rank
    int64_t update;         ///< the first is 1
    const gr_param *tensor; ///< borrowed from the model
    int64_t element;
    int bit;
} gr_flip;

/// What the environment asks for; GR_FLIP_NONE when it says nothing. A text that makes no sense is GR_ERR_USAGE.
GR_MUST_CHECK gr_err gr_flip_read(const gr_params *params, gr_flip *out);
/// Flips when it is time: `values` is the tensor's part, flat.
void gr_flip_apply(const gr_flip *flip, gr_flip_kind kind, int64_t place, int64_t update,
                   float *values);

#endif
