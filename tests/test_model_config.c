/// Reading model descriptions, and the table of parameters.

#include "tests/model_support.h"

#define VISION_SETTINGS                                                                        \
    "\"hidden_size\": 1536, \"intermediate_size\": 4096, \"num_hidden_layers\": 24, "          \
    "\"num_attention_heads\": 12, \"image_size\": 448, \"patch_size\": 14, "                   \
    "\"rms_norm_eps\": 1e-5, \"qkv_bias\": false, \"use_bias\": false"
#define VISION VISION_SETTINGS ", \"model_type\": \"sailvit\", \"unknown\": [1]"
#define LANGUAGE_SETTINGS                                                                      \
    "\"hidden_size\": 1536, \"intermediate_size\": 8960, \"num_hidden_layers\": 28, "          \
    "\"num_attention_heads\": 12, \"num_key_value_heads\": 2, \"vocab_size\": 151936, "        \
    "\"tie_word_embeddings\": true, \"use_sliding_window\": false, \"rope_scaling\": null, "   \
    "\"hidden_act\": \"silu\""
#define LANGUAGE                                                                               \
    LANGUAGE_SETTINGS ", \"model_type\": \"qwen2\", \"rope_theta\": 1000000.0, "               \
                      "\"rms_norm_eps\": 1e-06"
#define CONNECTOR "\"select_layer\": -1, \"ps_version\": \"v2\", \"downsample_ratio\": 0.5"
#define INTERNVIT                                                                                \
    "\"model_type\": \"intern_vit_6b\", \"qkv_bias\": true, \"qk_normalization\": false, "       \
    "\"image_size\": 448, \"patch_size\": 14, \"hidden_size\": 32, \"num_attention_heads\": 4, " \
    "\"intermediate_size\": 64, \"num_hidden_layers\": 3"
#define FULL                                                                                   \
    "{\"vision_config\": {" VISION "}, \"llm_config\": {" LANGUAGE "}, " CONNECTOR             \
    ", \"force_image_size\": 448}"

static gr_err parse(const char *text, bool yaml, gr_model_config *out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    if (yaml) {
        GR_TRY(gr_doc_parse_yaml("model.yaml", text, strlen(text), GR_ERR_DATA, &doc));
    } else {
        GR_TRY(gr_doc_parse_json("config.json", text, strlen(text), GR_ERR_DATA, &doc));
    }
    GR_TRY(gr_model_config_parse(doc, out));
done:
    gr_doc_destroy(&doc);
    return err;
}

static gr_err parse_json(const char *text)
{
    gr_model_config config;
    return parse(text, false, &config);
}

static gr_err parse_yaml(const char *text)
{
    gr_model_config config;
    return parse(text, true, &config);
}

static void check_vision(const gr_vision_config *v)
{
    GR_CHECK_INT(v->image_size, 448);
    GR_CHECK_INT(v->patch_size, 14);
    GR_CHECK_INT(v->channels, 3);
    GR_CHECK_INT(v->width, 1536);
    GR_CHECK_INT(v->heads, 12);
    GR_CHECK_INT(v->mlp_width, 4096);
    GR_CHECK_INT(v->blocks, 24);
    GR_CHECK(v->norm_eps == 1e-5 && v->initializer_range == 0.02);
    GR_CHECK(v->image_mean[0] == 0.485 && v->image_std[2] == 0.225);
    GR_CHECK_INT(gr_vision_tokens(v), 1024);
    GR_CHECK_INT(gr_image_tokens(v), 256);
}

static void check_language(const gr_language_config *l)
{
    GR_CHECK_INT(l->vocabulary, 151936);
    GR_CHECK_INT(l->width, 1536);
    GR_CHECK_INT(l->blocks, 28);
    GR_CHECK_INT(l->heads, 12);
    GR_CHECK_INT(l->kv_heads, 2);
    GR_CHECK_INT(l->head_size, 128);
    GR_CHECK_INT(l->mlp_width, 8960);
    GR_CHECK_INT(l->max_positions, 32768);
    GR_CHECK(l->rope_theta == 1e6 && l->norm_eps == 1e-6 && l->tied);
}

