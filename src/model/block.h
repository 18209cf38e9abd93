#ifndef SRC_MODEL_BLOCK_H
#define SRC_MODEL_BLOCK_H

/// Private to block_*.c: one block is two branches, attention and MLP, each added to the stream of rows. Forward
/// stores in `kept`, which gri_attention_take and gri_mlp_take give its memory in the arena; the caller sets the mark
/// and resets.

#include "src/model/layer.h"

static inline bool gri_has(gri_weight w)
{
    return gr_tensor_present(w.value);
}

/// y = x + z, or x + scale z; z is kept for backward where there is a scale, else it is y.
void gri_branch_add(gr_exec *ex, gri_weight scale, gr_tensor x, gr_tensor z, gr_tensor y);
/// Rows of a branch, or of its gradient, times what dropping paths makes of them; factors absent: they stay.
void gri_branch_drop(gr_exec *ex, gr_tensor factors, gr_tensor z);
/// The gradient of a branch's output: d itself, or a new matrix where the branch has a scale. Only branches with a
/// scale are ever dropped.
gr_tensor gri_branch_bwd(gr_exec *ex, gri_weight scale, gr_tensor d, gr_tensor z,
                         gr_tensor factors, float *grads);

void gri_attention_take(gr_exec *ex, const gri_block_shape *s, const gri_block *b, int64_t T,
                        gri_block_kept *kept);
/// kept->x1 = x + out(attention(norm1(x)))
void gri_attention_branch_fwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                              gri_sequences seq, const gri_block_kept *kept);
/// d: gradient of x1 on entry, of the block's input on return.
void gri_attention_branch_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                              gri_sequences seq, const gri_block_kept *kept, float *grads,
                              gr_tensor d);

void gri_mlp_take(gr_exec *ex, const gri_block_shape *s, const gri_block *b, int64_t T,
                  gri_block_kept *kept);
/// kept->gate and kept->up from kept->x1, and act; what backward needs of the MLP but its output.
void gri_mlp_inner(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                   const gri_block_kept *kept, gr_tensor act);
/// y = x1 + down(activation(norm2(x1))).   y may be kept->x.
void gri_mlp_fwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                 const gri_block_kept *kept, gr_tensor y);
/// d: gradient of the block's result on entry, of x1 on return. Spoils kept->gate and kept->up.
void gri_mlp_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                 const gri_block_kept *kept, float *grads, gr_tensor d);

#endif
