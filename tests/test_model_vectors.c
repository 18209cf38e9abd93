/// Published check vectors: AIMv2 from Apple's module, the connector and Qwen2 from independent
/// implementations in double precision. Values are printed to 6 decimals; the network runs in fp32, so
/// 1e-5 of the value and 5e-6 besides are allowed.

#include "tests/model_support.h"

static const double relative = 1e-5, absolute = 5e-6;

/// Tensor number t of the table: norm weights 1 + 0.1 sin(0.5 + 1.3 t + 0.71 i), others 0.4 sin(...).
static void fill_weights(gr_model *model)
{
    const gr_params *params = gr_model_get_params(model);
    for (int64_t t = 0; t < params->count; t++) {
        const gr_param *p = &params->items[t];
        float *w = gr_model_edit_weights(model, p->part) + p->offset;
        for (int64_t i = 0; i < p->count; i++) {
            double s = sin(0.5 + 1.3 * (double)t + 0.71 * (double)i);
            w[i] = (float)(p->init == GR_INIT_ONE ? 1 + 0.1 * s : 0.4 * s);
        }
    }
}

static void fill_pixels(float *pixels)
{
    for (int i = 0; i < 3 * 8 * 8; i++) {
        pixels[i] = (float)sin(0.37 * i);
    }
}

static gr_model_config vision_config(void)
{
    return tiny_config(1u << GR_PART_VISION);
}

static gr_model_config internvit_config(void)
{
    gr_model_config config = vision_config();
    config.vision.kind = GR_VISION_INTERNVIT;
    config.vision.norm = GR_NORM_LAYER;
    config.vision.mlp = GR_MLP_GELU;
    config.vision.qkv_bias = true;
    config.vision.norm_eps = 1e-6;
    return config;
}

static void test_vision_values(void)
{
    static const float want[3][8] = {
        {-0.369072f, -1.500018f, -0.789628f, 0.360310f, -0.037293f, 1.304718f, 1.720061f,
         0.479169f},
        {0.092369f, -1.428748f, -0.941040f, 0.288079f, -0.508344f, 1.096966f, 1.864485f,
         0.361748f},
        {0.637830f, -0.901655f, -0.990954f, 0.500544f, -0.915139f, 0.482145f, 2.118212f,
         0.378876f},
    };
    static const int token[3] = {0, 1, 15};
    gr_model_config config = vision_config();
    fixture f = fixture_create(&config, 1);
    float pixels[192], out[16 * 8];
    double sum = 0, sumsq = 0;
    fill_weights(f.model);
    fill_pixels(pixels);
    gr_batch batch = {.images = 1, .pixels = pixels};
    gr_trace trace = {.vision_features = out};
    GR_CHECK_OK(gr_model_trace(f.model, &batch, &trace));
    for (int k = 0; k < 3; k++) {
        GR_CHECK_CLOSE(out + 8 * token[k], want[k], 8, relative, absolute);
    }
    for (int i = 0; i < 16 * 8; i++) {
        sum += (double)out[i];
        sumsq += (double)out[i] * (double)out[i];
    }
    const double totals[2] = {sum, sumsq}, want_totals[2] = {17.000803, 129.036798};
    GR_CHECK_CLOSE_F64(totals, want_totals, 2, relative, absolute);
    fixture_destroy(&f);
}

typedef struct gradient_row {
    const char *name;
    double norm, first, last;
} gradient_row;

