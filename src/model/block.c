#include "src/base/rng.h"
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

static bool has(gri_weight w)
{
    return gr_tensor_present(w.value);
}

static int projections(const gri_block *b)
{
    return has(b->qkv[1].weight) ? GRI_MAX_PROJECTIONS : 1;
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
    return has(b->q_norm) ? prepare(ex, s, b, seq, kept) : split_heads(s, kept->qkv);
}

/// kept->qkv from the normed rows n. q and k are rotated, unless they have norms, which come first; in bf16 before they are
/// rounded, so that they are rounded once.
static void project(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                    gri_sequences seq, gr_tensor n, const gri_block_kept *kept)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    bool rotated = s->rope_theta > 0 && !has(b->q_norm);
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
    int64_t mark = gr_arena_mark(ex->scratch), count = from.shape[0];
    int32_t *place = gr_arena_take(ex->scratch, count * (int64_t)sizeof *place);
    for (int64_t i = 0; i < count; i++) {
        place[i] = (int32_t)(rows + i);
    }
    ex->ops->rows_scatter(ex, from, gr_tensor_i32(place, count), to);
    gr_arena_reset(ex->scratch, mark);
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

/// y = x + z, or x + scale z; z is kept for backward where there is a scale, else it is y.
static void add_branch(gr_exec *ex, gri_weight scale, gr_tensor x, gr_tensor z, gr_tensor y)
{
    if (has(scale)) {
        ex->ops->layer_scale_fwd(ex, x, scale.value, z, y);
    } else {
        ex->ops->add(ex, x, y);
    }
}

/// Rows of a branch, or of its gradient, times what dropping paths makes of them.
static void stay(gr_tensor factors, gr_tensor z)
{
    for (int64_t t = 0; gr_tensor_present(factors) && t < z.shape[0]; t++) {
        float factor = gr_tensor_f32(factors, 0)[t], *row = gr_tensor_f32(z, t);
        for (int64_t c = 0; c < z.shape[1]; c++) {
            row[c] *= factor;
        }
    }
}

/// kept->x1 = x + out(attention(norm1(x)))
static void attention_fwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
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
    gr_tensor z = has(b->scale1) ? kept->z1 : kept->x1;
    gri_linear_fwd(ex, &b->out, kept->mixed, z);
    stay(kept->stay1, z);
    add_branch(ex, b->scale1, kept->x, z, kept->x1);
    gr_arena_reset(ex->scratch, mark);
}

/// act = silu(gate) up, or gelu(gate).
static void activate(gr_exec *ex, const gri_block_shape *s, const gri_block_kept *kept,
                     gr_tensor act)
{
    switch (s->mlp) {
    case GR_MLP_SWIGLU:
        ex->ops->swiglu_fwd(ex, kept->gate, kept->up, act);
        break;
    case GR_MLP_GELU:
        ex->ops->gelu_fwd(ex, kept->gate, act);
        break;
    case GR_MLP_GELU_TANH:
        ex->ops->gelu_tanh_fwd(ex, kept->gate, act);
        break;
    }
}

/// From the gradient of act: SwiGLU's gate and up give their places to their gradients, GELU's gradient
/// takes the place of dact.
static void activate_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block_kept *kept,
                         gr_tensor dact)
{
    switch (s->mlp) {
    case GR_MLP_SWIGLU:
        ex->ops->swiglu_bwd(ex, dact, kept->gate, kept->up, kept->gate, kept->up);
        break;
    case GR_MLP_GELU:
        ex->ops->gelu_bwd(ex, dact, kept->gate, dact);
        break;
    case GR_MLP_GELU_TANH:
        ex->ops->gelu_tanh_bwd(ex, dact, kept->gate, dact);
        break;
    }
}

/// kept->gate and kept->up from kept->x1, and act; what backward needs of the MLP but its output.
static void mlp_inner(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                      const gri_block_kept *kept, gr_tensor act)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor n = gri_take_factor(ex, kept->x1.shape[0], s->width);
    gri_norm_fwd(ex, &b->norm2, s->eps, kept->x1, n, &kept->n2);
    gri_linear_fwd(ex, &b->gate, n, kept->gate);
    if (has(b->up.weight)) {
        gri_linear_fwd(ex, &b->up, n, kept->up);
    }
    if (gr_tensor_present(act)) {
        activate(ex, s, kept, act);
    }
    gr_arena_reset(ex->scratch, mark);
}

/// y = x1 + down(activation(norm2(x1))).   y may be kept->x.
static void mlp_fwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                    const gri_block_kept *kept, gr_tensor y)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor act = gri_take_factor(ex, y.shape[0], s->mlp_width);
    mlp_inner(ex, s, b, kept, act);
    gr_tensor z = has(b->scale2) ? kept->z2 : y;
    gri_linear_fwd(ex, &b->down, act, z);
    stay(kept->stay2, z);
    add_branch(ex, b->scale2, kept->x1, z, y);
    gr_arena_reset(ex->scratch, mark);
}

