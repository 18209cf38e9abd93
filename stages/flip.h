#ifndef STAGES_FLIP_H
#define STAGES_FLIP_H

/// A fault on purpose, to show what notices it: one bit of one number, or the number itself. The environment variable
///   GR_FLIP=gradient:LANE:UPDATE:TENSOR:ELEMENT:WHAT   the lane's gradient, as its backward left it
///   GR_FLIP=loss:LANE:UPDATE:VALUE                     the lane's loss, as its forward left it
///   GR_FLIP=pixels:ID:UPDATE:ELEMENT:VALUE             a number of the pictures of the sample with this content id, whoever shows them
///   GR_FLIP=sum:RANK:UPDATE:TENSOR:ELEMENT:WHAT        the sum over the lanes, on the rank whose range holds the element
///   GR_FLIP=weights:RANK:UPDATE:TENSOR:ELEMENT:WHAT    that rank's copy of the weights, when the update is done
///   GR_FLIP=first:RANK:... and second:RANK:...         AdamW's moments when the update is done, on the rank that holds the element
/// WHAT is a bit, 0 to 31, or a VALUE: nan, inf or -inf. LANE is a number, or @RANK: each lane that this rank computes. UPDATE is the number in
/// metrics.jsonl: the fault happens once; with a + behind it, each time from then on, also where a step is computed again. A
/// warning says when it happens.

#include "datasets/loader.h"
#include "src/base/digest.h"
#include "src/model/params.h"

typedef enum gr_flip_kind {
    GR_FLIP_NONE,
    GR_FLIP_GRADIENT,
    GR_FLIP_LOSS,
    GR_FLIP_PIXELS,
    GR_FLIP_SUM,
    GR_FLIP_WEIGHTS,
    GR_FLIP_FIRST,
    GR_FLIP_SECOND,
    GR_FLIP_KINDS
} gr_flip_kind;

typedef struct gr_flip {
    gr_flip_kind kind;
    int64_t place;          ///< the lane or the rank
    bool of_rank;           ///< a rank, whose lanes are meant
    int64_t update;         ///< the first is 1
    bool again, done;       ///< each time from then on; it happened
    const gr_param *tensor; ///< borrowed from the model
    gr_digest sample;
    int64_t element;
    int bit;      ///< -1: not a bit but the value
    float value;  ///< not finite
    float *shown; ///< owned: the pictures of a microbatch as numbers, with the fault
    int64_t capacity;
} gr_flip;

/// Where something could be flipped. lane -1: in what is no lane's.
typedef struct gr_flip_place {
    int rank;
    int64_t lane, update;
} gr_flip_place;

/// What the environment asks for; GR_FLIP_NONE when it says nothing. A text that makes no sense is GR_ERR_USAGE. End it with
/// gr_flip_fini.
GR_MUST_CHECK gr_err gr_flip_read(const gr_params *params, gr_flip *out);
void gr_flip_fini(gr_flip *flip);
/// Flips when it is time: `values` is the tensor's part, flat.
void gr_flip_apply(gr_flip *flip, gr_flip_kind kind, gr_flip_place at, float *values);
/// The same; `value` is the tensor's element itself.
void gr_flip_number(gr_flip *flip, gr_flip_kind kind, gr_flip_place at, float *value);
void gr_flip_loss(gr_flip *flip, gr_flip_place at, double *loss);
/// *batch, microbatch `number` of the lane, whose pictures are bytes of `side` a side, gets others where the sample's are among them; they
/// are valid until the next call.
GR_MUST_CHECK gr_err gr_flip_pixels(gr_flip *flip, gr_flip_place at, const gr_lane_batch *lane,
                                    int64_t number, int64_t side, gr_batch *batch);

#endif
