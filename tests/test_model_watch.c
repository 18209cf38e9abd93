/// What a model tells of a pass is true: weights beyond what it said it reads do not matter, and gradients that it called complete
/// do not change any more.

#include "tests/check.h"
#include "tests/model_support.h"

/// What a watch saw of one pass.
typedef struct seen {
    gr_model *model;
    float
        *hidden[GR_PART_COUNT]; ///< the weights; the model has NaN until it says that it reads
    float *weights[GR_PART_COUNT]; ///< the model's own
    int64_t shown[GR_PART_COUNT];
    const gradients *grads;
    gradients copy; ///< of the gradients, from where they were called complete
    int64_t made[GR_PART_COUNT];
    int reads_calls, made_calls;
} seen;

static void reads(void *data, gr_part part, int64_t end)
{
    seen *s = data;
    s->reads_calls++;
    for (; s->shown[part] < end; s->shown[part]++) {
        s->weights[part][s->shown[part]] = s->hidden[part][s->shown[part]];
    }
}

static void made(void *data, gr_part part, int64_t begin)
{
    seen *s = data;
    s->made_calls++;
    GR_CHECK(begin <= s->made[part]);
    for (; s->made[part] > begin; s->made[part]--) {
        s->copy.part[part][s->made[part] - 1] = s->grads->part[part][s->made[part] - 1];
    }
}

static void hide(seen *s)
{
    const gr_params *params = gr_model_get_params(s->model);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        s->weights[p] = gr_model_edit_weights(s->model, (gr_part)p);
        s->hidden[p] = zeros(params->size[p]);
        s->made[p] = params->size[p];
        for (int64_t i = 0; s->weights[p] && i < params->size[p]; i++) {
            s->hidden[p][i] = s->weights[p][i];
            s->weights[p][i] = NAN;
        }
    }
}

static void check_pass(const gr_model_config *config, const int *images, gr_part_set train,
                       bool recompute)
{
    fixture f = fixture_create(config, 1);
    own_batch b = batch_create(config, images, 2, 7, 3);
    double want_loss = 0, loss = 0;
    gr_model_init(f.model, config->parts, 11);
    gr_model_set_recompute(f.model, recompute);
    gradients want = gradients_create(f.model), got = gradients_create(f.model);
    GR_CHECK_OK(gr_model_loss_grad(f.model, &b.batch, train, want.part, &want_loss));
    seen s = {.model = f.model, .grads = &got, .copy = gradients_create(f.model)};
    hide(&s);
    gr_model_set_watch(f.model, (gr_model_watch){&s, reads, made});
    GR_CHECK_OK(gr_model_loss_grad(f.model, &b.batch, train, got.part, &loss));
    GR_CHECK_BYTES(&loss, &want_loss, sizeof loss);
    GR_CHECK(isfinite(loss) && s.reads_calls >= 4);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        int64_t size = gr_model_get_params(f.model)->size[p];
        bool trains = train >> p & 1 && (b.batch.images > 0 || p == GR_PART_LANGUAGE);
        GR_CHECK_BYTES(got.part[p], want.part[p], (size_t)size * sizeof(float));
        GR_CHECK_BYTES(s.copy.part[p], got.part[p], (size_t)size * sizeof(float));
        GR_CHECK_INT(s.made[p], trains ? 0 : size);
        GR_FREE(s.hidden[p]);
    }
    gradients_destroy(&s.copy);
    gradients_destroy(&want);
    gradients_destroy(&got);
    batch_destroy(&b);
    fixture_destroy(&f);
}

static void check_kind(gr_model_config config)
{
    static const int none[] = {0, 0}, some[] = {1, 2};
    static const gr_part_set sets[] = {GR_PARTS_ALL, 1u << GR_PART_CONNECTOR,
                                       1u << GR_PART_CONNECTOR | 1u << GR_PART_VISION, 0};
    for (unsigned i = 0; i < sizeof sets / sizeof *sets; i++) {
        check_pass(&config, some, sets[i], false);
    }
    check_pass(&config, some, GR_PARTS_ALL, true);
    check_pass(&config, none, GR_PARTS_ALL, false);
}

