#include "src/model/block.h"

void gri_branch_add(gr_exec *ex, gri_weight scale, gr_tensor x, gr_tensor z, gr_tensor y)
{
    if (gri_has(scale)) {
        ex->ops->layer_scale_fwd(ex, x, scale.value, z, y);
    } else {
        ex->ops->add(ex, x, y);
    }
}

void gri_branch_drop(gr_exec *ex, gr_tensor factors, gr_tensor z)
{
    if (gr_tensor_present(factors)) {
        ex->ops->rows_scale(ex, factors, z);
    }
}

gr_tensor gri_branch_bwd(gr_exec *ex, gri_weight scale, gr_tensor d, gr_tensor z,
                         gr_tensor factors, float *grads)
{
    if (!gri_has(scale)) {
        GR_ASSERT(!gr_tensor_present(factors));
        return d;
    }
    gr_tensor dz = gri_take_matrix(ex, d.shape[0], d.shape[1]);
    ex->ops->layer_scale_bwd(ex, d, scale.value, z, dz, gri_grad(scale, grads));
    gri_branch_drop(ex, factors, dz);
    return dz;
}
