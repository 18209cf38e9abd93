#include "src/model/connector.h"

void gri_connector_bind(const gr_connector_config *config, const gr_params *params,
                        float *weights, gri_connector *out)
{
    *out = (gri_connector){
        .eps = config->norm_eps,
        .norm_weight = gri_weight_find(params, weights, "mlp1.0.weight"),
        .norm_bias = gri_weight_find(params, weights, "mlp1.0.bias"),
        .first.weight = gri_weight_find(params, weights, "mlp1.1.weight"),
        .first.bias = gri_weight_find(params, weights, "mlp1.1.bias"),
        .second.weight = gri_weight_find(params, weights, "mlp1.3.weight"),
        .second.bias = gri_weight_find(params, weights, "mlp1.3.bias"),
    };
}

/// [rows of all images, C] as [images, rows of one image, C].
static gr_tensor by_image(gr_tensor x, int64_t images)
{
    return gr_tensor_3d(gr_tensor_f32(x, 0), images, x.shape[0] / images, x.shape[1]);
}

static void normalise(gr_exec *ex, const gri_connector *c, const gri_connector_kept *kept,
                      gr_tensor n)
{
    ex->ops->layernorm_fwd(ex, kept->shuffled, c->norm_weight.value, c->norm_bias.value, c->eps,
                           n, kept->mean, kept->inv_std);
}

static void connect(gr_exec *ex, const gri_connector *c, gr_tensor features, int64_t images,
                    gr_tensor y, gri_connector_kept *kept)
{
    int64_t M = y.shape[0], I = c->first.weight.value.shape[1];
    kept->shuffled = gri_take_matrix(ex, M, I);
    kept->mean = gri_take_vector(ex, M);
    kept->inv_std = gri_take_vector(ex, M);
    kept->z = gri_take_matrix(ex, M, y.shape[1]);
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor n = gri_take_matrix(ex, M, I);
    gr_tensor g = gri_take_matrix(ex, M, y.shape[1]);
    ex->ops->pixel_shuffle_fwd(ex, by_image(features, images),
                               by_image(kept->shuffled, images));
    normalise(ex, c, kept, n);
    gri_linear_fwd(ex, &c->first, n, kept->z);
    ex->ops->gelu_fwd(ex, kept->z, g);
    gri_linear_fwd(ex, &c->second, g, y);
    gr_arena_reset(ex->scratch, mark);
}

void gri_connector_fwd(gr_exec *ex, const gri_connector *c, gr_tensor features, int64_t images,
                       gr_tensor y, gri_connector_kept *kept)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_connector_kept passing = {0};
    connect(ex, c, features, images, y, kept ? kept : &passing);
    if (!kept) {
        gr_arena_reset(ex->scratch, mark);
    }
}

void gri_connector_bwd(gr_exec *ex, const gri_connector *c, const gri_connector_kept *kept,
                       int64_t images, gr_tensor dy, float *grads, gr_tensor dfeatures)
{
    const gr_ops *ops = ex->ops;
    int64_t mark = gr_arena_mark(ex->scratch);
    bool below = gr_tensor_present(dfeatures);
    gr_tensor g = gri_take_matrix(ex, dy.shape[0], dy.shape[1]), dz = g;
    gr_tensor n = gri_take_matrix(ex, dy.shape[0], kept->shuffled.shape[1]), dn = n;
    gr_tensor dshuffled =
        below ? gri_take_matrix(ex, n.shape[0], n.shape[1]) : gr_tensor_none();
    if (grads) {
        ops->gelu_fwd(ex, kept->z, g);
        gri_linear_bwd_weight(ex, &c->second, dy, g, grads);
        normalise(ex, c, kept, n);
    }
    gri_linear_bwd_input(ex, &c->second, dy, dz, false);
    ops->gelu_bwd(ex, dz, kept->z, dz);
    gri_linear_bwd_weight(ex, &c->first, dz, n, grads);
    gri_linear_bwd_input(ex, &c->first, dz, dn, false);
    ops->layernorm_bwd(ex, dn, kept->shuffled, c->norm_weight.value, kept->mean, kept->inv_std,
                       dshuffled, false, gri_grad(c->norm_weight, grads),
                       gri_grad(c->norm_bias, grads));
    if (below) {
        ops->pixel_shuffle_bwd(ex, by_image(dshuffled, images), by_image(dfeatures, images));
    }
    gr_arena_reset(ex->scratch, mark);
}
