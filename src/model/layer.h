#ifndef SRC_MODEL_LAYER_H
#define SRC_MODEL_LAYER_H

/// Private to the room: parameters as the layers see them, and the transformer block that all
/// architectures share: a norm, softmax attention and a residual addition, a norm, an MLP and a residual
/// addition. What differs is which tensors a block has: norms with a bias are LayerNorms, without
/// RMSNorms; q and k may have norms of their own; branches may have scales.
///
/// Forward stores what backward needs in the exec's arena; the caller sets the mark and resets. What a
/// cheap operation gives again (normed inputs, the MLP's product, normed and rotated q and k) is
/// computed again in backward. `grads` is the flat gradient of the part, or NULL when the
/// part does not train: then only the gradient of the input is computed.

#include "src/model/architecture.h"
#include "src/model/params.h"
#include "src/ops/ops.h"

#include <stddef.h>

/// The numbers of a part, in the order of its table.
typedef struct gri_flat {
    float *weights;
    uint16_t *rounded; ///< the same in bf16; NULL in fp32
} gri_flat;

typedef struct gri_course gri_course; // course.h

/// One parameter: its values, and where its gradient lies in the flat space of its part.
typedef struct gri_weight {
    /// fp32: 1-d, or 2-d [first dimension, the rest]; absent: the layer has none
    gr_tensor value;
    gr_tensor factor; ///< what products read: the value, or the model's bf16 copy of it
    int64_t offset;
} gri_weight;

/// A weight's gradient; absent when the weight is or `grads` is NULL.
gr_tensor gri_grad(gri_weight w, float *grads);

/// Uninitialised fp32 memory from the arena.
gr_tensor gri_take_vector(gr_exec *ex, int64_t n);
gr_tensor gri_take_matrix(gr_exec *ex, int64_t rows, int64_t columns);
/// The same of the type that products read: what lies between products, and what is kept of it.
gr_tensor gri_take_factor(gr_exec *ex, int64_t rows, int64_t columns);
/// The memory of an fp32 matrix as a factor of its shape, to be used before it is.
gr_tensor gri_as_factor(const gr_exec *ex, gr_tensor x);

typedef struct gri_linear {
    gri_weight weight, bias;
} gri_linear;

void gri_linear_fwd(gr_exec *ex, const gri_linear *l, gr_tensor x, gr_tensor y);
/// Adds the gradients of weight and bias from the layer's input x; nothing when grads is NULL.
void gri_linear_bwd_weight(gr_exec *ex, const gri_linear *l, gr_tensor dy, gr_tensor x,
                           float *grads);
void gri_linear_bwd_input(gr_exec *ex, const gri_linear *l, gr_tensor dy, gr_tensor dx,
                          bool accumulate);

/// RMSNorm, or LayerNorm when it has a bias.
typedef struct gri_norm {
    gri_weight weight, bias;
} gri_norm;

/// What a norm's backward needs: [T] each; mean only of a LayerNorm.
typedef struct gri_norm_kept {
    gr_tensor mean, inv_std;
} gri_norm_kept;

gri_norm_kept gri_norm_take(gr_exec *ex, const gri_norm *norm, int64_t rows);
void gri_norm_fwd(gr_exec *ex, const gri_norm *norm, double eps, gr_tensor x, gr_tensor y,
                  const gri_norm_kept *kept);
/// Adds the gradients of weight and bias unless grads is NULL; dx as the operation's, may be absent.
void gri_norm_bwd(gr_exec *ex, const gri_norm *norm, gr_tensor dy, gr_tensor x,
                  const gri_norm_kept *kept, gr_tensor dx, bool accumulate, float *grads);

/// Keys and values of the rows that one block has seen, for continuing one sequence.
typedef struct gri_memory {
    gr_tensor keys, values; ///< [capacity, G hd]; keys rotated
    int64_t rows;           ///< filled
} gri_memory;

/// Stochastic depth: in training, block i leaves each of its branches out of a sequence with probability i * rise, and divides
/// what it does not leave out by the probability to stay. Which, is a function of (seed, stream, block, branch, number of
/// the sequence in the batch) alone. Source: Huang et al. 2016, arXiv 1603.09382.
typedef struct gri_drop {
    double rise; ///< 0: all stay
    uint64_t seed, stream;
} gri_drop;

/// Which rows of a batch belong together, and where each stands in its sequence.
typedef struct gri_sequences {
    gr_tensor cu_seqlens; ///< [S + 1]
    gr_tensor positions;  ///< [T]; absent where there is no rotation
    gri_drop drop;        ///< only where activations are kept
    /// what came before the one sequence; the rows are added to it. NULL: nothing did
    gri_memory *memory;
} gri_sequences;

