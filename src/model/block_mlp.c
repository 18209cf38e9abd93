#include "src/model/block.h"

void gri_mlp_take(gr_exec *ex, const gri_block_shape *s, const gri_block *b, int64_t T,
                  gri_block_kept *kept)
{
    kept->n2 = gri_norm_take(ex, &b->norm2, T);
    kept->gate = gri_take_factor(ex, T, s->mlp_width);
    if (gri_has(b->up.weight)) {
        kept->up = gri_take_factor(ex, T, s->mlp_width);
    }
    if (gri_has(b->scale2)) {
        kept->z2 = gri_take_matrix(ex, T, s->width);
    }
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

void gri_mlp_inner(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                   const gri_block_kept *kept, gr_tensor act)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor n = gri_take_factor(ex, kept->x1.shape[0], s->width);
    gri_norm_fwd(ex, &b->norm2, s->eps, kept->x1, n, &kept->n2);
    gri_linear_fwd(ex, &b->gate, n, kept->gate);
    if (gri_has(b->up.weight)) {
        gri_linear_fwd(ex, &b->up, n, kept->up);
    }
    if (gr_tensor_present(act)) {
        activate(ex, s, kept, act);
    }
    gr_arena_reset(ex->scratch, mark);
}

void gri_mlp_fwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                 const gri_block_kept *kept, gr_tensor y)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor act = gri_take_factor(ex, y.shape[0], s->mlp_width);
    gri_mlp_inner(ex, s, b, kept, act);
    gr_tensor z = gri_has(b->scale2) ? kept->z2 : y;
    gri_linear_fwd(ex, &b->down, act, z);
    gri_branch_drop(ex, kept->stay2, z);
    gri_branch_add(ex, b->scale2, kept->x1, z, y);
    gr_arena_reset(ex->scratch, mark);
}

void gri_mlp_bwd(gr_exec *ex, const gri_block_shape *s, const gri_block *b,
                 const gri_block_kept *kept, float *grads, gr_tensor d)
{
    int64_t mark = gr_arena_mark(ex->scratch), T = d.shape[0];
    gr_tensor act = gri_take_factor(ex, T, s->mlp_width), dact = act;
    gr_tensor dn = gri_take_matrix(ex, T, s->width), n = gri_as_factor(ex, dn);
    gr_tensor dz = gri_branch_bwd(ex, b->scale2, d, kept->z2, kept->stay2, grads);
    if (grads) {
        activate(ex, s, kept, act);
        gri_linear_bwd_weight(ex, &b->down, dz, act, grads);
        gri_norm_fwd(ex, &b->norm2, s->eps, kept->x1, n, &kept->n2);
    }
    gri_linear_bwd_input(ex, &b->down, dz, dact, false);
    activate_bwd(ex, s, kept, dact);
    gr_tensor dgate = s->mlp == GR_MLP_SWIGLU ? kept->gate : dact;
    gri_linear_bwd_weight(ex, &b->gate, dgate, n, grads);
    if (gri_has(b->up.weight)) {
        gri_linear_bwd_weight(ex, &b->up, kept->up, n, grads);
    }
    gri_linear_bwd_input(ex, &b->gate, dgate, dn, false);
    if (gri_has(b->up.weight)) {
        gri_linear_bwd_input(ex, &b->up, kept->up, dn, true);
    }
    gri_norm_bwd(ex, &b->norm2, dn, kept->x1, &kept->n2, d, true, grads);
    gr_arena_reset(ex->scratch, mark);
}
