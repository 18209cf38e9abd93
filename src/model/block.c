#include "src/model/layer.h"

#include <math.h>

/// The three column blocks of a packed qkv, as heads.
typedef struct heads {
    gr_tensor q, k, v;
} heads;

static heads split_heads(const gri_block_shape *s, gr_tensor qkv)
{
    int64_t Q = s->heads * s->head_size, K = s->kv_heads * s->head_size;
    return (heads){
        .q = gr_tensor_split(gr_tensor_columns(qkv, 0, Q), s->heads),
        .k = gr_tensor_split(gr_tensor_columns(qkv, Q, K), s->kv_heads),
        .v = gr_tensor_split(gr_tensor_columns(qkv, Q + K, K), s->kv_heads),
    };
}

static int64_t qkv_width(const gri_block_shape *s)
{
    return (s->heads + 2 * s->kv_heads) * s->head_size;
}

static double attention_scale(const gri_block_shape *s)
{
    return 1 / sqrt((double)s->head_size);
}

/// Columns of the packed qkv that projection `i` fills.
static gr_tensor projected(const gri_block *b, int i, gr_tensor qkv)
{
    int64_t from = 0;
    for (int before = 0; before < i; before++) {
        from += b->qkv[before].weight.value.shape[0];
    }
    return gr_tensor_columns(qkv, from, b->qkv[i].weight.value.shape[0]);
}

/// kept->x1 = x + out(attention(norm1(x)))
static void attention_fwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                          gri_sequences seq, const gri_block_kept *kept)
{
    const gr_ops *ops = ex->ops;
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor n = gri_take_matrix(ex, kept->x.shape[0], s->width);
    ops->rmsnorm_fwd(ex, kept->x, b->norm1.value, s->eps, n, kept->r1);
    for (int i = 0; i < b->projections; i++) {
        gri_linear_fwd(ex, &b->qkv[i], n, projected(b, i, kept->qkv));
    }
    heads h = split_heads(s, kept->qkv);
    if (s->rope_theta > 0) {
        ops->rope_fwd(ex, h.q, seq.positions, s->rope_theta);
        ops->rope_fwd(ex, h.k, seq.positions, s->rope_theta);
    }
    ops->attention_fwd(ex, h.q, h.k, h.v, seq.cu_seqlens, s->causal, attention_scale(s),
                       gr_tensor_split(kept->mixed, s->heads), kept->lse);
    gri_linear_fwd(ex, &b->out, kept->mixed, kept->x1);
    ops->add(ex, kept->x, kept->x1);
    gr_arena_reset(ex->scratch, mark);
}

/// y = x1 + down(silu(gate(n)) up(n)), n = norm2(x1).   y may be kept->x.
static void mlp_fwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                    const gri_block_kept *kept, gr_tensor y)
{
    const gr_ops *ops = ex->ops;
    int64_t mark = gr_arena_mark(ex->scratch), T = y.shape[0];
    gr_tensor n = gri_take_matrix(ex, T, s->width);
    gr_tensor act = gri_take_matrix(ex, T, s->mlp_width);
    ops->rmsnorm_fwd(ex, kept->x1, b->norm2.value, s->eps, n, kept->r2);
    gri_linear_fwd(ex, &b->gate, n, kept->gate);
    gri_linear_fwd(ex, &b->up, n, kept->up);
    ops->swiglu_fwd(ex, kept->gate, kept->up, act);
    gri_linear_fwd(ex, &b->down, act, y);
    ops->add(ex, kept->x1, y);
    gr_arena_reset(ex->scratch, mark);
}

/// d: gradient of the block's result on entry, of x1 on return. Spoils kept->gate and kept->up.
static void mlp_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                    const gri_block_kept *kept, float *grads, gr_tensor d)
{
    const gr_ops *ops = ex->ops;
    int64_t mark = gr_arena_mark(ex->scratch), T = d.shape[0];
    gr_tensor act = gri_take_matrix(ex, T, s->mlp_width), dact = act;
    gr_tensor n = gri_take_matrix(ex, T, s->width), dn = n;
    if (grads) {
        ops->swiglu_fwd(ex, kept->gate, kept->up, act);
        gri_linear_bwd_weight(ex, &b->down, d, act, grads);
        ops->rmsnorm_fwd(ex, kept->x1, b->norm2.value, s->eps, n, kept->r2);
    }
    gri_linear_bwd_input(ex, &b->down, d, dact, false);
    gr_tensor dgate = kept->gate, dup = kept->up;
    ops->swiglu_bwd(ex, dact, kept->gate, kept->up, dgate, dup);
    gri_linear_bwd_weight(ex, &b->gate, dgate, n, grads);
    gri_linear_bwd_weight(ex, &b->up, dup, n, grads);
    gri_linear_bwd_input(ex, &b->gate, dgate, dn, false);
    gri_linear_bwd_input(ex, &b->up, dup, dn, true);
    ops->rmsnorm_bwd(ex, dn, kept->x1, b->norm2.value, kept->r2, d, true,
                     gri_grad(b->norm2, grads));
    gr_arena_reset(ex->scratch, mark);
}