static void test_full(void)
{
    gr_model_config config = {0};
    GR_CHECK_OK(parse(FULL, false, &config));
    GR_CHECK_INT(config.parts, GR_PARTS_ALL);
    check_vision(&config.vision);
    check_language(&config.language);
    GR_CHECK(config.connector.norm_eps == 1e-5);
}

static void test_single(void)
{
    gr_model_config config = {0};
    GR_CHECK_OK(parse("{" VISION "}", false, &config));
    GR_CHECK_INT(config.parts, 1 << GR_PART_VISION);
    check_vision(&config.vision);
    GR_CHECK_OK(parse("{" LANGUAGE "}", false, &config));
    GR_CHECK_INT(config.parts, 1 << GR_PART_LANGUAGE);
    check_language(&config.language);
    GR_CHECK_OK(
        parse("{" LANGUAGE_SETTINGS ", \"model_type\": \"qwen2\", \"head_dim\": 64, "
              "\"rope_parameters\": {\"rope_theta\": 5000, \"rope_type\": \"default\"}}",
              false, &config));
    GR_CHECK(config.language.rope_theta == 5000);
    GR_CHECK_INT(config.language.head_size, 64);
    GR_CHECK_OK(parse("{" VISION_SETTINGS ", \"model_type\": \"aimv2_vision_model\", "
                      "\"image_mean\": [0, 0.5, 1.0], \"image_std\": [1, 2, 3]}",
                      false, &config));
    GR_CHECK(config.vision.image_mean[1] == 0.5 && config.vision.image_std[2] == 3);
}

/// The other architectures, and what absent keys mean to them.
static void test_kinds(void)
{
    gr_model_config c = {0};
    GR_CHECK_OK(
        parse("{\"model_type\": \"intern_vit_6b\", \"image_size\": 448, \"patch_size\": 14, "
              "\"hidden_size\": 32, \"num_attention_heads\": 4, \"intermediate_size\": 64, "
              "\"num_hidden_layers\": 3, \"norm_type\": \"layer_norm\", \"qkv_bias\": true, "
              "\"qk_normalization\": false, \"drop_path_rate\": 0.1}",
              false, &c));
    GR_CHECK_INT(c.vision.kind, GR_VISION_INTERNVIT);
    GR_CHECK(c.vision.norm == GR_NORM_LAYER && c.vision.mlp == GR_MLP_GELU);
    GR_CHECK(c.vision.qkv_bias && !c.vision.qk_norm && c.vision.norm_eps == 1e-6);
    GR_CHECK(c.vision.drop_path == 0.1 && c.vision.layer_scale == 0.1);
    GR_CHECK_OK(
        parse("{\"model_type\": \"internvl_vision\", \"image_size\": [448, 448], "
              "\"patch_size\": [14, 14], \"hidden_size\": 32, \"num_attention_heads\": 4, "
              "\"intermediate_size\": 64, \"num_hidden_layers\": 3, \"use_qk_norm\": true, "
              "\"norm_type\": \"rms_norm\"}",
              false, &c));
    GR_CHECK(c.vision.norm == GR_NORM_RMS && !c.vision.qkv_bias && c.vision.qk_norm);
    GR_CHECK_INT(c.vision.image_size, 448);
    GR_CHECK_OK(parse("{\"model_type\": \"siglip\", \"text_config\": {}, \"vision_config\": "
                      "{\"image_size\": 384, \"patch_size\": 14, \"hidden_size\": 32, "
                      "\"num_attention_heads\": 4, \"intermediate_size\": 64, "
                      "\"num_hidden_layers\": 3}}",
                      false, &c));
    GR_CHECK_INT(c.vision.kind, GR_VISION_SIGLIP);
    GR_CHECK_INT(gr_vision_tokens(&c.vision), 729);
    GR_CHECK(c.vision.mlp == GR_MLP_GELU_TANH && c.vision.image_mean[1] == 0.5);
    GR_CHECK_OK(parse("{" LANGUAGE_SETTINGS ", \"model_type\": \"qwen3\", \"rope_theta\": 1e6}",
                      false, &c));
    GR_CHECK_INT(c.language.kind, GR_LANGUAGE_QWEN3);
    GR_CHECK_INT(c.language.head_size, 128);
    GR_CHECK_OK(
        parse("{\"model_type\": \"llama\", \"hidden_size\": 24, \"num_hidden_layers\": 1, "
              "\"num_attention_heads\": 3, \"intermediate_size\": 5, \"vocab_size\": 9, "
              "\"rope_parameters\": {\"rope_theta\": 1e5}, \"dtype\": \"float32\"}",
              false, &c));
    GR_CHECK_INT(c.language.kind, GR_LANGUAGE_LLAMA);
    GR_CHECK(c.language.kv_heads == 3 && c.language.head_size == 8 && !c.language.tied);
}

