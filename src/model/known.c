#include "src/model/known.h"

#include "src/base/mem.h"
#include "src/model/forward.h"

#include <math.h>
#include <stdio.h>

enum { PIXELS = 3 * 8 * 8, PATCHES = 16, WIDTH = 8, IMAGE_TOKENS = 4, CONNECTED = 6 };
enum { TOKENS = 6, VOCABULARY = 10, ARENA = 64 << 20 };

// The models are so small that fp32 leaves 1e-6; the references have six decimals.
static const double RELATIVE = 2e-6, ABSOLUTE = 2e-6;

/// A tiny model in its own memory, with the weights and the picture of the appendix.
typedef struct tiny {
    gr_exec *ex;
    gr_model *model;
    float pixels[PIXELS];
} tiny;

static void tiny_fini(tiny *t)
{
    gr_model_destroy(&t->model);
    gr_exec_destroy(&t->ex);
}

/// Tensor t of the table, element i: s = sin(0.5 + 1.3 t + 0.71 i); 1 + 0.1 s in the weights of norms, else 0.4 s.
static void fill(gr_model *model)
{
    const gr_params *params = gr_model_get_params(model);
    for (int64_t t = 0; t < params->count; t++) {
        const gr_param *p = &params->items[t];
        float *values = gr_model_edit_weights(model, p->part) + p->offset;
        for (int64_t i = 0; i < p->count; i++) {
            double s = sin(0.5 + 1.3 * (double)t + 0.71 * (double)i);
            values[i] = (float)(p->init == GR_INIT_ONE ? 1 + 0.1 * s : 0.4 * s);
        }
    }
}

/// `tensors`: how many the appendix lists.
static gr_err tiny_init(const gr_model_config *config, int64_t tensors, tiny *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_exec_create_cpu(1, ARENA, &out->ex));
    GR_TRY(gr_model_create(config, out->ex, &out->model));
    GR_TRY(gr_known_int("tensors", gr_model_get_params(out->model)->count, tensors));
    fill(out->model);
    gr_model_refresh(out->model);
    for (int i = 0; i < PIXELS; i++) {
        out->pixels[i] = (float)sin(0.37 * i);
    }
done:
    return err;
}

static gr_err compare_row(const char *what, const float *got, const double *want, int64_t n)
{
    return gr_known_close_n(what, got, want, n, RELATIVE, ABSOLUTE);
}

/// The sum of n numbers and of their squares.
static gr_err compare_sums(const char *what, const float *got, int64_t n, double sum,
                           double squares)
{
    gr_err err = GR_OK;
    double s = 0, q = 0;
    for (int64_t i = 0; i < n; i++) {
        s += (double)got[i];
        q += (double)got[i] * (double)got[i];
    }
    // Rounding of n numbers adds up in the sum, whatever the sum is.
    GR_TRY(gr_known_close(what, s, sum, RELATIVE, ABSOLUTE * sqrt((double)n)));
    GR_TRY(gr_known_close(what, q, squares, RELATIVE, ABSOLUTE));
done:
    return err;
}

static const gr_vision_config aimv2 = {.kind = GR_VISION_AIMV2,
                                       .image_size = 8,
                                       .patch_size = 2,
                                       .channels = 3,
                                       .width = WIDTH,
                                       .heads = 2,
                                       .mlp_width = 12,
                                       .blocks = 2,
                                       .norm_eps = 1e-5,
                                       .image_std = {1, 1, 1}};

/// Features [PATCHES, WIDTH] of the picture, and what the way there kept.
static gr_tensor look(tiny *t, gri_vision_kept *kept)
{
    gr_tensor features = gri_take_matrix(t->ex, PATCHES, WIDTH);
    gri_vision_fwd(t->ex, &t->model->vision,
                   gri_pictures_of((gr_pixels){.values = t->pixels}, 1, 3, 8, 8), features,
                   kept);
    return features;
}

