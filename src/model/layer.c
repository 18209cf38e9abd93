#include "src/model/course.h"

/// The walk that made the table of parameters, once more: tensor for tensor the same order.
typedef struct binder {
    const gr_param *next;
    gri_flat flat;
    char *part;
    gri_block *blocks;
} binder;

static gr_err bind_one(void *state, const gri_tensor_at *at)
{
    binder *b = state;
    const gr_param *p = b->next++;
    const float *data = b->flat.weights + p->offset;
    const uint16_t *rounded = b->flat.rounded;
    char *base = b->part;
    if (at->block >= 0) {
        gri_block *block = &b->blocks[at->block];
        block->begin = block->end == 0 ? p->offset : block->begin;
        block->end = p->offset + p->count;
        base = (char *)block;
    }
    gr_tensor value = p->ndim == 1 ? gr_tensor_1d(data, p->count)
                                   : gr_tensor_2d(data, p->shape[0], p->count / p->shape[0]);
    *(gri_weight *)(void *)(base + at->rule->slot) = (gri_weight){
        .value = value,
        .factor = rounded ? gr_tensor_like(value, GR_DTYPE_BF16, rounded + p->offset) : value,
        .offset = p->offset,
    };
    return GR_OK;
}

void gri_bind(const gr_model_config *config, const gr_params *params, const gri_course *course,
              void *part_struct, gri_block *blocks)
{
    binder b = {&params->items[params->first[course->part]], course->flat, part_struct, blocks};
    gr_err err = gri_tensors_walk(config, course->part, bind_one, &b);
    GR_ASSERT(err == GR_OK && b.next == &params->items[params->first[course->part + 1]]);
}

gr_tensor gri_grad(gri_weight w, float *grads)
{
    if (!grads || !gr_tensor_present(w.value)) {
        return gr_tensor_none();
    }
    gr_tensor g = w.value;
    g.data = grads + w.offset;
    return g;
}

gr_tensor gri_take_vector(gr_exec *ex, int64_t n)
{
    return gr_tensor_1d(gr_arena_f32(ex->scratch, n), n);
}

gr_tensor gri_take_matrix(gr_exec *ex, int64_t rows, int64_t columns)
{
    return gr_tensor_2d(gr_arena_f32(ex->scratch, rows * columns), rows, columns);
}

static gr_dtype factor_type(const gr_exec *ex)
{
    return ex->precision == GR_PRECISION_BF16 ? GR_DTYPE_BF16 : GR_DTYPE_F32;
}

gr_tensor gri_take_factor(gr_exec *ex, int64_t rows, int64_t columns)
{
    gr_dtype dtype = factor_type(ex);
    void *data = gr_arena_take(ex->scratch, rows * columns * (int64_t)gr_dtype_size(dtype));
    return gr_tensor_like(gr_tensor_2d(NULL, rows, columns), dtype, data);
}

gr_tensor gri_as_factor(const gr_exec *ex, gr_tensor x)
{
    return gr_tensor_like(x, factor_type(ex), x.data);
}

void gri_linear_fwd(gr_exec *ex, const gri_linear *l, gr_tensor x, gr_tensor y)
{
    ex->ops->linear_fwd(ex, x, l->weight.factor, l->bias.value, y);
}

void gri_linear_bwd_weight(gr_exec *ex, const gri_linear *l, gr_tensor dy, gr_tensor x,
                           float *grads)
{
    if (grads) {
        ex->ops->linear_bwd_weight(ex, dy, x, gri_grad(l->weight, grads),
                                   gri_grad(l->bias, grads));
    }
}

void gri_linear_bwd_input(gr_exec *ex, const gri_linear *l, gr_tensor dy, gr_tensor dx,
                          bool accumulate)
{
    ex->ops->linear_bwd_input(ex, dy, l->weight.factor, dx, accumulate);
}

gri_norm_kept gri_norm_take(gr_exec *ex, const gri_norm *norm, int64_t rows)
{
    bool layer = gr_tensor_present(norm->bias.value);
    return (gri_norm_kept){.mean = layer ? gri_take_vector(ex, rows) : gr_tensor_none(),
                           .inv_std = gri_take_vector(ex, rows)};
}

void gri_norm_fwd(gr_exec *ex, const gri_norm *norm, double eps, gr_tensor x, gr_tensor y,
                  const gri_norm_kept *kept)
{
    if (gr_tensor_present(norm->bias.value)) {
        ex->ops->layernorm_fwd(ex, x, norm->weight.value, norm->bias.value, eps, y, kept->mean,
                               kept->inv_std);
    } else {
        ex->ops->rmsnorm_fwd(ex, x, norm->weight.value, eps, y, kept->inv_std);
    }
}

void gri_norm_bwd(gr_exec *ex, const gri_norm *norm, gr_tensor dy, gr_tensor x,
                  const gri_norm_kept *kept, gr_tensor dx, bool accumulate, float *grads)
{
    gr_tensor dw = gri_grad(norm->weight, grads), db = gri_grad(norm->bias, grads);
    if (gr_tensor_present(norm->bias.value)) {
        ex->ops->layernorm_bwd(ex, dy, x, norm->weight.value, kept->mean, kept->inv_std, dx,
                               accumulate, dw, db);
    } else {
        ex->ops->rmsnorm_bwd(ex, dy, x, norm->weight.value, kept->inv_std, dx, accumulate, dw);
    }
}