/// How features reach the connector: what is written, and what absent keys mean in each kind of file.
static void test_connector_keys(void)
{
    gr_model_config c = {0};
    GR_CHECK_OK(parse(FULL, false, &c));
    GR_CHECK(c.connector.blocks_left_out == 0 && !c.connector.unnormed &&
             !c.connector.by_column);
    GR_CHECK_OK(
        parse("{\"vision_config\": {" VISION "}, \"llm_config\": {" LANGUAGE "}}", false, &c));
    GR_CHECK(c.connector.blocks_left_out == 3 && c.connector.unnormed && c.connector.by_column);
    GR_CHECK_OK(parse("{\"vision_config\": {" VISION "}, \"llm_config\": {" LANGUAGE
                      "}, \"select_layer\": -2, \"post_layernorm\": true, "
                      "\"force_image_size\": 224}",
                      false, &c));
    GR_CHECK(c.connector.blocks_left_out == 1 && !c.connector.unnormed);
    GR_CHECK_INT(c.vision.image_size, 224);
    GR_CHECK_INT(c.vision.position_size, 448);
    GR_CHECK_INT(gr_image_tokens(&c.vision), 64);
    GR_CHECK_OK(parse("{\"model_type\": \"internvl\", \"vision_config\": {" VISION
                      "}, \"text_config\": {" LANGUAGE "}, \"vision_feature_layer\": -2}",
                      false, &c));
    GR_CHECK(c.connector.blocks_left_out == 1 && c.connector.unnormed &&
             !c.connector.by_column);
    GR_CHECK(c.language.tied && c.parts == GR_PARTS_ALL);
}

/// Parameters that no gradient reaches are not pulled to zero either.
static void test_unreached(void)
{
    gr_model_config config = tiny_config(GR_PARTS_ALL);
    gr_params *params = NULL;
    config.connector.blocks_left_out = 1;
    config.connector.unnormed = true;
    GR_CHECK_OK(gr_params_create(&config, &params));
    for (int block = 0; block < 2; block++) {
        char name[128];
        snprintf(name, sizeof name, "vision_model.trunk.blocks.%d.attn.proj.weight", block);
        const gr_param *p = gr_params_find(params, name);
        GR_CHECK(p && p->decay == (block == 0));
    }
    gr_params_destroy(&params);
}

static const char *const our_yaml =
    "vision: {model_type: aimv2, image_size: 112, patch_size: 14, hidden_size: 128,\n"
    "  num_attention_heads: 4, intermediate_size: 352, num_hidden_layers: 4,\n"
    "  rms_norm_eps: 1.0e-5}\n"
    "connector: {}\n"
    "language: {model_type: qwen2, vocab_size: 2048, hidden_size: 192, num_hidden_layers: 4,\n"
    "  num_attention_heads: 6, num_key_value_heads: 2, intermediate_size: 512,\n"
    "  rope_theta: 1000000.0, rms_norm_eps: 1.0e-6, tie_word_embeddings: true}\n";

