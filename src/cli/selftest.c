#include "src/cli/selftest.h"

#include "src/base/mem.h"
#include "src/model/model.h"

#include <math.h>

enum { PIXELS = 3 * 8 * 8, VISION_TOKENS = 16, WIDTH = 8, IMAGE_TOKENS = 4, CONNECTED = 6 };

// Tensor t of the table, element i: w = sin(0.5 + 1.3 t + 0.71 i); 1 + 0.1 w in the weights of norms, else 0.4 w.
static void fill(gr_model *model)
{
    const gr_params *params = gr_model_get_params(model);
    for (int64_t t = 0; t < params->count; t++) {
        const gr_param *p = &params->items[t];
        float *values = gr_model_edit_weights(model, p->part) + p->offset;
        for (int64_t i = 0; i < p->count; i++) {
            double w = sin(0.5 + 1.3 * (double)t + 0.71 * (double)i);
            values[i] = (float)(p->init == GR_INIT_ONE ? 1 + 0.1 * w : 0.4 * w);
        }
    }
}

static void fill_pixels(float pixels[PIXELS])
{
    for (int i = 0; i < PIXELS; i++) {
        pixels[i] = (float)sin(0.37 * i);
    }
}

// The models are so small that fp32 leaves 1e-6; the references have six decimals.
static gr_err compare(const char *what, double got, double want)
{
    gr_err err = GR_OK;
    if (!(fabs(got - want) <= 2e-6 * fabs(want) + 2e-6)) { // NaN fails too
        GR_FAIL(GR_ERR_FAILED, "self-test: %s: expected %.6f, got %.9g", what, want, got);
    }
done:
    return err;
}

static gr_err compare_row(const char *what, const float *got, const double *want, int64_t n)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < n; i++) {
        GR_TRY(compare(what, (double)got[i], want[i]));
    }
done:
    return err;
}