static gr_model_config config_of(gr_vision_kind v, gr_language_kind l)
{
    gr_model_config config = tiny_config(GR_PARTS_ALL);
    config.vision.kind = v;
    config.vision.norm = v == GR_VISION_AIMV2 ? GR_NORM_RMS : GR_NORM_LAYER;
    config.vision.mlp = v == GR_VISION_AIMV2       ? GR_MLP_SWIGLU
                        : v == GR_VISION_INTERNVIT ? GR_MLP_GELU
                                                   : GR_MLP_GELU_TANH;
    config.vision.qkv_bias = v != GR_VISION_AIMV2;
    config.vision.layer_scale = v == GR_VISION_INTERNVIT ? 0.3 : 0;
    config.language.kind = l;
    config.language.tied = l % 2 == 0;
    return config;
}

static void kinds(void)
{
    for (int v = 0; v < GR_VISION_KINDS; v++) {
        for (int l = 0; l < GR_LANGUAGE_KINDS; l++) {
            check_kind(config_of((gr_vision_kind)v, (gr_language_kind)l));
        }
    }
}

static void left_out(void)
{
    gr_model_config config = tiny_config(GR_PARTS_ALL);
    config.connector.blocks_left_out = 1;
    config.connector.unnormed = true;
    check_kind(config);
}

/// Whose master weights are shared out computes the same without the fp32 values of its matrices, in both directions.
static void apart(gr_model_config config)
{
    static const int some[] = {1, 2};
    fixture f = fixture_create(&config, 1);
    own_batch b = batch_create(&config, some, 2, 7, 3);
    const gr_params *params = gr_model_get_params(f.model);
    double want_loss = 0, loss = 0;
    gr_model_init(f.model, config.parts, 11);
    gradients want = gradients_create(f.model), got = gradients_create(f.model);
    GR_CHECK_OK(gr_model_loss_grad(f.model, &b.batch, GR_PARTS_ALL, want.part, &want_loss));
    int64_t forgotten = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        float *weights = gr_model_edit_weights(f.model, (gr_part)p);
        gr_model_set_apart(f.model, (gr_part)p, true);
        for (int64_t i = params->first[p]; i < params->first[p + 1]; i++) {
            for (int64_t k = 0; params->items[i].product && k < params->items[i].count; k++) {
                weights[params->items[i].offset + k] = NAN;
                forgotten++;
            }
        }
    }
    GR_CHECK(forgotten > params->size[GR_PART_VISION]);
    GR_CHECK_OK(gr_model_loss_grad(f.model, &b.batch, GR_PARTS_ALL, got.part, &loss));
    GR_CHECK_BYTES(&loss, &want_loss, sizeof loss);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        GR_CHECK_BYTES(got.part[p], want.part[p], (size_t)params->size[p] * sizeof(float));
    }
    gradients_destroy(&want);
    gradients_destroy(&got);
    batch_destroy(&b);
    fixture_destroy(&f);
}

static void apart_in_bf16(void)
{
    fixture_precision = GR_PRECISION_BF16;
    for (int kind = 0; kind < 3; kind++) {
        apart(config_of((gr_vision_kind)kind, (gr_language_kind)kind));
    }
    fixture_precision = GR_PRECISION_FP32;
}

static void kinds_in_bf16(void)
{
    with_bf16_fixtures(kinds);
}

static const gr_test tests[] = {
    {"kinds", kinds},
    {"left_out", left_out},
    {"kinds_in_bf16", kinds_in_bf16, bf16_missing},
    {"apart_in_bf16", apart_in_bf16, bf16_missing},
};
GR_TEST_MAIN("model_watch", tests)