static void test_yaml(void)
{
    gr_model_config config = {0};
    GR_CHECK_OK(parse(our_yaml, true, &config));
    GR_CHECK_INT(config.parts, GR_PARTS_ALL);
    GR_CHECK_INT(config.vision.width, 128);
    GR_CHECK_INT(gr_image_tokens(&config.vision), 16);
    GR_CHECK_INT(config.language.head_size, 32);
    GR_CHECK(config.language.tied);
    GR_CHECK_ERR(parse_yaml("vision: {hiden_size: 8}"), GR_ERR_DATA, "hiden_size");
    GR_CHECK_ERR(parse_yaml("vison: {}"), GR_ERR_DATA, "vison");
    GR_CHECK_ERR(parse_yaml("connector: {norm: 1}"), GR_ERR_DATA, "norm");
    GR_CHECK_OK(parse_yaml("connector: {}")); // a recipe has the other parts elsewhere
    GR_CHECK_ERR(parse_yaml("{}"), GR_ERR_DATA, "no part");
    GR_CHECK_ERR(parse_yaml("vision: 3"), GR_ERR_DATA, "map");
    GR_CHECK_ERR(parse_yaml("[1]"), GR_ERR_DATA, "map");
}

typedef struct refusal {
    const char *text, *part;
} refusal;