/// The gradient of a branch's output: d itself, or a new matrix where the branch has a scale. Only branches with a
/// scale are ever dropped.
static gr_tensor branch_bwd(gr_exec *ex, gri_weight scale, gr_tensor d, gr_tensor z,
                            gr_tensor factors, float *grads)
{
    if (!has(scale)) {
        GR_ASSERT(!gr_tensor_present(factors));
        return d;
    }
    gr_tensor dz = gri_take_matrix(ex, d.shape[0], d.shape[1]);
    ex->ops->layer_scale_bwd(ex, d, scale.value, z, dz, gri_grad(scale, grads));
    stay(factors, dz);
    return dz;
}

/// d: gradient of the block's result on entry, of x1 on return. Spoils kept->gate and kept->up.
static void mlp_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                    const gri_block_kept *kept, float *grads, gr_tensor d)
{
    int64_t mark = gr_arena_mark(ex->scratch), T = d.shape[0];
    gr_tensor act = gri_take_factor(ex, T, s->mlp_width), dact = act;
    gr_tensor dn = gri_take_matrix(ex, T, s->width), n = gri_as_factor(ex, dn);
    gr_tensor dz = branch_bwd(ex, b->scale2, d, kept->z2, kept->stay2, grads);
    if (grads) {
        activate(ex, s, kept, act);
        gri_linear_bwd_weight(ex, &b->down, dz, act, grads);
        gri_norm_fwd(ex, &b->norm2, s->eps, kept->x1, n, &kept->n2);
    }
    gri_linear_bwd_input(ex, &b->down, dz, dact, false);
    activate_bwd(ex, s, kept, dact);
    gr_tensor dgate = s->mlp == GR_MLP_SWIGLU ? kept->gate : dact;
    gri_linear_bwd_weight(ex, &b->gate, dgate, n, grads);
    if (has(b->up.weight)) {
        gri_linear_bwd_weight(ex, &b->up, kept->up, n, grads);
    }
    gri_linear_bwd_input(ex, &b->gate, dgate, dn, false);
    if (has(b->up.weight)) {
        gri_linear_bwd_input(ex, &b->up, kept->up, dn, true);
    }
    gri_norm_bwd(ex, &b->norm2, dn, kept->x1, &kept->n2, d, true, grads);
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
    if (has(b->q_norm)) {
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

/// d: gradient of x1 on entry, of the block's input on return.
static void attention_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                          gri_sequences seq, const gri_block_kept *kept, float *grads,
                          gr_tensor d)
{
    int64_t mark = gr_arena_mark(ex->scratch), T = d.shape[0];
    gr_tensor dqkv = gri_take_matrix(ex, T, qkv_width(s));
    gr_tensor dn = gri_take_matrix(ex, T, s->width), n = gri_as_factor(ex, dn);
    gr_tensor dz = branch_bwd(ex, b->scale1, d, kept->z1, kept->stay1, grads);
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

static void take_kept(gr_exec *ex, const gri_stack *stack, int64_t T, gri_block_kept *kept)
{
    const gri_block_shape *s = &stack->shape;
    const gri_block *b = stack->blocks;
    kept->x1 = gri_take_matrix(ex, T, s->width);
    kept->n1 = gri_norm_take(ex, &b->norm1, T);
    kept->n2 = gri_norm_take(ex, &b->norm2, T);
    kept->qkv = gri_take_factor(ex, T, qkv_width(s));
    kept->mixed = gri_take_factor(ex, T, s->heads * s->head_size);
    kept->lse = gri_take_matrix(ex, T, s->heads);
    kept->gate = gri_take_factor(ex, T, s->mlp_width);
    if (has(b->up.weight)) {
        kept->up = gri_take_factor(ex, T, s->mlp_width);
    }
    if (has(b->q_norm)) {
        kept->q_r = gri_take_matrix(ex, T, norms_of(s, s->heads));
        kept->k_r = gri_take_matrix(ex, T, norms_of(s, s->kv_heads));
    }
    if (has(b->scale1)) {
        kept->z1 = gri_take_matrix(ex, T, s->width);
        kept->z2 = gri_take_matrix(ex, T, s->width);
    }
}

/// The factors of the rows of one branch.
static gr_tensor take_stay(gr_exec *ex, gri_sequences seq, int64_t block, int branch)
{
    const int32_t *cu = seq.cu_seqlens.data;
    int64_t sequences = gr_tensor_count(seq.cu_seqlens) - 1;
    double probability = 1 - seq.drop.rise * (double)block;
    gr_tensor factors = gri_take_vector(ex, cu[sequences]);
    for (int64_t i = 0; i < sequences; i++) {
        uint64_t index = (uint64_t)(2 * block + branch) << 32 | (uint64_t)i;
        bool stays = gr_rng_uniform(seq.drop.seed, seq.drop.stream, index) < probability;
        for (int64_t t = cu[i]; t < cu[i + 1]; t++) {
            gr_tensor_f32(factors, 0)[t] = stays ? (float)(1 / probability) : 0.0F;
        }
    }
    return factors;
}

/// Memory for all that backward needs of block i, and which of its paths are dropped.
static void take_block(gr_exec *ex, const gri_stack *stack, int64_t i, gri_sequences seq,
                       gri_block_kept *kept)
{
    take_kept(ex, stack, kept->x.shape[0], kept);
    if (seq.drop.rise > 0 && i > 0) {
        kept->stay1 = take_stay(ex, seq, i, 0);
        kept->stay2 = take_stay(ex, seq, i, 1);
    }
}

static void block_fwd(gr_exec *ex, const gri_stack *stack, int64_t i, gri_sequences seq,
                      const gri_block_kept *kept, gr_tensor y)
{
    attention_fwd(ex, &stack->shape, &stack->blocks[i], seq, kept);
    mlp_fwd(ex, &stack->shape, &stack->blocks[i], kept, y);
}

static void infer(gr_exec *ex, const gri_stack *stack, gri_sequences seq, gri_memory *memory,
                  gr_tensor x)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_block_kept shared = {.x = x};
    take_kept(ex, stack, x.shape[0], &shared);
    for (int64_t i = 0; i < stack->count; i++) {
        seq.memory = memory ? &memory[i] : NULL;
        block_fwd(ex, stack, i, seq, &shared, x);
    }
    gr_arena_reset(ex->scratch, mark);
}

gri_memory *gri_memory_take(gr_exec *ex, const gri_stack *stack, int64_t capacity)
{
    int64_t width = stack->shape.kv_heads * stack->shape.head_size;
    gri_memory *memory = gr_arena_take(ex->scratch, stack->count * (int64_t)sizeof(gri_memory));
    for (int64_t i = 0; i < stack->count; i++) {
        memory[i] = (gri_memory){.keys = gri_take_factor(ex, capacity, width),
                                 .values = gri_take_factor(ex, capacity, width)};
    }
    return memory;
}

void gri_stack_continue(gr_exec *ex, const gri_stack *stack, gri_sequences seq,
                        gri_memory *memory, gr_tensor x)
{
    GR_ASSERT(stack->shape.causal && seq.cu_seqlens.shape[0] == 2);
    infer(ex, stack, seq, memory, x);
}

/// Runs block i for its output alone; its input stays.
static void pass(gr_exec *ex, const gri_stack *stack, int64_t i, gri_sequences seq, gr_tensor x,
                 gr_tensor y)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_block_kept passing = {.x = x};
    take_block(ex, stack, i, seq, &passing);
    block_fwd(ex, stack, i, seq, &passing, y);
    gr_arena_reset(ex->scratch, mark);
}