/// What all blocks of one stack have in common.
typedef struct gri_block_shape {
    int64_t width, heads, kv_heads, head_size, mlp_width;
    double eps;
    gr_mlp_kind mlp;
    bool norm_whole; ///< the norm of q and of k goes over all heads at once, not over each
    bool causal;
    double rope_theta; ///< 0: no rotary positions
} gri_block_shape;

enum { GRI_MAX_PROJECTIONS = 3 };

typedef struct gri_block {
    gri_norm norm1, norm2;
    /// their outputs side by side are [q k v]; 1 or 3 are there
    gri_linear qkv[GRI_MAX_PROJECTIONS];
    gri_weight q_norm, k_norm;
    gri_linear out, gate, up, down; ///< without SwiGLU there is no `up`
    gri_weight scale1, scale2;      ///< of the two branches
    int64_t begin, end;             ///< its elements of the part's flat space
} gri_block;

/// Fills the gri_weights of the course's part from the table of parameters: those of blocks in `blocks`, the others in
/// `part_struct`, each at the slot that the part's architecture says.
void gri_bind(const gr_model_config *config, const gr_params *params, const gri_course *course,
              void *part_struct, gri_block *blocks);

/// What backward of one block needs, in the arena. With recomputation only x is kept for all. The stream of residual additions
/// (x, x1) and what belongs to norms and softmax is fp32, the others are factors.
typedef struct gri_block_kept {
    gr_tensor x, x1;      ///< [T, width]: the block's input, and after attention
    gri_norm_kept n1, n2; ///< of the two norms
    gr_tensor qkv,
        mixed; ///< [T, (H + 2 G) hd], and attention's result [T, H hd]; q and k rotated in
               ///< place unless they have norms
    gr_tensor q_r, k_r; ///< of the norms of q and k: [T, heads], or [T, 1] when they are whole
    gr_tensor lse;      ///< [T, H]
    gr_tensor gate, up; ///< [T, mlp_width]
    gr_tensor z1, z2;   ///< [T, width]: the branches before their scales
    gr_tensor stay1, stay2; ///< [T]: what rows of the branches are multiplied by; absent: 1
} gri_block_kept;

typedef struct gri_stack {
    gri_block_shape shape;
    int64_t count;      ///< blocks that run
    gri_block *blocks;  ///< owned; at least `count`
    gri_course *course; ///< borrowed
    /// keep only the blocks' inputs and run each again in backward: the same bits
    bool recompute;
} gri_stack;

/// Runs x [T, width] through all blocks and returns the result. With `kept`, *kept becomes an array [count]
/// in the arena and all of it stays there; without (NULL) x is overwritten and nothing else stays.
gr_tensor gri_stack_fwd(gr_exec *ex, const gri_stack *stack, gri_sequences seq, gr_tensor x,
                        gri_block_kept **kept);
/// Elements of the flat space in front of the blocks, and up to the end of the last that runs.
int64_t gri_stack_begin(const gri_stack *stack);
int64_t gri_stack_end(const gri_stack *stack);
/// Empty memories of all blocks, in the arena, with room for `capacity` rows.
gri_memory *gri_memory_take(gr_exec *ex, const gri_stack *stack, int64_t capacity);
/// Runs x [T, width], the next rows of the one causal sequence whose earlier ones are in `memory` [count], through all
/// blocks in place.
void gri_stack_continue(gr_exec *ex, const gri_stack *stack, gri_sequences seq,
                        gri_memory *memory, gr_tensor x);
/// d [T, width], gradient of the result, becomes the gradient of the input. Spoils `kept`.
void gri_stack_bwd(gr_exec *ex, const gri_stack *stack, gri_sequences seq,
                   const gri_block_kept *kept, float *grads, gr_tensor d);

/// For the tables of architectures: one tensor with its shape behind, a slot of gri_block, and a table with
/// its length.
#define GRI_TENSOR(text, at, start, features, ...)                                             \
    {                                                                                          \
        .name = (text), .slot = (at), .shape = {__VA_ARGS__}, .fresh = (start),                \
        .needs = (features)                                                                    \
    }
/// The same, of which passes read the fp32 values themselves.
#define GRI_TABLE(text, at, start, features, ...)                                              \
    {                                                                                          \
        .name = (text), .slot = (at), .shape = {__VA_ARGS__}, .fresh = (start),                \
        .needs = (features), .table = true                                                     \
    }
#define GRI_BLOCK(member) offsetof(gri_block, member)
#define GRI_RULES(table)  (table), (int)(sizeof(table) / sizeof(table)[0])

#endif