static const refusal refusals[] = {
    {"{" VISION_SETTINGS ", \"model_type\": \"intern_vit_6b\"}", "norm_type is missing"},
    {"{" INTERNVIT ", \"norm_type\": \"batch_norm\"}", "batch_norm"},
    {"{" INTERNVIT ", \"norm_type\": \"layer_norm\", \"hidden_act\": \"silu\"}", "silu"},
    {"{" INTERNVIT ", \"norm_type\": \"layer_norm\", \"dropout\": 0.1}", "dropout"},
    {"{" VISION_SETTINGS ", \"model_type\": \"siglip_vision_model\", \"hidden_act\": \"silu\"}",
     "gelu_pytorch_tanh"},
    {"{" VISION_SETTINGS ", \"model_type\": \"clip_vision_model\"}", "clip_vision_model"},
    {"{" LANGUAGE_SETTINGS ", \"model_type\": \"gemma\"}", "gemma"},
    {"{" LANGUAGE_SETTINGS
     ", \"model_type\": \"qwen3\", \"rope_theta\": 1e6, \"attention_bias\": true}",
     "attention_bias"},
    {"{" LANGUAGE_SETTINGS
     ", \"model_type\": \"llama\", \"rope_theta\": 1e4, \"mlp_bias\": true}",
     "mlp_bias"},
    {"{" LANGUAGE_SETTINGS ", \"model_type\": \"llama\", \"rope_theta\": 1e4, "
     "\"rope_parameters\": {\"rope_type\": \"llama3\", \"rope_theta\": 5e5}}",
     "llama3"},
    {"{" VISION_SETTINGS ", \"model_type\": \"aimv2\", \"force_image_size\": 450}",
     "image size 450 is not a multiple"},
    {"{\"model_type\": \"aimv2\", \"image_size\": [448, 224], \"patch_size\": 14}",
     "two equal ones"},
    {"{\"model_type\": \"siglip\", \"text_config\": {}}", "vision_config"},
    {"{" VISION_SETTINGS "}", "vision"},
    {"{" VISION ", \"is_native\": true}", "is_native"},
    {"{" VISION ", \"use_head\": true}", "use_head"},
    {"{" VISION ", \"hidden_act\": \"gelu\"}", "gelu"},
    {"{" VISION ", \"attention_dropout\": 0.1}", "attention_dropout"},
    {"{" VISION ", \"num_channels\": 1}", "channels"},
    {"{" VISION ", \"image_mean\": [1, 2]}", "3 numbers"},
    {"{" VISION ", \"image_std\": [1, 2, 0]}", "image_std[2]"},
    {"{" VISION ", \"image_std\": [1e-300, 1, 1]}",
     "image_std[0] is 1e-300, expected a number"},
    {"{" VISION ", \"image_mean\": [0, 1e300, 0]}", "image_mean[1] is 1e+300, expected"},
    {"{\"model_type\": \"aimv2\", \"qkv_bias\": true}", "qkv_bias"},
    {"{\"model_type\": \"aimv2\", \"hidden_size\": 8}", "image_size"},
    {"{" LANGUAGE_SETTINGS ", \"model_type\": \"qwen2\"}", "rope_theta"},
    {"{" LANGUAGE ", \"attention_dropout\": 0.5}", "attention_dropout"},
    {"{" LANGUAGE ", \"head_dim\": 5}", "odd"},
    {"{" LANGUAGE ", \"rope_parameters\": {\"rope_type\": \"yarn\"}}", "yarn"},
    {"{\"model_type\": \"qwen2\", \"use_sliding_window\": true}", "use_sliding_window"},
    {"{\"model_type\": \"qwen2\", \"vocab_size\": 0}", "vocab_size"},
    {"{\"vision_config\": {" VISION "}}", "llm_config"},
    {"{\"llm_config\": {" LANGUAGE "}}", "vision_config"},
    {"{\"vision_config\": {" VISION "}, \"llm_config\": {" LANGUAGE "}, \"select_layer\": -25}",
     "select_layer -25, expected -24 to -1"},
    {"{\"vision_config\": {" VISION "}, \"llm_config\": {" LANGUAGE "}, \"select_layer\": 3}",
     "select_layer"},
    {"{\"vision_config\": {" VISION "}, \"llm_config\": {" LANGUAGE
     "}, \"ps_version\": \"v3\"}",
     "v3"},
    {"{\"vision_config\": {" VISION "}, \"llm_config\": {" LANGUAGE
     "}, \"select_layer\": -1, \"ps_version\": \"v2\", \"downsample_ratio\": 0.25}",
     "downsample_ratio"},
    {"{\"vision_config\": {" VISION "}, \"llm_config\": {" LANGUAGE "}, " CONNECTOR
     ", \"force_image_size\": 230}",
     "230 is not a multiple"},
    {"{\"vision_config\": {" VISION "}, \"llm_config\": {" LANGUAGE "}, " CONNECTOR
     ", \"force_image_size\": 378}",
     "set force_image_size to an even number"},
    {"{\"vision_config\": {" VISION "}, \"llm_config\": {" LANGUAGE "}, " CONNECTOR
     ", \"use_llm_lora\": 8}",
     "use_llm_lora"},
};

static void test_refused(void)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (!GR_CHECK_ERR(parse_json(refusals[i].text), GR_ERR_DATA, refusals[i].part)) {
            fprintf(stderr, "refusal %zu\n", i);
        }
    }
}

/// One field of a good configuration made wrong.
static void check_wrong(int64_t *field, const gr_model_config *config, int64_t wrong,
                        const char *part)
{
    int64_t good = *field;
    *field = wrong;
    GR_CHECK_ERR(gr_model_config_check(config), GR_ERR_DATA, part);
    *field = good;
    GR_CHECK_OK(gr_model_config_check(config));
}

