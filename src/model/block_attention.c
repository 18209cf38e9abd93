#include "src/model/block.h"

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

static int projections(const gri_block *b)
{
    return gri_has(b->qkv[1].weight) ? GRI_MAX_PROJECTIONS : 1;
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

/// q and k as their norms see them: each head, or all at once.
static gr_tensor for_norm(const gri_block_shape *s, gr_tensor x)
{
    if (s->norm_whole) {
        x.shape[2] *= x.shape[1];
        x.shape[1] = 1;
    }
    return x;
}

static int64_t norms_of(const gri_block_shape *s, int64_t count)
{
    return s->norm_whole ? 1 : count;
}

void gri_attention_take(gr_exec *ex, const gri_block_shape *s, const gri_block *b, int64_t T,
                        gri_block_kept *kept)
{
    kept->x1 = gri_take_matrix(ex, T, s->width);
    kept->n1 = gri_norm_take(ex, &b->norm1, T);
    kept->qkv = gri_take_factor(ex, T, qkv_width(s));
    kept->mixed = gri_take_factor(ex, T, s->heads * s->head_size);
    kept->lse = gri_take_matrix(ex, T, s->heads);
    if (gri_has(b->q_norm)) {
        kept->q_r = gri_take_matrix(ex, T, norms_of(s, s->heads));
        kept->k_r = gri_take_matrix(ex, T, norms_of(s, s->kv_heads));
    }
    if (gri_has(b->scale1)) {
        kept->z1 = gri_take_matrix(ex, T, s->width);
    }
}

static void rotate(gr_exec *ex, const gri_block_shape *s, gri_sequences seq, const heads *h)
{
    if (s->rope_theta > 0) {
        ex->ops->rope_fwd(ex, h->q, seq.positions, s->rope_theta);
        ex->ops->rope_fwd(ex, h->k, seq.positions, s->rope_theta);
    }
}

/// What attention works on, from kept->qkv. Normed q and k are new matrices in the arena, so that the
/// raw ones stay for backward; backward calls this again for them.
static heads prepare(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                     gri_sequences seq, const gri_block_kept *kept)
{
    heads raw = split_heads(s, kept->qkv), h = raw;
    int64_t T = kept->qkv.shape[0];
    h.q = gr_tensor_split(gri_take_matrix(ex, T, s->heads * s->head_size), s->heads);
    h.k = gr_tensor_split(gri_take_matrix(ex, T, s->kv_heads * s->head_size), s->kv_heads);
    ex->ops->head_rmsnorm_fwd(ex, for_norm(s, raw.q), b->q_norm.value, s->eps, for_norm(s, h.q),
                              kept->q_r);
    ex->ops->head_rmsnorm_fwd(ex, for_norm(s, raw.k), b->k_norm.value, s->eps, for_norm(s, h.k),
                              kept->k_r);
    rotate(ex, s, seq, &h);
    return h;
}

/// What attention works on, forward and backward.
static heads heads_of(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                      gri_sequences seq, const gri_block_kept *kept)
{
    return gri_has(b->q_norm) ? prepare(ex, s, b, seq, kept) : split_heads(s, kept->qkv);
}

/// kept->qkv from the normed rows n. q and k are rotated, unless they have norms, which come first; in bf16 before
/// they are rounded, so that they are rounded once.
static void project(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                    gri_sequences seq, gr_tensor n, const gri_block_kept *kept)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    bool rotated = s->rope_theta > 0 && !gri_has(b->q_norm);
    bool apart = rotated && kept->qkv.dtype != GR_DTYPE_F32;
    gr_tensor qkv = apart ? gri_take_matrix(ex, n.shape[0], qkv_width(s)) : kept->qkv;
    for (int i = 0; i < projections(b); i++) {
        gri_linear_fwd(ex, &b->qkv[i], n, projected(b, i, qkv));
    }
    if (rotated) {
        heads h = split_heads(s, qkv);
        rotate(ex, s, seq, &h);
    }
    if (apart) {
        ex->ops->round(ex, qkv, kept->qkv);
    }
    gr_arena_reset(ex->scratch, mark);
}

/// Appends the rows of `from` to the first `rows` of `to`; both matrices.
static void append(gr_exec *ex, gr_tensor from, gr_tensor to, int64_t rows)
{
    ex->ops->rows_copy(ex, from, gr_tensor_rows(to, rows, from.shape[0]));
}

