#ifndef SRC_MODEL_LAYER_H
#define SRC_MODEL_LAYER_H

/// Private to the room: parameters as the layers see them, and the transformer block that AIMv2
/// and Qwen2 share (pre-norm, RMSNorm, softmax attention, SwiGLU, two residual additions).
///
/// Forward stores what backward needs in the exec's arena; the caller sets the mark and resets. What a
/// cheap operation gives again (normed inputs, the SwiGLU product) is computed again in
/// backward, and only where weights train. `grads` is the flat gradient of the part, or NULL when the
/// part does not train: then only the gradient of the input is computed.

#include "src/model/params.h"
#include "src/ops/ops.h"

/// One parameter: its values, and where its gradient lies in the flat space of its part.
typedef struct gri_weight {
    gr_tensor value; ///< 1-d, or 2-d [first dimension, the rest]; absent: the layer has none
    int64_t offset;
} gri_weight;

/// The parameter of this name, which must be in the table; `flat` is its part's weights.
gri_weight gri_weight_find(const gr_params *params, float *flat, const char *fmt, ...)
    GR_PRINTF(3, 4);
/// Its gradient; absent when the parameter is or `grads` is NULL.
gr_tensor gri_grad(gri_weight w, float *grads);

/// Uninitialised fp32 memory from the arena.
gr_tensor gri_take_vector(gr_exec *ex, int64_t n);
gr_tensor gri_take_matrix(gr_exec *ex, int64_t rows, int64_t columns);

typedef struct gri_linear {
    gri_weight weight, bias;
} gri_linear;

void gri_linear_fwd(gr_exec *ex, const gri_linear *l, gr_tensor x, gr_tensor y);
/// Adds the gradients of weight and bias from the layer's input x; nothing when grads is NULL.
void gri_linear_bwd_weight(gr_exec *ex, const gri_linear *l, gr_tensor dy, gr_tensor x,
                           float *grads);
void gri_linear_bwd_input(gr_exec *ex, const gri_linear *l, gr_tensor dy, gr_tensor dx,
                          bool accumulate);

/// Which rows of a batch belong together, and where each stands in its sequence.
typedef struct gri_sequences {
    gr_tensor cu_seqlens; ///< [S + 1]
    gr_tensor positions;  ///< [T]; absent where there is no rotation
} gri_sequences;

/// What all blocks of one stack have in common.
typedef struct gri_block_shape {
    int64_t width, heads, kv_heads, head_size, mlp_width;
    double eps;
    bool causal;
    double rope_theta; ///< 0: no rotary positions
} gri_block_shape;

enum { GRI_MAX_PROJECTIONS = 3 };

typedef struct gri_block {
    gri_weight norm1, norm2;
    gri_linear qkv[GRI_MAX_PROJECTIONS]; ///< their outputs side by side are [q k v]
    int projections;                     ///< 1: packed; 3: q, k and v apart
    gri_linear out, gate, up, down;
} gri_block;

/// What backward of one block needs, in the arena.
typedef struct gri_block_kept {
    gr_tensor x, x1;      ///< [T, width]: the block's input, and after attention
    gr_tensor r1, r2;     ///< [T]: of the two norms
    gr_tensor qkv, mixed; ///< [T, (H + 2 G) hd], rotated, and attention's result [T, H hd]
    gr_tensor lse;        ///< [T, H]
    gr_tensor gate, up;   ///< [T, mlp_width]
} gri_block_kept;

typedef struct gri_stack {
    gri_block_shape shape;
    int64_t count;
    gri_block *blocks; ///< [count], owned
} gri_stack;

/// Runs x [T, width] through all blocks and returns the result. With `kept`, *kept becomes an array [count]
/// in the arena and all of it stays there; without (NULL) x is overwritten and nothing else stays.
gr_tensor gri_stack_fwd(gr_exec *ex, const gri_stack *stack, gri_sequences seq, gr_tensor x,
                        gri_block_kept **kept);
/// d [T, width], gradient of the result, becomes the gradient of the input. Spoils `kept`.
void gri_stack_bwd(gr_exec *ex, const gri_stack *stack, gri_sequences seq,
                   const gri_block_kept *kept, float *grads, gr_tensor d);

#endif