// The sum of n numbers and of their squares.
static gr_err compare_sums(const char *what, const float *got, int64_t n, double sum,
                           double squares)
{
    gr_err err = GR_OK;
    double s = 0, q = 0;
    for (int64_t i = 0; i < n; i++) {
        s += (double)got[i];
        q += (double)got[i] * (double)got[i];
    }
    GR_TRY(compare(what, s, sum));
    GR_TRY(compare(what, q, squares));
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

// AIMv2 on one picture, against the published module.
static gr_err run_vision(gr_exec *ex)
{
    static const double last[WIDTH] = {0.637830,  -0.901655, -0.990954, 0.500544,
                                       -0.915139, 0.482145,  2.118212,  0.378876};
    gr_err err = GR_OK;
    gr_model *model = NULL;
    float pixels[PIXELS], features[VISION_TOKENS * WIDTH];
    const int32_t ends[] = {0};
    const gr_model_config config = {.parts = 1u << GR_PART_VISION, .vision = aimv2};
    GR_TRY(gr_model_create(&config, ex, &model));
    fill(model);
    fill_pixels(pixels);
    const gr_batch batch = {.cu_seqlens = ends, .images = 1, .pixels = pixels};
    GR_TRY(gr_model_trace(model, &batch, &(gr_trace){.vision_features = features}));
    GR_TRY(compare_sums("AIMv2, sum of features or of their squares", features,
                        VISION_TOKENS * WIDTH, 17.000803, 129.036798));
    GR_TRY(
        compare_row("AIMv2, last token", features + (VISION_TOKENS - 1) * WIDTH, last, WIDTH));
done:
    gr_model_destroy(&model);
    return err;
}

static gr_language_config qwen2(int64_t width)
{
    return (gr_language_config){.kind = GR_LANGUAGE_QWEN2,
                                .vocabulary = 10,
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

// Pixel shuffle and MLP behind that encoder, against the published connector.
static gr_err run_connector(gr_exec *ex)
{
    static const double want[IMAGE_TOKENS * CONNECTED] = {
        1.759802, -0.886021, -0.183524, 1.994364, -0.923999, -1.169822, //
        0.361493, 0.433860,  0.060904,  0.460796, 0.172266,  -0.594642, //
        2.151120, -1.353140, -0.166472, 2.446575, -1.336388, -1.261509, //
        1.552296, -0.723219, -0.118345, 1.774580, -0.797036, -1.061032};
    gr_err err = GR_OK;
    gr_model *model = NULL;
    float pixels[PIXELS], out[IMAGE_TOKENS * CONNECTED];
    const int32_t ids[IMAGE_TOKENS] = {0}, rows[] = {0, 1, 2, 3}, ends[] = {0, IMAGE_TOKENS};
    const gr_model_config config = {.parts = GR_PARTS_ALL,
                                    .vision = aimv2,
                                    .connector = {.norm_eps = 1e-5},
                                    .language = qwen2(CONNECTED)};
    GR_TRY(gr_model_create(&config, ex, &model));
    fill(model);
    fill_pixels(pixels);
    const gr_batch batch = {.tokens = IMAGE_TOKENS,
                            .ids = ids,
                            .positions = rows,
                            .sequences = 1,
                            .cu_seqlens = ends,
                            .images = 1,
                            .pixels = pixels,
                            .image_rows = rows};
    GR_TRY(gr_model_trace(model, &batch, &(gr_trace){.connector = out}));
    GR_TRY(compare_row("connector", out, want, IMAGE_TOKENS * CONNECTED));
done:
    gr_model_destroy(&model);
    return err;
}

enum { TOKENS = 6, VOCABULARY = 10 };

// What a language model must give for six ids, three of them targets, and for the same ids as two
// conversations of three.
typedef struct language_vector {
    double sum, squares, loss, packed_last[VOCABULARY];
} language_vector;

static gr_err run_language(gr_exec *ex, const char *name, const gr_language_config *language,
                           const language_vector *want)
{
    gr_err err = GR_OK;
    gr_model *model = NULL;
    const int32_t ids[] = {1, 5, 3, 9, 7, 2}, targets[] = {-100, -100, 9, 7, 2, -100};
    const int32_t positions[] = {0, 1, 2, 3, 4, 5}, ends[] = {0, 6};
    const int32_t packed_positions[] = {0, 1, 2, 0, 1, 2}, packed_ends[] = {0, 3, 6};
    const gr_model_config config = {.parts = 1u << GR_PART_LANGUAGE, .language = *language};
    float logits[TOKENS * VOCABULARY];
    double loss = 0;
    GR_TRY(gr_model_create(&config, ex, &model));
    fill(model);
    gr_batch batch = {.tokens = TOKENS,
                      .ids = ids,
                      .targets = targets,
                      .positions = positions,
                      .sequences = 1,
                      .cu_seqlens = ends};
    GR_TRY(gr_model_trace(model, &batch, &(gr_trace){.logits = logits}));
    GR_TRY(compare_sums("sum of logits or of their squares", logits, TOKENS * VOCABULARY,
                        want->sum, want->squares));
    GR_TRY(gr_model_loss(model, &batch, &loss));
    GR_TRY(compare("loss", loss / 3, want->loss));
    batch.positions = packed_positions;
    batch.sequences = 2;
    batch.cu_seqlens = packed_ends;
    GR_TRY(gr_model_trace(model, &batch, &(gr_trace){.logits = logits}));
    GR_TRY(compare_row("last logits of a packed row", logits + (TOKENS - 1) * VOCABULARY,
                       want->packed_last, VOCABULARY));
done:
    if (err != GR_OK) {
        gr_err_context("%s", name);
    }
    gr_model_destroy(&model);
    return err;
}

static gr_err run_qwen2(gr_exec *ex)
{
    static const language_vector want = {.sum = 1.556344,
                                         .squares = 83.393388,
                                         .loss = 2.968076,
                                         .packed_last = {-1.874395, -1.269284, -0.216199,
                                                         0.913189, 1.720282, 1.920229, 1.442461,
                                                         0.455599, -0.692060, -1.595466}};
    const gr_language_config config = qwen2(WIDTH);
    return run_language(ex, "Qwen2", &config, &want);
}

static const gri_selftest tests[] = {
    {"vision", run_vision},
    {"connector", run_connector},
    {"language", run_qwen2},
};

const gri_selftest *gri_selftests(int64_t *count)
{
    *count = sizeof tests / sizeof *tests;
    return tests;
}
