#include "src/model/layer.h"

#include <stdarg.h>
#include <stdio.h>

gri_weight gri_weight_find(const gr_params *params, float *flat, const char *fmt, ...)
{
    char name[160];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    GR_ASSERT(n >= 0 && (size_t)n < sizeof name);
    const gr_param *p = gr_params_find(params, name);
    GR_ASSERT(p != NULL);
    float *data = flat + p->offset;
    return (gri_weight){
        .value = p->ndim == 1 ? gr_tensor_1d(data, p->count)
                              : gr_tensor_2d(data, p->shape[0], p->count / p->shape[0]),
        .offset = p->offset,
    };
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

void gri_linear_fwd(gr_exec *ex, const gri_linear *l, gr_tensor x, gr_tensor y)
{
    ex->ops->linear_fwd(ex, x, l->weight.value, l->bias.value, y);
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
    ex->ops->linear_bwd_input(ex, dy, l->weight.value, dx, accumulate);
}