gr_tensor gri_stack_fwd(gr_exec *ex, const gri_stack *stack, gri_sequences seq, gr_tensor x,
                        gri_block_kept **kept)
{
    if (!kept) {
        infer(ex, stack, seq, NULL, x);
        return x;
    }
    *kept = gr_arena_take(ex->scratch, stack->count * (int64_t)sizeof **kept);
    for (int64_t i = 0; i < stack->count; i++) {
        gr_tensor y = gri_take_matrix(ex, x.shape[0], stack->shape.width);
        (*kept)[i] = (gri_block_kept){.x = x};
        if (stack->recompute) {
            pass(ex, stack, i, seq, x, y);
        } else {
            take_block(ex, stack, i, seq, &(*kept)[i]);
            block_fwd(ex, stack, i, seq, &(*kept)[i], y);
        }
        x = y;
    }
    return x;
}

/// What the block's forward pass kept, computed again from its input. Of the MLP's output only what
/// the gradient of its scale needs.
static void recompute(gr_exec *ex, const gri_stack *stack, int64_t i, gri_sequences seq,
                      const float *grads, gri_block_kept *kept)
{
    const gri_block *b = &stack->blocks[i];
    take_block(ex, stack, i, seq, kept);
    attention_fwd(ex, &stack->shape, b, seq, kept);
    int64_t mark = gr_arena_mark(ex->scratch);
    bool output = grads && has(b->scale2);
    gr_tensor act = output ? gri_take_factor(ex, kept->x.shape[0], stack->shape.mlp_width)
                           : gr_tensor_none();
    mlp_inner(ex, &stack->shape, b, kept, act);
    if (output) {
        gri_linear_fwd(ex, &b->down, act, kept->z2);
        stay(kept->stay2, kept->z2);
    }
    gr_arena_reset(ex->scratch, mark);
}

void gri_stack_bwd(gr_exec *ex, const gri_stack *stack, gri_sequences seq,
                   const gri_block_kept *kept, float *grads, gr_tensor d)
{
    for (int64_t i = stack->count - 1; i >= 0; i--) {
        int64_t mark = gr_arena_mark(ex->scratch);
        gri_block_kept k = kept[i];
        if (stack->recompute) {
            recompute(ex, stack, i, seq, grads, &k);
        }
        mlp_bwd(ex, &stack->shape, &stack->blocks[i], &k, grads, d);
        attention_bwd(ex, &stack->shape, &stack->blocks[i], seq, &k, grads, d);
        gr_arena_reset(ex->scratch, mark);
    }
}
