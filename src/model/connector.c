#include "src/model/connector.h"

#define SLOT(member) offsetof(gri_connector, member)

static const gri_tensor_rule rules[] = {
    GRI_TENSOR("0.weight", SLOT(norm.weight), GRI_ONES, 0, GRI_D),
    GRI_TENSOR("0.bias", SLOT(norm.bias), GRI_ZEROS, 0, GRI_D),
    {.name = "1.weight",
     .slot = SLOT(first.weight),
     .shape = {GRI_F, GRI_D},
     .fresh = GRI_UNIFORM,
     .fan = GRI_D},
    {.name = "1.bias",
     .slot = SLOT(first.bias),
     .shape = {GRI_F},
     .fresh = GRI_UNIFORM,
     .fan = GRI_D},
    {.name = "3.weight",
     .slot = SLOT(second.weight),
     .shape = {GRI_F, GRI_F},
     .fresh = GRI_UNIFORM,
     .fan = GRI_F},
    {.name = "3.bias",
     .slot = SLOT(second.bias),
     .shape = {GRI_F},
     .fresh = GRI_UNIFORM,
     .fan = GRI_F},
};

static unsigned features(const gr_model_config *config)
{
    (void)config;
    return 0;
}

const gri_architecture gri_mlp = {
    .features = features,
    .sections = {{"mlp1.", false, GRI_RULES(rules)}},
};

void gri_connector_bind(const gr_model_config *config, const gr_params *params,
                        gri_course *course, gri_connector *out)
{
    *out = (gri_connector){.eps = config->connector.norm_eps,
                           .by_column = config->connector.by_column,
                           .course = course};
    gri_bind(config, params, course, out, NULL);
}

/// [rows of all images, C] as [images, rows of one image, C].
static gr_tensor by_image(gr_tensor x, int64_t images)
{
    return gr_tensor_3d(gr_tensor_f32(x, 0), images, x.shape[0] / images, x.shape[1]);
}

static void connect(gr_exec *ex, const gri_connector *c, gr_tensor features, gr_tensor y,
                    gri_connector_kept *kept)
{
    int64_t M = y.shape[0], I = c->first.weight.value.shape[1];
    kept->shuffled = gri_take_matrix(ex, M, I);
    kept->n = gri_norm_take(ex, &c->norm, M);
    kept->z = gri_take_factor(ex, M, y.shape[1]);
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor n = gri_take_factor(ex, M, I);
    gr_tensor g = gri_take_factor(ex, M, y.shape[1]);
    ex->ops->pixel_shuffle_fwd(ex, features, c->by_column,
                               by_image(kept->shuffled, features.shape[0]));
    gri_norm_fwd(ex, &c->norm, c->eps, kept->shuffled, n, &kept->n);
    gri_linear_fwd(ex, &c->first, n, kept->z);
    ex->ops->gelu_fwd(ex, kept->z, g);
    gri_linear_fwd(ex, &c->second, g, y);
    gr_arena_reset(ex->scratch, mark);
}

void gri_connector_fwd(gr_exec *ex, const gri_connector *c, gr_tensor features, gr_tensor y,
                       gri_connector_kept *kept)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_connector_kept passing = {0};
    gri_course_reads(c->course, c->course->size);
    connect(ex, c, features, y, kept ? kept : &passing);
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
    gr_tensor g = gri_take_factor(ex, dy.shape[0], dy.shape[1]), dz = g;
    gr_tensor dn = gri_take_matrix(ex, dy.shape[0], kept->shuffled.shape[1]);
    gr_tensor n = gri_as_factor(ex, dn);
    gr_tensor dshuffled =
        below ? gri_take_matrix(ex, n.shape[0], n.shape[1]) : gr_tensor_none();
    if (grads) {
        ops->gelu_fwd(ex, kept->z, g);
        gri_linear_bwd_weight(ex, &c->second, dy, g, grads);
        gri_norm_fwd(ex, &c->norm, c->eps, kept->shuffled, n, &kept->n);
    }
    gri_linear_bwd_input(ex, &c->second, dy, dz, false);
    ops->gelu_bwd(ex, dz, kept->z, dz);
    gri_linear_bwd_weight(ex, &c->first, dz, n, grads);
    gri_linear_bwd_input(ex, &c->first, dz, dn, false);
    gri_norm_bwd(ex, &c->norm, dn, kept->shuffled, &kept->n, dshuffled, false, grads);
    if (grads) {
        gri_course_made(c->course, 0);
    }
    if (below) {
        ops->pixel_shuffle_bwd(ex, by_image(dshuffled, images), c->by_column, dfeatures);
    }
    gr_arena_reset(ex->scratch, mark);
}