static void test_check(void)
{
    gr_model_config c = tiny_config(GR_PARTS_ALL);
    GR_CHECK_OK(gr_model_config_check(&c));
    check_wrong(&c.vision.patch_size, &c, 3, "multiple of patch size");
    check_wrong(&c.vision.image_size, &c, 10, "odd");
    check_wrong(&c.vision.heads, &c, 3, "3 heads");
    check_wrong(&c.vision.blocks, &c, 0, "number of blocks is 0");
    check_wrong(&c.language.kv_heads, &c, 3, "key/value heads");
    check_wrong(&c.language.head_size, &c, 3, "head size 3");
    check_wrong(&c.language.width, &c, INT64_MAX, "width");
    c.parts = (1u << GR_PART_VISION) | (1u << GR_PART_LANGUAGE);
    GR_CHECK_ERR(gr_model_config_check(&c), GR_ERR_DATA, "together");
    GR_CHECK_OK(gr_model_config_check_parts(&c));
    c.parts = 1u << GR_PART_CONNECTOR; // a recipe has the encoder elsewhere
    GR_CHECK_ERR(gr_model_config_check(&c), GR_ERR_DATA, "together");
    GR_CHECK_OK(gr_model_config_check_parts(&c));
    c.parts |= 1u << GR_PART_VISION; // what is there must fit
    c.connector.blocks_left_out = c.vision.blocks;
    GR_CHECK_ERR(gr_model_config_check_parts(&c), GR_ERR_DATA, "select_layer");
    c.connector.blocks_left_out = 0;
    c.parts = 0;
    GR_CHECK_ERR(gr_model_config_check_parts(&c), GR_ERR_DATA, "no part");
    GR_CHECK_ERR(gr_model_config_check(&c), GR_ERR_DATA, "no part");
    c = tiny_config(1u << GR_PART_VISION);
    c.vision.image_size = 10;
    GR_CHECK_OK(gr_model_config_check(&c));
    c.vision.norm_eps = 0;
    GR_CHECK_ERR(gr_model_config_check(&c), GR_ERR_DATA, "eps");
}

static void test_parts(void)
{
    gr_part part = GR_PART_VISION;
    GR_CHECK(gr_part_parse("language", &part) && part == GR_PART_LANGUAGE);
    GR_CHECK(!gr_part_parse("head", &part) && part == GR_PART_LANGUAGE);
    GR_CHECK_STR(gr_part_name(GR_PART_CONNECTOR), "connector");
}

static void check_counts(const char *text, bool yaml, int64_t vision, int64_t connector,
                         int64_t language)
{
    gr_model_config config;
    gr_params *params = NULL;
    if (!GR_CHECK_OK(parse(text, yaml, &config)) ||
        !GR_CHECK_OK(gr_params_create(&config, &params))) {
        return;
    }
    GR_CHECK_INT(params->size[GR_PART_VISION], vision);
    GR_CHECK_INT(params->size[GR_PART_CONNECTOR], connector);
    GR_CHECK_INT(params->size[GR_PART_LANGUAGE], language);
    gr_params_destroy(&params);
    gr_params_destroy(&params);
}

/// The published sizes of SAILViT Huge, its connector and Qwen2.5-1.5B.
static void test_published_counts(void)
{
    check_counts(FULL, false, 682031616, 11811840, 1543714304);
    check_counts("{" VISION "}", false, 682031616, 0, 0);
}

static void test_table(void)
{
    gr_model_config config = tiny_config(GR_PARTS_ALL);
    gr_params *params = NULL;
    config.language.tied = false;
    GR_CHECK_OK(gr_params_create(&config, &params));
    GR_CHECK_INT(params->first[GR_PART_CONNECTOR], 19);
    GR_CHECK_INT(params->first[GR_PART_LANGUAGE], 25);
    GR_CHECK_INT(params->count, 25 + 27);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        int64_t end = 0;
        for (int64_t i = params->first[p]; i < params->first[p + 1]; i++) {
            const gr_param *item = &params->items[i];
            GR_CHECK_INT(item->part, p);
            GR_CHECK_INT(item->offset, end);
            GR_CHECK(gr_params_find(params, item->name) == item);
            end += item->count;
        }
        GR_CHECK_INT(params->size[p], end);
    }
    const gr_param *positions = gr_params_find(params, "vision_model.preprocessor.pos_embed");
    GR_CHECK(positions && positions->ndim == 3 && positions->shape[1] == 16);
    GR_CHECK(positions->decay);
    const gr_param *bias =
        gr_params_find(params, "language_model.model.layers.1.self_attn.q_proj.bias");
    GR_CHECK(bias && bias->ndim == 1 && bias->count == 16 && !bias->decay);
    GR_CHECK(gr_params_find(params, "language_model.lm_head.weight") != NULL);
    GR_CHECK(gr_params_find(params, "lm_head.weight") == NULL);
    gr_params_destroy(&params);
}

