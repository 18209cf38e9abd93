#ifndef SRC_OPS_OPS_H
#define SRC_OPS_OPS_H

/// The operations a model is made of: one table per device. Each entry's contract stands in the
/// header of its operation; the CPU twin NAME_cpu is the truth that other devices are tested with.
///
/// Common rules: views are checked once at entry (a mismatch is our own bug: GR_ASSERT);
/// operations return when finished; N rows of zero length work; results do not depend on
/// ex->threads. Gradients of parameters are ADDED to (+=); gradients of inputs are overwritten
/// unless the entry says otherwise.

#include "src/ops/attention.h"
#include "src/ops/elementwise.h"
#include "src/ops/embedding.h"
#include "src/ops/linear.h"
#include "src/ops/loss.h"
#include "src/ops/norm.h"
#include "src/ops/rearrange.h"

/// X(name): entry `name`, CPU function gr_NAME_cpu of type gr_NAME_fn.
#define GR_OPS_LIST(X)                                                                         \
    X(linear_fwd)                                                                              \
    X(linear_bwd_input)                                                                        \
    X(linear_bwd_weight)                                                                       \
    X(rmsnorm_fwd)                                                                             \
    X(rmsnorm_bwd)                                                                             \
    X(layernorm_fwd)                                                                           \
    X(layernorm_bwd)                                                                           \
    X(head_rmsnorm_fwd)                                                                        \
    X(head_rmsnorm_bwd)                                                                        \
    X(round)                                                                                   \
    X(add)                                                                                     \
    X(swiglu_fwd)                                                                              \
    X(swiglu_bwd)                                                                              \
    X(gelu_fwd)                                                                                \
    X(gelu_bwd)                                                                                \
    X(gelu_tanh_fwd)                                                                           \
    X(gelu_tanh_bwd)                                                                           \
    X(rows_scale)                                                                              \
    X(layer_scale_fwd)                                                                         \
    X(layer_scale_bwd)                                                                         \
    X(rope_fwd)                                                                                \
    X(rope_bwd)                                                                                \
    X(attention_fwd)                                                                           \
    X(attention_bwd)                                                                           \
    X(embedding_fwd)                                                                           \
    X(embedding_bwd)                                                                           \
    X(positions_fwd)                                                                           \
    X(positions_bwd)                                                                           \
    X(resize_fwd)                                                                              \
    X(resize_bwd)                                                                              \
    X(prepend_fwd)                                                                             \
    X(prepend_bwd)                                                                             \
    X(patchify)                                                                                \
    X(pixel_shuffle_fwd)                                                                       \
    X(pixel_shuffle_bwd)                                                                       \
    X(rows_copy)                                                                               \
    X(rows_scatter)                                                                            \
    X(rows_gather)                                                                             \
    X(cross_entropy)

struct gr_ops {
#define GR_OPS_FIELD(name) gr_##name##_fn *name;
    GR_OPS_LIST(GR_OPS_FIELD)
#undef GR_OPS_FIELD
};

#define GR_OPS_DECLARE(name) gr_##name##_fn gr_##name##_cpu;
GR_OPS_LIST(GR_OPS_DECLARE)
#undef GR_OPS_DECLARE

/// The CPU table; static.
const gr_ops *gr_ops_cpu(void);

#endif
