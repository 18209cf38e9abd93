// The count of operations against one made by hand.
#include "src/model/flops.h"
#include "tests/check.h"

/// 4 x 4 patches, 4 image tokens; widths 8 and 12.
static gr_model_config tiny(bool tied)
{
    return (gr_model_config){
        .parts = GR_PARTS_ALL,
        .vision = {.kind = GR_VISION_AIMV2,
                   .image_size = 8,
                   .patch_size = 2,
                   .channels = 3,
                   .width = 8,
                   .heads = 2,
                   .mlp_width = 10,
                   .blocks = 2,
                   .image_std = {1, 1, 1},
                   .norm_eps = 1e-5},
        .connector = {.norm_eps = 1e-5},
        .language = {.kind = GR_LANGUAGE_QWEN2,
                     .vocabulary = 50,
                     .width = 12,
                     .blocks = 3,
                     .heads = 3,
                     .kv_heads = 1,
                     .head_size = 4,
                     .mlp_width = 14,
                     .max_positions = 100,
                     .rope_theta = 10000,
                     .norm_eps = 1e-6,
                     .tied = tied},
    };
}

/// 2 images, 20 tokens in 2 sequences, 7 targets.
static const gr_load load = {.images = 2, .tokens = 20, .sequences = 2, .targets = 7};

/// Multiplications of each kind, from the sizes above.
static const double patches = 2 * 16 * (12 * 8);
static const double vision = 2 * 16 * 2 * (8 * 24 + 8 * 8 + 3 * 8 * 10);
static const double vision_attention = 2 * 2 * 2 * 8 * (16 * 16); // images, blocks, products
static const double connector = 2 * 4 * (32 * 12 + 12 * 12);
static const double language = 20 * 3 * (12 * 12 + 2 * 12 * 4 + 12 * 12 + 3 * 12 * 14);
static const double head = 7 * 12 * 50;
static const double language_attention = 2 * 3 * 2 * 12 * (10 * 11 / 2);

static gr_step_flops count(bool tied, gr_part_set train)
{
    gr_model_config config = tiny(tied);
    gr_params *params = NULL;
    GR_CHECK_OK(gr_params_create(&config, &params));
    gr_step_flops f = gr_model_flops(&config, params, &load, train);
    gr_params_destroy(&params);
    return f;
}

static void test_forward(void)
{
    double want =
        patches + vision + vision_attention + connector + language + head + language_attention;
    for (int tied = 0; tied < 2; tied++) {
        gr_step_flops f = count(tied, 0);
        GR_CHECK(f.forward == 2 * want);
        GR_CHECK(f.backward == 0);
    }
}

static void test_all_train(void)
{
    double want = patches + 2 * (vision + vision_attention + connector + language + head +
                                 language_attention);
    GR_CHECK(count(true, GR_PARTS_ALL).backward == 2 * want);
}

static void test_connector_trains(void)
{
    double want = 2 * connector + language + head + 2 * language_attention;
    GR_CHECK(count(false, 1U << GR_PART_CONNECTOR).backward == 2 * want);
}

static void test_language_trains(void)
{
    double want = 2 * (language + head + language_attention);
    GR_CHECK(count(false, 1U << GR_PART_LANGUAGE).backward == 2 * want);
}

/// What lies above select_layer is not computed.
static void test_layer_left_out(void)
{
    gr_model_config config = tiny(true);
    gr_params *params = NULL;
    config.connector.blocks_left_out = 1;
    GR_CHECK_OK(gr_params_create(&config, &params));
    gr_step_flops f = gr_model_flops(&config, params, &load, 0);
    GR_CHECK(f.forward == 2 * (patches + vision / 2 + vision_attention / 2 + connector +
                               language + head + language_attention));
    gr_params_destroy(&params);
}

static const gr_test tests[] = {{"forward", test_forward},
                                {"layer left out", test_layer_left_out},
                                {"all train", test_all_train},
                                {"connector trains", test_connector_trains},
                                {"language trains", test_language_trains}};
GR_TEST_MAIN("flops", tests)
