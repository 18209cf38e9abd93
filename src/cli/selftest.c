#include "src/cli/selftest.h"

#include "src/base/mem.h"
#include "src/model/model.h"

#include <math.h>
#include <string.h>

// Tensor t of the table, element i: w = sin(0.5 + 1.3 t + 0.71 i); 1 + 0.1 w in norms, else 0.4 w.
static void fill(gr_model *model)
{
    const gr_params *params = gr_model_get_params(model);
    for (int64_t t = 0; t < params->count; t++) {
        const gr_param *p = &params->items[t];
        float *values = gr_model_weights(model, p->part) + p->offset;
        bool norm = strstr(p->name, "norm") != NULL;
        for (int64_t i = 0; i < p->count; i++) {
            double w = sin(0.5 + 1.3 * (double)t + 0.71 * (double)i);
            values[i] = (float)(norm ? 1 + 0.1 * w : 0.4 * w);
        }
    }
}

// Both models are so small that fp32 leaves 1e-6; the references have six decimals.
static gr_err compare(const char *what, double got, double want)
{
    gr_err err = GR_OK;
    if (!(fabs(got - want) <= 2e-6 * fabs(want) + 2e-6)) { // NaN fails too
        GR_FAIL(GR_ERR_FAILED, "self-test: %s: expected %.6f, got %.9g", what, want, got);
    }
done:
    return err;
}

static const gr_model_config vision_config = {
    .parts = 1u << GR_PART_VISION,
    .vision = {.kind = GR_VISION_AIMV2,
               .image_size = 8,
               .patch_size = 2,
               .channels = 3,
               .width = 8,
               .heads = 2,
               .mlp_width = 12,
               .blocks = 2,
               .norm_eps = 1e-5,
               .image_std = {1, 1, 1}},
};

gr_err gri_selftest_vision(gr_exec *ex)
{
    enum { PIXELS = 3 * 8 * 8, FEATURES = 16 * 8 };
    gr_err err = GR_OK;
    gr_model *model = NULL;
    float pixels[PIXELS], features[FEATURES];
    const int32_t ends[] = {0};
    double sum = 0, squares = 0;
    GR_TRY(gr_model_create(&vision_config, ex, &model));
    fill(model);
    for (int i = 0; i < PIXELS; i++) {
        pixels[i] = (float)sin(0.37 * i);
    }
    const gr_batch batch = {.cu_seqlens = ends, .images = 1, .pixels = pixels};
    GR_TRY(gr_model_trace(model, &batch, &(gr_trace){.vision_features = features}));
    for (int i = 0; i < FEATURES; i++) {
        sum += features[i];
        squares += (double)features[i] * features[i];
    }
    GR_TRY(compare("vision encoder, sum of features", sum, 17.000803));
    GR_TRY(compare("vision encoder, sum of their squares", squares, 129.036798));
done:
    gr_model_destroy(&model);
    return err;
}

static const gr_model_config language_config = {
    .parts = 1u << GR_PART_LANGUAGE,
    .language = {.kind = GR_LANGUAGE_QWEN2,
                 .vocabulary = 10,
                 .width = 8,
                 .blocks = 2,
                 .heads = 2,
                 .kv_heads = 1,
                 .head_size = 4,
                 .mlp_width = 12,
                 .max_positions = 64,
                 .rope_theta = 1e6,
                 .norm_eps = 1e-6,
                 .tied = true},
};

gr_err gri_selftest_language(gr_exec *ex)
{
    gr_err err = GR_OK;
    gr_model *model = NULL;
    const int32_t ids[] = {1, 5, 3, 9, 7, 2}, targets[] = {-100, -100, 9, 7, 2, -100};
    const int32_t positions[] = {0, 1, 2, 3, 4, 5}, ends[] = {0, 6};
    double loss = 0;
    GR_TRY(gr_model_create(&language_config, ex, &model));
    fill(model);
    const gr_batch batch = {.tokens = 6,
                            .ids = ids,
                            .targets = targets,
                            .positions = positions,
                            .sequences = 1,
                            .cu_seqlens = ends};
    GR_TRY(gr_model_loss(model, &batch, &loss));
    GR_TRY(compare("language model, loss", loss / 3, 2.968076));
done:
    gr_model_destroy(&model);
    return err;
}