static void moments(const float *x, int64_t n, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    *mean = sum / (double)n;
    *deviation = sqrt(squares / (double)n - *mean * *mean);
}

static void test_init(void)
{
    gr_model_config config = tiny_config(GR_PARTS_ALL);
    config.language.vocabulary = 2000;
    fixture f = fixture_create(&config, 1), again = fixture_create(&config, 1);
    const gr_params *params = gr_model_get_params(f.model);
    double mean = 0, deviation = 0;
    gr_model_init(f.model, GR_PARTS_ALL, 5);
    gr_model_init(again.model, 1u << GR_PART_CONNECTOR, 5);
    GR_CHECK_BYTES(gr_model_weights(again.model, GR_PART_CONNECTOR),
                   gr_model_weights(f.model, GR_PART_CONNECTOR),
                   (size_t)params->size[GR_PART_CONNECTOR] * sizeof(float));
    GR_CHECK(gr_model_weights(again.model, GR_PART_VISION)[0] == 0);
    const float *language = gr_model_weights(f.model, GR_PART_LANGUAGE);
    moments(language, 2000 * 12, &mean, &deviation);
    GR_CHECK(fabs(mean) < 0.01 && fabs(deviation - 0.3) < 0.006);
    const gr_param *first = gr_params_find(params, "mlp1.1.weight");
    const float *w = gr_model_weights(f.model, GR_PART_CONNECTOR) + first->offset;
    double most = 0, least = 0;
    for (int64_t i = 0; i < first->count; i++) {
        most = fmax(most, (double)w[i]);
        least = fmin(least, (double)w[i]);
    }
    GR_CHECK(most <= 1 / sqrt(32) && most > 0.95 / sqrt(32));
    GR_CHECK(least >= -1 / sqrt(32) && least < -0.95 / sqrt(32));
    const gr_param *norm = gr_params_find(params, "language_model.model.norm.weight");
    GR_CHECK(language[norm->offset] == 1);
    gr_model_init(again.model, GR_PARTS_ALL, 6);
    GR_CHECK(gr_model_weights(again.model, GR_PART_LANGUAGE)[0] != language[0]);
    fixture_destroy(&f);
    fixture_destroy(&again);
}

/// Every request of memory fails once: an error, nothing lost, and then it works.
static void test_out_of_memory(void)
{
    gr_model_config config = tiny_config(GR_PARTS_ALL);
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(1, 1 << 20, &ex));
    int64_t before = gr_mem_used();
    gr_model *model = NULL;
    for (int64_t n = 1; !model && n < 1000; n++) {
        gr_mem_fail_at(n);
        gr_err err = gr_model_create(&config, ex, &model);
        gr_mem_fail_at(0);
        if (!model) {
            GR_CHECK_INT(err, GR_ERR_MEMORY);
            GR_CHECK_INT(gr_mem_used(), before);
        }
    }
    GR_CHECK(model != NULL);
    gr_model_destroy(&model);
    GR_CHECK_INT(gr_mem_used(), before);
    gr_exec_destroy(&ex);
}

static const gr_test tests[] = {
    {"full", test_full},
    {"single", test_single},
    {"kinds", test_kinds},
    {"connector_keys", test_connector_keys},
    {"unreached", test_unreached},
    {"yaml", test_yaml},
    {"refused", test_refused},
    {"check", test_check},
    {"parts", test_parts},
    {"published_counts", test_published_counts},
    {"table", test_table},
    {"init", test_init},
    {"out_of_memory", test_out_of_memory},
};
GR_TEST_MAIN("model_config", tests)