static const gradient_row gradient_rows[] = {
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

static void check_gradient_row(const gr_params *params, const gradient_row *row,
                               const float *grads)
{
    char name[128];
    snprintf(name, sizeof name, "vision_model.%s", row->name);
    const gr_param *p = gr_params_find(params, name);
    if (!GR_CHECK(p != NULL)) {
        return;
    }
    const float *g = grads + p->offset;
    double squares = 0;
    for (int64_t i = 0; i < p->count; i++) {
        squares += (double)g[i] * (double)g[i];
    }
    const double got[3] = {sqrt(squares), (double)g[0], (double)g[p->count - 1]};
    const double want[3] = {row->norm, row->first, row->last};
    GR_CHECK_CLOSE_F64(got, want, 3, 2e-5, 2e-6 * row->norm);
}

/// Gradients of sum_i output[i] cos(0.3 i), and the values in front of the first block.
static void test_vision_gradients(void)
{
    static const float embedded[8] = {0.160857f, 1.041906f,  -1.235157f, -0.102273f,
                                      0.297090f, -1.481121f, 0.934079f,  0.689517f};
    gr_model_config config = vision_config();
    fixture f = fixture_create(&config, 1);
    gradients g = gradients_create(f.model);
    gri_vision_kept kept;
    float pixels[192];
    double value = 0;
    fill_weights(f.model);
    fill_pixels(pixels);
    gr_tensor features = gri_take_matrix(f.ex, 16, 8), d = gri_take_matrix(f.ex, 16, 8);
    gri_vision_fwd(f.ex, &f.model->vision, gr_tensor_4d(pixels, 1, 3, 8, 8), features, &kept);
    GR_CHECK_CLOSE(gr_tensor_f32(kept.blocks[0].x, 0), embedded, 8, relative, absolute);
    for (int i = 0; i < 16 * 8; i++) {
        gr_tensor_f32(d, 0)[i] = (float)cos(0.3 * i);
        value += (double)gr_tensor_f32(features, 0)[i] * cos(0.3 * i);
    }
    const double want = -0.622331;
    GR_CHECK_CLOSE_F64(&value, &want, 1, relative, 2e-5);
    gri_vision_bwd(f.ex, &f.model->vision, &kept, d, g.part[GR_PART_VISION]);
    for (size_t i = 0; i < sizeof gradient_rows / sizeof gradient_rows[0]; i++) {
        check_gradient_row(gr_model_get_params(f.model), &gradient_rows[i],
                           g.part[GR_PART_VISION]);
    }
    gradients_destroy(&g);
    fixture_destroy(&f);
}

static void test_connector(void)
{
    static const float want[4][6] = {
        {1.759802f, -0.886021f, -0.183524f, 1.994364f, -0.923999f, -1.169822f},
        {0.361493f, 0.433860f, 0.060904f, 0.460796f, 0.172266f, -0.594642f},
        {2.151120f, -1.353140f, -0.166472f, 2.446575f, -1.336388f, -1.261509f},
        {1.552296f, -0.723219f, -0.118345f, 1.774580f, -0.797036f, -1.061032f},
    };
    gr_model_config config = tiny_config(GR_PARTS_ALL);
    config.language.width = 6;
    fixture f = fixture_create(&config, 1);
    float pixels[192], out[4 * 6];
    fill_weights(f.model);
    fill_pixels(pixels);
    const int32_t rows[4] = {0, 1, 2, 3}, ids[4] = {0}, cu[2] = {0, 4};
    gr_batch batch = {.tokens = 4,
                      .ids = ids,
                      .positions = rows,
                      .sequences = 1,
                      .cu_seqlens = cu,
                      .images = 1,
                      .pixels = pixels,
                      .image_rows = rows};
    gr_trace trace = {.connector = out};
    GR_CHECK_OK(gr_model_trace(f.model, &batch, &trace));
    GR_CHECK_CLOSE(out, want[0], 4 * 6, relative, absolute);
    fixture_destroy(&f);
}

static gr_model_config qwen2_config(void)
{
    gr_model_config config = tiny_config(1u << GR_PART_LANGUAGE);
    config.language.vocabulary = 10;
    config.language.width = 8;
    config.language.heads = 2;
    config.language.kv_heads = 1;
    config.language.mlp_width = 12;
    return config;
}

typedef struct language_vectors {
    int64_t params;
    float row0[10], row5[10], packed5[10]; ///< logits; `packed`: the same ids as two sequences
    double totals[3];                      ///< sum and sum of squares of the logits, mean loss
} language_vectors;

/// Appendix A.4.
static void check_language(gr_model_config config, const language_vectors *want)
{
    static const int32_t ids[6] = {1, 5, 3, 9, 7, 2}, targets[6] = {-100, -100, 9, 7, 2, -100};
    static const int32_t positions[2][6] = {{0, 1, 2, 3, 4, 5}, {0, 1, 2, 0, 1, 2}};
    static const int32_t borders[2][3] = {{0, 6}, {0, 3, 6}};
    fixture f = fixture_create(&config, 1);
    float logits[6 * 10];
    double totals[3] = {0};
    GR_CHECK_INT(gr_model_get_params(f.model)->count, want->params);
    fill_weights(f.model);
    gr_batch batch = {.tokens = 6,
                      .ids = ids,
                      .targets = targets,
                      .positions = positions[0],
                      .sequences = 1,
                      .cu_seqlens = borders[0]};
    gr_trace trace = {.logits = logits};
    GR_CHECK_OK(gr_model_trace(f.model, &batch, &trace));
    GR_CHECK_OK(gr_model_loss(f.model, &batch, &totals[2]));
    GR_CHECK_CLOSE(logits, want->row0, 10, relative, absolute);
    GR_CHECK_CLOSE(logits + 50, want->row5, 10, relative, absolute);
    for (int i = 0; i < 60; i++) {
        totals[0] += (double)logits[i];
        totals[1] += (double)logits[i] * (double)logits[i];
    }
    totals[2] /= 3;
    GR_CHECK_CLOSE_F64(totals, want->totals, 3, relative, absolute);
    batch.positions = positions[1];
    batch.sequences = 2;
    batch.cu_seqlens = borders[1];
    GR_CHECK_OK(gr_model_trace(f.model, &batch, &trace));
    GR_CHECK_CLOSE(logits + 50, want->packed5, 10, relative, absolute);
    fixture_destroy(&f);
}

static void test_qwen2(void)
{
    static const language_vectors want = {
        .params = 26,
        .row0 = {0.961065f, 0.678290f, 0.156123f, -0.421146f, -0.849777f, -0.978493f,
                 -0.761865f, -0.276349f, 0.306700f, 0.781504f},
        .row5 = {-1.900065f, -1.304578f, -0.248661f, 0.895017f, 1.722813f, 1.942569f, 1.476726f,
                 0.489696f, -0.670165f, -1.593502f},
        .packed5 = {-1.874395f, -1.269284f, -0.216199f, 0.913189f, 1.720282f, 1.920229f,
                    1.442461f, 0.455599f, -0.692060f, -1.595466f},
        .totals = {1.556344, 83.393388, 2.968076},
    };
    check_language(qwen2_config(), &want);
}

/// Appendix A.3: the class token's row is the first of the blocks' result, and no feature.
static void test_internvit(void)
{
    static const float want[3][8] = {
        {-0.331336f, 0.544354f, 0.766230f, 0.577768f, -0.045999f, 0.090898f, 0.370433f,
         0.126570f},
        {-0.445948f, 0.613948f, -1.656477f, -0.107190f, -0.743748f, 0.789228f, 0.958978f,
         -0.887917f},
        {0.902585f, 0.239270f, -1.064947f, 0.283673f, -0.483732f, 0.788986f, -0.855445f,
         -0.130127f},
    };
    gr_model_config config = internvit_config();
    fixture f = fixture_create(&config, 1);
    gri_vision_kept kept;
    float pixels[192];
    double totals[2] = {0};
    GR_CHECK_INT(gr_model_get_params(f.model)->count, 4 + 2 * 14);
    fill_weights(f.model);
    fill_pixels(pixels);
    gr_tensor features = gri_take_matrix(f.ex, 16, 8);
    gri_vision_fwd(f.ex, &f.model->vision, gr_tensor_4d(pixels, 1, 3, 8, 8), features, &kept);
    GR_CHECK_INT(kept.last.shape[0], 17);
    GR_CHECK_CLOSE(gr_tensor_f32(kept.last, 0), want[0], 8, relative, absolute);
    GR_CHECK_CLOSE(gr_tensor_f32(features, 0), want[1], 8, relative, absolute);
    GR_CHECK_CLOSE(gr_tensor_f32(features, 15), want[2], 8, relative, absolute);
    for (int i = 0; i < 17 * 8; i++) {
        double x = (double)gr_tensor_f32(kept.last, 0)[i];
        totals[0] += x;
        totals[1] += x * x;
    }
    const double want_totals[2] = {-14.282821, 83.931377};
    GR_CHECK_CLOSE_F64(totals, want_totals, 2, relative, 2e-5);
    fixture_destroy(&f);
}

static gr_model_config qwen3_config(void)
{
    gr_model_config config = qwen2_config();
    config.language.kind = GR_LANGUAGE_QWEN3;
    config.language.heads = 4;
    config.language.kv_heads = 2;
    config.language.head_size = 6;
    config.language.tied = false;
    return config;
}

static void test_qwen3(void)
{
    static const language_vectors want = {
        .params = 25,
        .row0 = {0.015744f, -0.258845f, -0.442079f, -0.469288f, -0.330869f, -0.075676f,
                 0.206227f, 0.415344f, 0.477873f, 0.371744f},
        .row5 = {0.520808f, 0.639365f, 0.532268f, 0.237316f, -0.141394f, -0.470201f, -0.633057f,
                 -0.572487f, -0.309866f, 0.062118f},
        .packed5 = {0.638533f, 1.079196f, 1.138974f, 0.796769f, 0.173357f, -0.511239f,
                    -1.015401f, -1.161193f, -0.897161f, -0.316489f},
        .totals = {0.055974, 12.000739, 2.341048},
    };
    check_language(qwen3_config(), &want);
}

static const gr_test tests[] = {
    {"vision_values", test_vision_values}, {"vision_gradients", test_vision_gradients},
    {"connector", test_connector},         {"qwen2", test_qwen2},
    {"internvit", test_internvit},         {"qwen3", test_qwen3},
};
GR_TEST_MAIN("model_vectors", tests)