/// A.1, the values.
static gr_err run_vision(void)
{
    static const double embedded[WIDTH] = {0.160857, 1.041906,  -1.235157, -0.102273,
                                           0.297090, -1.481121, 0.934079,  0.689517};
    static const double token0[WIDTH] = {-0.369072, -1.500018, -0.789628, 0.360310,
                                         -0.037293, 1.304718,  1.720061,  0.479169};
    static const double token1[WIDTH] = {0.092369,  -1.428748, -0.941040, 0.288079,
                                         -0.508344, 1.096966,  1.864485,  0.361748};
    static const double token15[WIDTH] = {0.637830,  -0.901655, -0.990954, 0.500544,
                                          -0.915139, 0.482145,  2.118212,  0.378876};
    const gr_model_config config = {.parts = 1u << GR_PART_VISION, .vision = aimv2};
    gr_err err = GR_OK;
    tiny t = {0};
    gri_vision_kept kept = {0};
    GR_TRY(tiny_init(&config, 19, &t));
    gr_tensor features = look(&t, &kept);
    GR_TRY(compare_row("AIMv2, behind the positions", gr_tensor_f32(kept.blocks[0].x, 0),
                       embedded, WIDTH));
    GR_TRY(compare_row("AIMv2, token 0", gr_tensor_f32(features, 0), token0, WIDTH));
    GR_TRY(compare_row("AIMv2, token 1", gr_tensor_f32(features, 1), token1, WIDTH));
    GR_TRY(compare_row("AIMv2, token 15", gr_tensor_f32(features, 15), token15, WIDTH));
    GR_TRY(compare_sums("AIMv2, sum of features or of their squares",
                        gr_tensor_f32(features, 0), PATCHES * WIDTH, 17.000803, 129.036798));
done:
    tiny_fini(&t);
    return err;
}

typedef struct gradient_row {
    const char *name;
    double norm, first, last;
} gradient_row;

static gr_err compare_gradient(const gr_params *params, const gradient_row *row,
                               const float *grads)
{
    gr_err err = GR_OK;
    char what[128];
    snprintf(what, sizeof what, "vision_model.%s", row->name);
    const gr_param *p = gr_params_find(params, what);
    if (!p) {
        GR_FAIL(GR_ERR_FAILED, "%s is no parameter", what);
    }
    const float *g = grads + p->offset;
    double squares = 0;
    for (int64_t i = 0; i < p->count; i++) {
        squares += (double)g[i] * (double)g[i];
    }
    // Single elements are sums over all tokens: their rounding goes with the whole tensor's size.
    const double relative = 2e-5, absolute = 2e-6 * row->norm;
    snprintf(what, sizeof what, "gradient of %s: norm, first or last element", row->name);
    GR_TRY(gr_known_close(what, sqrt(squares), row->norm, relative, absolute));
    GR_TRY(gr_known_close(what, (double)g[0], row->first, relative, absolute));
    GR_TRY(gr_known_close(what, (double)g[p->count - 1], row->last, relative, absolute));
done:
    return err;
}

/// A.1, gradients of sum_i output[i] cos(0.3 i).
static gr_err run_gradients(void)
{
    static const gradient_row rows[] = {
        {"preprocessor.patchifier.proj.weight", 28.201852, 0.887560, 6.283790},
        {"preprocessor.patchifier.proj.bias", 15.050309, 0.613899, 7.302268},
        {"preprocessor.patchifier.norm.weight", 8.547369, 0.046384, -2.044803},
        {"preprocessor.pos_embed", 8.214191, 0.274535, 1.153085},
        {"trunk.blocks.0.attn.qkv.weight", 12.978912, -0.006440, -0.251878},
        {"trunk.blocks.0.mlp.fc3.weight", 3.416929, -0.534185, -0.210870},
        {"trunk.blocks.1.norm_2.weight", 1.657005, 0.919080, -0.328111},
        {"trunk.blocks.1.mlp.fc2.weight", 3.684749, 0.008650, -0.073011},
        {"trunk.post_trunk_norm.weight", 1.546811, -0.075040, 0.848459},
    };
    const gr_model_config config = {.parts = 1u << GR_PART_VISION, .vision = aimv2};
    gr_err err = GR_OK;
    tiny t = {0};
    float *grads = NULL;
    gri_vision_kept kept = {0};
    double value = 0;
    GR_TRY(tiny_init(&config, 19, &t));
    const gr_params *params = gr_model_get_params(t.model);
    GR_ALLOC(grads, params->size[GR_PART_VISION]);
    gr_tensor features = look(&t, &kept);
    gr_tensor d = gri_take_matrix(t.ex, PATCHES, WIDTH);
    for (int i = 0; i < PATCHES * WIDTH; i++) {
        gr_tensor_f32(d, 0)[i] = (float)cos(0.3 * i);
        value += (double)gr_tensor_f32(features, 0)[i] * cos(0.3 * i);
    }
    GR_TRY(gr_known_close("AIMv2, sum of features times cos(0.3 i)", value, -0.622331, 1e-5,
                          ABSOLUTE * sqrt(PATCHES * WIDTH)));
    gri_vision_bwd(t.ex, &t.model->vision, &kept, d, grads);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        GR_TRY(compare_gradient(params, &rows[i], grads));
    }
