/// Dropping paths (stochastic depth): which steps there are, and their gradients.

#include "tests/reference_support.h"

/// Scales of the last block's branches, times these.
static void scale_branches(gr_model *model, float attention, float mlp)
{
    float *weights = gr_model_edit_weights(model, GR_PART_VISION);
    static const char *const names[] = {"vision_model.encoder.layers.1.ls1",
                                        "vision_model.encoder.layers.1.ls2"};
    for (int b = 0; b < 2; b++) {
        const gr_param *p = gr_params_find(gr_model_get_params(model), names[b]);
        GR_ASSERT(p);
        for (int64_t c = 0; c < p->count; c++) {
            weights[p->offset + c] *= b ? mlp : attention;
        }
    }
}

/// One step of all parts; the gradient is g.
static double step_of(gr_model *model, const gr_batch *batch, gradients *g)
{
    double loss = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        memset(g->part[p], 0, (size_t)gr_model_get_params(model)->size[p] * sizeof(float));
    }
    GR_CHECK_OK(gr_model_loss_grad(model, batch, GR_PARTS_ALL, g->part, &loss));
    return loss;
}

/// With probability 1/2 in the last of two blocks a branch counts 0 or 2 times: so each step has the bits of a model whose
/// scales are 0 or 2 times as large, and each of the four comes about equally often.
static void test_drop_path(void)
{
    enum { DRAWS = 200 };
    static const int one[1] = {1};
    static const float factors[4][2] = {{0, 0}, {0, 2}, {2, 0}, {2, 2}};
    reference r = reference_open("model_internvit_qwen3");
    gr_model *model = r.f.model;
    own_batch b = batch_create(gr_model_get_config(model), one, 1, 9, 3);
    gradients g = gradients_create(model), want[4];
    const int64_t *size = gr_model_get_params(model)->size;
    float *copy = copy_of_weights(model, GR_PART_VISION);
    double losses[4], loss[4] = {0};
    int times[4] = {0};
    for (int i = 0; i < 4; i++) {
        want[i] = gradients_create(model);
        scale_branches(model, factors[i][0], factors[i][1]);
        losses[i] = step_of(model, &b.batch, &want[i]);
        set_weights(model, GR_PART_VISION, copy);
    }
    model->config.vision.drop_path = 0.5;
    for (uint64_t stream = 0; stream < DRAWS; stream++) {
        b.batch.drop_path = true;
        b.batch.noise_seed = 3;
        b.batch.noise_stream = stream;
        gr_model_set_recompute(model, stream % 2 == 1);
        double got = step_of(model, &b.batch, &g);
        int is = 0;
        while (is < 4 && memcmp(&got, &losses[is], sizeof got) != 0) {
            is++;
        }
        if (!GR_CHECK(is < 4)) {
            continue;
        }
        times[is]++;
        for (int p = GR_PART_CONNECTOR; p < GR_PART_COUNT; p++) {
            GR_CHECK_BYTES(g.part[p], want[is].part[p], (size_t)size[p] * sizeof(float));
        }
    }
    for (int i = 0; i < 4; i++) { // 50 expected, standard deviation 6
        GR_CHECK(times[i] > 25 && times[i] < 75);
    }
    gr_model_set_recompute(model, false);
    // Nothing is dropped where the encoder does not train, nor without a gradient, nor where the batch does not ask.
    GR_CHECK_OK(gr_model_loss(model, &b.batch, &loss[0]));
    GR_CHECK_OK(gr_model_loss_grad(model, &b.batch, 1u << GR_PART_CONNECTOR, g.part, &loss[1]));
    b.batch.drop_path = false;
    loss[3] = step_of(model, &b.batch, &g);
    b.batch.drop_path = true;
    model->config.vision.drop_path = 0;
    GR_CHECK_OK(gr_model_loss(model, &b.batch, &loss[2]));
    GR_CHECK(loss[0] == loss[2] && loss[1] == loss[2] && loss[3] == loss[2]);
    model->config.vision.drop_path = 1; // the last block never counts
    loss[0] = step_of(model, &b.batch, &g);
    GR_CHECK_BYTES(&loss[0], &losses[0], sizeof loss[0]);
    for (int i = 0; i < 4; i++) {
        gradients_destroy(&want[i]);
    }
    GR_FREE(copy);
    gradients_destroy(&g);
    batch_destroy(&b);
    reference_close(&r);
}

/// Several pictures drop paths each for itself; the gradient along a direction is the slope of the loss with the same paths
/// dropped. In fp32: 0.29 % was the worst.
static void test_drop_path_gradient(void)
{
    enum { DRAWS = 12 };
    reference r = reference_open("model_internvit_qwen3");
    gr_model *model = r.f.model;
    gradients g = gradients_create(model), other = gradients_create(model);
    const int64_t n = gr_model_get_params(model)->size[GR_PART_VISION];
    float *copy = copy_of_weights(model, GR_PART_VISION);
    const double step = 1.0 / 1024;
    double first = 0;
    int others = 0;
    model->config.vision.drop_path = 0.5;
    for (uint64_t stream = 0; stream < DRAWS; stream++) {
        r.batch.drop_path = true;
        r.batch.noise_stream = stream;
        double along = 0, loss[2], here = step_of(model, &r.batch, &g);
        first = stream == 0 ? here : first;
        others += here != first;
        for (int64_t i = 0; i < n; i++) {
            along += g.part[GR_PART_VISION][i] * gr_rng_normal(5, stream, (uint64_t)i);
        }
        for (int side = 0; side < 2; side++) {
            float *weights = gr_model_edit_weights(model, GR_PART_VISION);
            for (int64_t i = 0; i < n; i++) {
                double d = gr_rng_normal(5, stream, (uint64_t)i) * step;
                weights[i] = copy[i] + (float)(side == 0 ? d : -d);
            }
            loss[side] = step_of(model, &r.batch, &other);
        }
        set_weights(model, GR_PART_VISION, copy);
        double slope = (loss[0] - loss[1]) / (2 * step);
        GR_CHECK_CLOSE_F64(&slope, &along, 1, 1e-2, 1e-3);
    }
    GR_CHECK(others > DRAWS / 2);
    GR_FREE(copy);
    gradients_destroy(&g);
    gradients_destroy(&other);
    reference_close(&r);
}

static void test_drop_path_bf16(void)
{
    with_bf16_fixtures(test_drop_path);
}

static const gr_test tests[] = {
    {"drop_path", test_drop_path},
    {"drop_path_gradient", test_drop_path_gradient},
    {"drop_path_bf16", test_drop_path_bf16, bf16_missing},
};
GR_TEST_MAIN("model_drop_path", tests)
