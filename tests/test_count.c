// A pass that is counted and not computed, beside one that is: the same memory to the byte, and the same work.
#include "src/model/flops.h"
#include "src/ops/tally.h"
#include "tests/check.h"
#include "tests/model_support.h"

/// A model of these kinds in which every layer that can be there is.
static gr_model_config config_of(gr_vision_kind v, gr_language_kind l)
{
    gr_model_config config = tiny_config(GR_PARTS_ALL);
    config.vision.kind = v;
    config.vision.norm = v == GR_VISION_AIMV2 ? GR_NORM_RMS : GR_NORM_LAYER;
    config.vision.mlp = v == GR_VISION_AIMV2       ? GR_MLP_SWIGLU
                        : v == GR_VISION_INTERNVIT ? GR_MLP_GELU
                                                   : GR_MLP_GELU_TANH;
    config.vision.qkv_bias = config.vision.qk_norm = v == GR_VISION_INTERNVIT;
    config.vision.layer_scale = v == GR_VISION_INTERNVIT ? 0.3 : 0;
    config.vision.drop_path = v == GR_VISION_INTERNVIT ? 0.5 : 0;
    config.vision.position_size = v == GR_VISION_INTERNVIT ? 12 : 0;
    config.language.kind = l;
    config.language.tied = l != GR_LANGUAGE_QWEN3;
    return config;
}

/// What one pass took and did.
typedef struct pass {
    int64_t memory;
    gr_tally tally;
} pass;

static void run(gr_model *model, gr_exec *ex, const gr_batch *batch, gr_part_set train,
                float *const grads[GR_PART_COUNT], pass *out)
{
    double loss = 0;
    *out = (pass){0};
    gr_model_refresh(model);
    gr_arena_forget_peak(ex->scratch);
    ex->tally = &out->tally;
    GR_CHECK_OK(train ? gr_model_loss_grad(model, batch, train, grads, &loss)
                      : gr_model_loss(model, batch, &loss));
    ex->tally = NULL;
    gr_tally_end(&out->tally);
    out->memory = gr_arena_peak(ex->scratch);
}

static void compare(const pass *real, const pass *counted)
{
    GR_CHECK_INT(counted->memory, real->memory);
    GR_CHECK_INT(counted->tally.count, real->tally.count);
    for (int i = 0; i < real->tally.count && i < counted->tally.count; i++) {
        const gr_tally_item *a = &real->tally.items[i], *b = &counted->tally.items[i];
        GR_CHECK_STR(b->op, a->op);
        GR_CHECK(b->width[0] == a->width[0] && b->width[1] == a->width[1]);
        GR_CHECK(b->calls == a->calls && b->amount == a->amount && b->flops == a->flops);
    }
}

/// Every choice that decides what is kept, of one model.
static void check_model(const gr_model_config *config, int threads)
{
    static const int images[] = {2, 0, 1};
    static const gr_part_set trains[] = {0, 1 << GR_PART_CONNECTOR,
                                         1 << GR_PART_VISION | 1 << GR_PART_CONNECTOR,
                                         1 << GR_PART_LANGUAGE, GR_PARTS_ALL};
    fixture real = fixture_create(config, threads), counted = {0};
    gradients g = gradients_create(real.model);
    gradients addresses = {0};
    own_batch b = batch_create(config, images, 3, 5, 1);
    b.batch.drop_path = true;
    GR_CHECK_OK(gr_exec_create_counting(threads, fixture_precision, &counted.ex));
    GR_CHECK_OK(gr_model_create(config, counted.ex, &counted.model));
    for (int p = 0; p < GR_PART_COUNT; p++) {
        int64_t bytes = gr_model_get_params(counted.model)->size[p] * (int64_t)sizeof(float);
        addresses.part[p] = gr_arena_addresses(counted.ex->scratch, bytes);
    }
    for (int i = 0; i < 10; i++) {
        pass a, c;
        gr_model_set_recompute(real.model, i % 2);
        gr_model_set_recompute(counted.model, i % 2);
        run(real.model, real.ex, &b.batch, trains[i / 2], g.part, &a);
        run(counted.model, counted.ex, &b.batch, trains[i / 2], addresses.part, &c);
        compare(&a, &c);
    }
    batch_destroy(&b);
    gradients_destroy(&g);
    fixture_destroy(&counted);
    fixture_destroy(&real);
}

static void check_all(void)
{
    for (int v = 0; v < GR_VISION_KINDS; v++) {
        for (int l = 0; l < GR_LANGUAGE_KINDS; l++) {
            const gr_model_config config = config_of((gr_vision_kind)v, (gr_language_kind)l);
            check_model(&config, 1 + (v + l) % 3);
        }
    }
}