done:
    GR_FREE(grads);
    tiny_fini(&t);
    return err;
}

static gr_language_config qwen2(int64_t width)
{
    return (gr_language_config){.kind = GR_LANGUAGE_QWEN2,
                                .vocabulary = VOCABULARY,
                                .width = width,
                                .blocks = 2,
                                .heads = 2,
                                .kv_heads = 1,
                                .head_size = 4,
                                .mlp_width = 12,
                                .max_positions = 64,
                                .rope_theta = 1e6,
                                .norm_eps = 1e-6,
                                .tied = true};
}

/// A.2: pixel shuffle and MLP behind the encoder of A.1.
static gr_err run_connector(void)
{
    static const double want[IMAGE_TOKENS * CONNECTED] = {
        1.759802, -0.886021, -0.183524, 1.994364, -0.923999, -1.169822, //
        0.361493, 0.433860,  0.060904,  0.460796, 0.172266,  -0.594642, //
        2.151120, -1.353140, -0.166472, 2.446575, -1.336388, -1.261509, //
        1.552296, -0.723219, -0.118345, 1.774580, -0.797036, -1.061032};
    const int32_t ids[IMAGE_TOKENS] = {0}, rows[] = {0, 1, 2, 3}, ends[] = {0, IMAGE_TOKENS};
    const gr_model_config config = {.parts = GR_PARTS_ALL,
                                    .vision = aimv2,
                                    .connector = {.norm_eps = 1e-5},
                                    .language = qwen2(CONNECTED)};
    gr_err err = GR_OK;
    tiny t = {0};
    float out[IMAGE_TOKENS * CONNECTED];
    GR_TRY(tiny_init(&config, 19 + 6 + 26, &t));
    const gr_batch batch = {.tokens = IMAGE_TOKENS,
                            .ids = ids,
                            .positions = rows,
                            .sequences = 1,
                            .cu_seqlens = ends,
                            .images = 1,
                            .pixels = {.values = t.pixels},
                            .image_rows = rows};
    GR_TRY(gr_model_trace(t.model, &batch, &(gr_trace){.connector = out}));
    GR_TRY(compare_row("connector", out, want, IMAGE_TOKENS * CONNECTED));
done:
    tiny_fini(&t);
    return err;
}

/// A.3: the class token's row is the first of what the blocks give, and no feature.
static gr_err run_internvit(void)
{
    static const double class_token[WIDTH] = {-0.331336, 0.544354, 0.766230, 0.577768,
                                              -0.045999, 0.090898, 0.370433, 0.126570};
    static const double token1[WIDTH] = {-0.445948, 0.613948, -1.656477, -0.107190,
                                         -0.743748, 0.789228, 0.958978,  -0.887917};
    static const double token16[WIDTH] = {0.902585,  0.239270, -1.064947, 0.283673,
                                          -0.483732, 0.788986, -0.855445, -0.130127};
    gr_err err = GR_OK;
    tiny t = {0};
    gri_vision_kept kept = {0};
    gr_model_config config = {.parts = 1u << GR_PART_VISION, .vision = aimv2};
    config.vision.kind = GR_VISION_INTERNVIT;
    config.vision.norm = GR_NORM_LAYER;
    config.vision.mlp = GR_MLP_GELU;
    config.vision.qkv_bias = true;
    config.vision.norm_eps = 1e-6;
    GR_TRY(tiny_init(&config, 4 + 2 * 14, &t));
    gr_tensor features = look(&t, &kept);
    GR_TRY(gr_known_int("InternViT, rows of the blocks", kept.last.shape[0], PATCHES + 1));
    GR_TRY(
        compare_row("InternViT, class token", gr_tensor_f32(kept.last, 0), class_token, WIDTH));
    GR_TRY(compare_row("InternViT, token 1", gr_tensor_f32(features, 0), token1, WIDTH));
    GR_TRY(compare_row("InternViT, token 16", gr_tensor_f32(features, 15), token16, WIDTH));
    GR_TRY(compare_sums("InternViT, sum of values or of their squares",
                        gr_tensor_f32(kept.last, 0), (PATCHES + 1) * WIDTH, -14.282821,
                        83.931377));
done:
    tiny_fini(&t);
    return err;
}