/// Adds keys and values to the memory and returns the heads with all that it holds.
static heads remember(gr_exec *ex, const gri_block_shape *s, gri_memory *memory, heads h)
{
    append(ex, gr_tensor_split(h.k, s->kv_heads), memory->keys, memory->rows);
    append(ex, gr_tensor_split(h.v, s->kv_heads), memory->values, memory->rows);
    memory->rows += h.k.shape[0];
    h.k = gr_tensor_split(gr_tensor_rows(memory->keys, 0, memory->rows), s->kv_heads);
    h.v = gr_tensor_split(gr_tensor_rows(memory->values, 0, memory->rows), s->kv_heads);
    return h;
}

void gri_attention_branch_fwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                              gri_sequences seq, const gri_block_kept *kept)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor n = gri_take_factor(ex, kept->x.shape[0], s->width);
    gri_norm_fwd(ex, &b->norm1, s->eps, kept->x, n, &kept->n1);
    project(ex, s, b, seq, n, kept);
    heads h = heads_of(ex, s, b, seq, kept);
    if (seq.memory) {
        h = remember(ex, s, seq.memory, h);
    }
    ex->ops->attention_fwd(ex, h.q, h.k, h.v, seq.cu_seqlens, s->causal, attention_scale(s),
                           gr_tensor_split(kept->mixed, s->heads), kept->lse);
    gr_tensor z = gri_has(b->scale1) ? kept->z1 : kept->x1;
    gri_linear_fwd(ex, &b->out, kept->mixed, z);
    gri_branch_drop(ex, kept->stay1, z);
    gri_branch_add(ex, b->scale1, kept->x, z, kept->x1);
    gr_arena_reset(ex->scratch, mark);
}

/// Back through rotation and norms: the gradients of q and k become those of the raw ones.
static void heads_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                      gri_sequences seq, const gri_block_kept *kept, float *grads,
                      const heads *dh)
{
    if (s->rope_theta > 0) {
        ex->ops->rope_bwd(ex, dh->q, seq.positions, s->rope_theta);
        ex->ops->rope_bwd(ex, dh->k, seq.positions, s->rope_theta);
    }
    if (gri_has(b->q_norm)) {
        heads raw = split_heads(s, kept->qkv);
        gr_tensor dq = for_norm(s, dh->q), dk = for_norm(s, dh->k);
        ex->ops->head_rmsnorm_bwd(ex, dq, for_norm(s, raw.q), b->q_norm.value, kept->q_r, dq,
                                  gri_grad(b->q_norm, grads));
        ex->ops->head_rmsnorm_bwd(ex, dk, for_norm(s, raw.k), b->k_norm.value, kept->k_r, dk,
                                  gri_grad(b->k_norm, grads));
    }
}

/// dqkv, from the gradient of the branch's output.
static void mixing_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                       gri_sequences seq, const gri_block_kept *kept, float *grads,
                       gr_tensor dz, gr_tensor dqkv)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor dmixed = gri_take_factor(ex, dz.shape[0], s->heads * s->head_size);
    gri_linear_bwd_input(ex, &b->out, dz, dmixed, false);
    heads h = heads_of(ex, s, b, seq, kept);
    heads dh = split_heads(s, dqkv);
    ex->ops->attention_bwd(ex, gr_tensor_split(dmixed, s->heads), h.q, h.k, h.v,
                           gr_tensor_split(kept->mixed, s->heads), kept->lse, seq.cu_seqlens,
                           s->causal, attention_scale(s), dh.q, dh.k, dh.v);
    heads_bwd(ex, s, b, seq, kept, grads, &dh);
    gr_arena_reset(ex->scratch, mark);
}

void gri_attention_branch_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                              gri_sequences seq, const gri_block_kept *kept, float *grads,
                              gr_tensor d)
{
    int64_t mark = gr_arena_mark(ex->scratch), T = d.shape[0];
    gr_tensor dqkv = gri_take_matrix(ex, T, qkv_width(s));
    gr_tensor dn = gri_take_matrix(ex, T, s->width), n = gri_as_factor(ex, dn);
    gr_tensor dz = gri_branch_bwd(ex, b->scale1, d, kept->z1, kept->stay1, grads);
    gri_linear_bwd_weight(ex, &b->out, dz, kept->mixed, grads);
    mixing_bwd(ex, s, b, seq, kept, grads, dz, dqkv);
    if (grads) {
        gri_norm_fwd(ex, &b->norm1, s->eps, kept->x, n, &kept->n1);
        for (int i = 0; i < projections(b); i++) {
            gri_linear_bwd_weight(ex, &b->qkv[i], projected(b, i, dqkv), n, grads);
        }
    }
    for (int i = 0; i < projections(b); i++) {
        gri_linear_bwd_input(ex, &b->qkv[i], projected(b, i, dqkv), dn, i > 0);
    }
    gri_norm_bwd(ex, &b->norm1, dn, kept->x, &kept->n1, d, true, grads);
    gr_arena_reset(ex->scratch, mark);
}