/// dqkv, from the gradient of x1.
static void mixing_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                       gri_sequences seq, const gri_block_kept *kept, gr_tensor d,
                       gr_tensor dqkv)
{
    const gr_ops *ops = ex->ops;
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor dmixed = gri_take_matrix(ex, d.shape[0], s->heads * s->head_size);
    gri_linear_bwd_input(ex, &b->out, d, dmixed, false);
    heads h = split_heads(s, kept->qkv), dh = split_heads(s, dqkv);
    ops->attention_bwd(ex, gr_tensor_split(dmixed, s->heads), h.q, h.k, h.v,
                       gr_tensor_split(kept->mixed, s->heads), kept->lse, seq.cu_seqlens,
                       s->causal, attention_scale(s), dh.q, dh.k, dh.v);
    if (s->rope_theta > 0) {
        ops->rope_bwd(ex, dh.q, seq.positions, s->rope_theta);
        ops->rope_bwd(ex, dh.k, seq.positions, s->rope_theta);
    }
    gr_arena_reset(ex->scratch, mark);
}

/// d: gradient of x1 on entry, of the block's input on return.
static void attention_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                          gri_sequences seq, const gri_block_kept *kept, float *grads,
                          gr_tensor d)
{
    const gr_ops *ops = ex->ops;
    int64_t mark = gr_arena_mark(ex->scratch), T = d.shape[0];
    gr_tensor dqkv = gri_take_matrix(ex, T, qkv_width(s));
    gr_tensor n = gri_take_matrix(ex, T, s->width), dn = n;
    gri_linear_bwd_weight(ex, &b->out, d, kept->mixed, grads);
    mixing_bwd(ex, s, b, seq, kept, d, dqkv);
    if (grads) {
        ops->rmsnorm_fwd(ex, kept->x, b->norm1.value, s->eps, n, kept->r1);
        for (int i = 0; i < b->projections; i++) {
            gri_linear_bwd_weight(ex, &b->qkv[i], projected(b, i, dqkv), n, grads);
        }
    }
    for (int i = 0; i < b->projections; i++) {
        gri_linear_bwd_input(ex, &b->qkv[i], projected(b, i, dqkv), dn, i > 0);
    }
    ops->rmsnorm_bwd(ex, dn, kept->x, b->norm1.value, kept->r1, d, true,
                     gri_grad(b->norm1, grads));
    gr_arena_reset(ex->scratch, mark);
}

static void take_kept(gr_exec *ex, const gri_block_shape *s, int64_t T, gri_block_kept *kept)
{
    kept->x1 = gri_take_matrix(ex, T, s->width);
    kept->r1 = gri_take_vector(ex, T);
    kept->r2 = gri_take_vector(ex, T);
    kept->qkv = gri_take_matrix(ex, T, qkv_width(s));
    kept->mixed = gri_take_matrix(ex, T, s->heads * s->head_size);
    kept->lse = gri_take_matrix(ex, T, s->heads);
    kept->gate = gri_take_matrix(ex, T, s->mlp_width);
    kept->up = gri_take_matrix(ex, T, s->mlp_width);
}

static void block_fwd(gr_exec *ex, const gri_stack *stack, int64_t i, gri_sequences seq,
                      const gri_block_kept *kept, gr_tensor y)
{
    attention_fwd(ex, &stack->shape, &stack->blocks[i], seq, kept);
    mlp_fwd(ex, &stack->shape, &stack->blocks[i], kept, y);
}

static void infer(gr_exec *ex, const gri_stack *stack, gri_sequences seq, gr_tensor x)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_block_kept shared = {.x = x};
    take_kept(ex, &stack->shape, x.shape[0], &shared);
    for (int64_t i = 0; i < stack->count; i++) {
        block_fwd(ex, stack, i, seq, &shared, x);
    }
    gr_arena_reset(ex->scratch, mark);
}

gr_tensor gri_stack_fwd(gr_exec *ex, const gri_stack *stack, gri_sequences seq, gr_tensor x,
                        gri_block_kept **kept)
{
    if (!kept) {
        infer(ex, stack, seq, x);
        return x;
    }
    *kept = gr_arena_take(ex->scratch, stack->count * (int64_t)sizeof **kept);
    for (int64_t i = 0; i < stack->count; i++) {
        gr_tensor y = gri_take_matrix(ex, x.shape[0], stack->shape.width);
        (*kept)[i].x = x;
        take_kept(ex, &stack->shape, x.shape[0], &(*kept)[i]);
        block_fwd(ex, stack, i, seq, &(*kept)[i], y);
        x = y;
    }
    return x;
}

void gri_stack_bwd(gr_exec *ex, const gri_stack *stack, gri_sequences seq,
                   const gri_block_kept *kept, float *grads, gr_tensor d)
{
    for (int64_t i = stack->count - 1; i >= 0; i--) {
        mlp_bwd(ex, &stack->shape, &stack->blocks[i], &kept[i], grads, d);
        attention_bwd(ex, &stack->shape, &stack->blocks[i], seq, &kept[i], grads, d);
    }
}