/// What a language model must give for six ids, three of them targets, and for the same ids as two
/// conversations of three.
typedef struct language_answer {
    int64_t tensors;
    double first[VOCABULARY], last[VOCABULARY], packed_last[VOCABULARY];
    double sum, squares, loss;
} language_answer;

static gr_err compare_language(const gr_language_config *language, const language_answer *want)
{
    static const int32_t ids[] = {1, 5, 3, 9, 7, 2}, targets[] = {-100, -100, 9, 7, 2, -100};
    static const int32_t positions[] = {0, 1, 2, 3, 4, 5}, ends[] = {0, 6};
    static const int32_t packed_positions[] = {0, 1, 2, 0, 1, 2}, packed_ends[] = {0, 3, 6};
    const gr_model_config config = {.parts = 1u << GR_PART_LANGUAGE, .language = *language};
    gr_err err = GR_OK;
    tiny t = {0};
    float logits[TOKENS * VOCABULARY];
    const float *last = logits + (TOKENS - 1) * VOCABULARY;
    double loss = 0;
    GR_TRY(tiny_init(&config, want->tensors, &t));
    gr_batch batch = {.tokens = TOKENS,
                      .ids = ids,
                      .targets = targets,
                      .positions = positions,
                      .sequences = 1,
                      .cu_seqlens = ends};
    GR_TRY(gr_model_trace(t.model, &batch, &(gr_trace){.logits = logits}));
    GR_TRY(compare_row("logits of row 0", logits, want->first, VOCABULARY));
    GR_TRY(compare_row("logits of row 5", last, want->last, VOCABULARY));
    GR_TRY(compare_sums("sum of logits or of their squares", logits, TOKENS * VOCABULARY,
                        want->sum, want->squares));
    GR_TRY(gr_model_loss(t.model, &batch, &loss));
    GR_TRY(gr_known_close("loss", loss / 3, want->loss, RELATIVE, ABSOLUTE));
    batch.positions = packed_positions;
    batch.sequences = 2;
    batch.cu_seqlens = packed_ends;
    GR_TRY(gr_model_trace(t.model, &batch, &(gr_trace){.logits = logits}));
    GR_TRY(compare_row("last logits of a packed row", last, want->packed_last, VOCABULARY));
done:
    tiny_fini(&t);
    return err;
}

/// A.4, Qwen2.
static gr_err run_qwen2(void)
{
    static const language_answer want = {
        .tensors = 26,
        .first = {0.961065, 0.678290, 0.156123, -0.421146, -0.849777, -0.978493, -0.761865,
                  -0.276349, 0.306700, 0.781504},
        .last = {-1.900065, -1.304578, -0.248661, 0.895017, 1.722813, 1.942569, 1.476726,
                 0.489696, -0.670165, -1.593502},
        .packed_last = {-1.874395, -1.269284, -0.216199, 0.913189, 1.720282, 1.920229, 1.442461,
                        0.455599, -0.692060, -1.595466},
        .sum = 1.556344,
        .squares = 83.393388,
        .loss = 2.968076};
    const gr_language_config config = qwen2(WIDTH);
    return compare_language(&config, &want);
}

/// A.4, Qwen3.
static gr_err run_qwen3(void)
{
    static const language_answer want = {
        .tensors = 25,
        .first = {0.015744, -0.258845, -0.442079, -0.469288, -0.330869, -0.075676, 0.206227,
                  0.415344, 0.477873, 0.371744},
        .last = {0.520808, 0.639365, 0.532268, 0.237316, -0.141394, -0.470201, -0.633057,
                 -0.572487, -0.309866, 0.062118},
        .packed_last = {0.638533, 1.079196, 1.138974, 0.796769, 0.173357, -0.511239, -1.015401,
                        -1.161193, -0.897161, -0.316489},
        .sum = 0.055974,
        .squares = 12.000739,
        .loss = 2.341048};
    gr_language_config config = qwen2(WIDTH);
    config.kind = GR_LANGUAGE_QWEN3;
    config.heads = 4;
    config.kv_heads = 2;
    config.head_size = 6;
    config.tied = false;
    return compare_language(&config, &want);
}

static const gr_known table[] = {
    {"vision", run_vision},       {"gradients", run_gradients}, {"connector", run_connector},
    {"internvit", run_internvit}, {"language", run_qwen2},      {"qwen3", run_qwen3},
};

const gr_known *gr_model_known(int64_t *count)
{
    *count = sizeof table / sizeof table[0];
    return table;
}