static void test_fp32(void)
{
    check_all();
}

static void test_bf16(void)
{
    with_bf16_fixtures(check_all);
}

/// Products of the tally are those of the formula; attention computes a little more than pairs that see each other, since tiles are whole.
static void test_flops(void)
{
    static const int images[] = {1, 1};
    gr_model_config config = config_of(GR_VISION_AIMV2, GR_LANGUAGE_QWEN3);
    fixture f = {0};
    own_batch b = batch_create(&config, images, 2, 9, 1);
    float *grads[GR_PART_COUNT] = {NULL};
    pass counted;
    double attention = 0, all = 0, pairs_language = 0, pairs_vision = 0;
    GR_CHECK_OK(gr_exec_create_counting(1, GR_PRECISION_FP32, &f.ex));
    GR_CHECK_OK(gr_model_create(&config, f.ex, &f.model));
    for (int p = 0; p < GR_PART_COUNT; p++) {
        grads[p] = gr_arena_addresses(f.ex->scratch, 1 << 20);
    }
    run(f.model, f.ex, &b.batch, GR_PARTS_ALL, grads, &counted);
    for (int i = 0; i < counted.tally.count; i++) {
        const gr_tally_item *item = &counted.tally.items[i];
        const bool mixes = strncmp(item->op, "attention", 9) == 0;
        attention += mixes ? item->flops : 0;
        all += item->flops;
    }
    const gr_load load = {.images = 2, .tokens = b.batch.tokens, .sequences = 2, .targets = 16};
    const gr_step_flops want =
        gr_model_flops(&config, gr_model_get_params(f.model), &load, GR_PARTS_ALL);
    const double L = (double)b.batch.tokens / 2, N = 16;
    pairs_language = 2 * L * (L + 1) / 2 * 2 * 4 * 4; // sequences, blocks, heads x head size
    pairs_vision = 2 * N * N * 2 * 8;
    // Forward two products of pairs, backward four that count, and a fifth that is computed again.
    GR_CHECK(all - attention ==
             want.forward + want.backward - 12 * (pairs_language + pairs_vision));
    GR_CHECK(attention >= 14 * (pairs_language + pairs_vision));
    GR_CHECK(gr_tally_flops(&counted.tally) == all);
    batch_destroy(&b);
    fixture_destroy(&f);
}

/// The time of an operation is what passes until the next one begins.
static double ticks;
static double tick(void)
{
    return ticks += 1;
}

static void test_times(void)
{
    gr_tally t = {.now = tick};
    const int64_t width[2] = {3, 0}, other[2] = {4, 0};
    gr_tally_begin(&t, "a", 3, 0, 10, 0); // at 1
    gr_tally_begin(&t, "b", 3, 0, 10, 7); // ends at 2, begins at 3
    gr_tally_begin(&t, "a", 3, 0, 5, 0);  // ends at 4, begins at 5
    ticks += 10;
    gr_tally_end(&t); // at 16
    gr_tally_end(&t);
    GR_CHECK(t.count == 2 && t.items[0].calls == 2 && t.items[0].amount == 15);
    GR_CHECK(gr_tally_find(&t, "a", width)->seconds == 12);
    GR_CHECK(gr_tally_find(&t, "b", width)->seconds == 1 && gr_tally_flops(&t) == 7);
    GR_CHECK(!gr_tally_find(&t, "a", other));
}

/// A model that no memory here would hold.
static void test_huge(void)
{
    gr_model_config config = config_of(GR_VISION_AIMV2, GR_LANGUAGE_QWEN3);
    fixture f = {0};
    config.language.width = 8192;
    config.language.heads = config.language.kv_heads = 64;
    config.language.head_size = 128;
    config.language.mlp_width = 32768;
    config.language.vocabulary = 1000000;
    config.language.blocks = 96;
    GR_CHECK_OK(gr_exec_create_counting(1, GR_PRECISION_BF16, &f.ex));
    GR_CHECK_OK(gr_model_create(&config, f.ex, &f.model));
    GR_CHECK(gr_model_get_params(f.model)->size[GR_PART_LANGUAGE] > INT64_C(100000000000));
    GR_CHECK(gr_arena_peak(f.ex->scratch) == 0);
    fixture_destroy(&f);
}

static const gr_test tests[] = {{"fp32", test_fp32},
                                {"bf16", test_bf16, bf16_missing},
                                {"flops", test_flops},
                                {"times", test_times},
                                {"huge", test_huge}};
GR_TEST_MAIN("count", tests)
