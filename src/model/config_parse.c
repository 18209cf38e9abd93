#include "src/model/config.h"

#include <string.h>

/// Sizes are bounded for good in gr_model_config_check; this only keeps them in 32 bits.
enum { SIZE_MOST = INT32_MAX };

/// A setting with one computed value: anything else is refused, absence is fine.
static gr_err only_bool(const gr_node *map, const char *key, bool computed)
{
    gr_err err = GR_OK;
    bool value = computed;
    GR_TRY(gr_node_opt_bool(map, key, &value));
    if (value != computed) {
        GR_TRY(gr_node_error(gr_node_find(map, key), "expected %s: nothing else is computed",
                             computed ? "true" : "false"));
    }
done:
    return err;
}

static gr_err only_real(const gr_node *map, const char *key, double computed)
{
    gr_err err = GR_OK;
    double value = computed;
    GR_TRY(gr_node_opt_real(map, key, -1e9, 1e9, &value));
    if (value != computed) {
        GR_TRY(gr_node_error(gr_node_find(map, key),
                             "expected %g, got %g: nothing else is computed", computed, value));
    }
done:
    return err;
}

static gr_err only_string(const gr_node *map, const char *key, const char *computed)
{
    gr_err err = GR_OK;
    const char *value = computed;
    GR_TRY(gr_node_opt_string(map, key, &value));
    if (strcmp(value, computed) != 0) {
        GR_TRY(gr_node_error(gr_node_find(map, key),
                             "expected \"%s\", got \"%s\": nothing else is computed", computed,
                             value));
    }
done:
    return err;
}

typedef struct size_key {
    const char *key;
    int64_t *out;
} size_key;

static gr_err get_sizes(const gr_node *map, const size_key *keys, size_t count)
{
    gr_err err = GR_OK;
    for (size_t i = 0; i < count; i++) {
        GR_TRY(gr_node_get_int(map, keys[i].key, 1, SIZE_MOST, keys[i].out));
    }
done:
    return err;
}

static gr_err opt_three_reals(const gr_node *map, const char *key, double out[3])
{
    gr_err err = GR_OK;
    const gr_node *list = gr_node_find(map, key);
    if (!list) {
        return GR_OK;
    }
    GR_TRY(gr_node_expect(list, GR_DOC_LIST));
    if (list->u.list.count != 3) {
        GR_TRY(
            gr_node_error(list, "expected 3 numbers, got %lld", (long long)list->u.list.count));
    }
    for (int i = 0; i < 3; i++) {
        const gr_node *item = &list->u.list.items[i];
        if (item->type == GR_DOC_INT) {
            out[i] = (double)item->u.integer;
            continue;
        }
        GR_TRY(gr_node_expect(item, GR_DOC_REAL));
        out[i] = item->u.real;
    }
done:
    return err;
}

static gr_err check_vision_type(const gr_node *map)
{
    gr_err err = GR_OK;
    static const char *const known[] = {"aimv2", "sailvit", "aimv2_vision_model"};
    const char *type = NULL;
    GR_TRY(gr_node_get_string(map, "model_type", &type));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(type, known[i]) == 0) {
            return GR_OK;
        }
    }
    GR_TRY(gr_node_error(
        gr_node_find(map, "model_type"),
        "expected a vision model \"aimv2\", \"sailvit\" or \"aimv2_vision_model\", got \"%s\"",
        type));
done:
    return err;
}

static gr_err check_vision_settings(const gr_node *map)
{
    gr_err err = GR_OK;
    static const char *const off[] = {"qkv_bias", "use_bias", "mlp_bias", "is_native",
                                      "use_head"};
    GR_TRY(check_vision_type(map));
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++) {
        GR_TRY(only_bool(map, off[i], false));
    }
    GR_TRY(only_string(map, "hidden_act", "silu"));
    GR_TRY(only_real(map, "attention_dropout", 0));
    GR_TRY(only_real(map, "projection_dropout", 0));
done:
    return err;
}

static gr_err parse_vision(const gr_node *map, gr_vision_config *out)
{
    gr_err err = GR_OK;
    *out = (gr_vision_config){.kind = GR_VISION_AIMV2,
                              .channels = 3,
                              .norm_eps = 1e-5,
                              .initializer_range = 0.02,
                              .image_mean = {0.485, 0.456, 0.406},
                              .image_std = {0.229, 0.224, 0.225}};
    const size_key sizes[] = {
        {"image_size", &out->image_size},       {"patch_size", &out->patch_size},
        {"hidden_size", &out->width},           {"num_attention_heads", &out->heads},
        {"intermediate_size", &out->mlp_width}, {"num_hidden_layers", &out->blocks},
    };
    GR_TRY(check_vision_settings(map));
    GR_TRY(get_sizes(map, sizes, sizeof sizes / sizeof sizes[0]));
    GR_TRY(gr_node_opt_int(map, "num_channels", 1, SIZE_MOST, &out->channels));
    GR_TRY(gr_node_opt_real(map, "rms_norm_eps", 0, 1, &out->norm_eps));
    GR_TRY(gr_node_opt_real(map, "initializer_range", 0, 1, &out->initializer_range));
    GR_TRY(opt_three_reals(map, "image_mean", out->image_mean));
    GR_TRY(opt_three_reals(map, "image_std", out->image_std));
done:
    return err;
}

/// `rope_theta`, which newer files keep inside `rope_parameters`.
static gr_err parse_rope(const gr_node *map, double *theta)
{
    gr_err err = GR_OK;
    const gr_node *scaling = gr_node_find(map, "rope_scaling");
    const gr_node *inner = gr_node_find(map, "rope_parameters");
    if (scaling) {
        GR_TRY(gr_node_error(scaling, "expected null: rope scaling is not computed"));
    }
    if (inner) {
        GR_TRY(gr_node_expect(inner, GR_DOC_MAP));
        GR_TRY(only_string(inner, "rope_type", "default"));
    }
    bool inside = inner && !gr_node_find(map, "rope_theta");
    GR_TRY(gr_node_get_real(inside ? inner : map, "rope_theta", 1, 1e12, theta));
done:
    return err;
}

static gr_err check_language_settings(const gr_node *map)
{
    gr_err err = GR_OK;
    const char *type = NULL;
    GR_TRY(gr_node_get_string(map, "model_type", &type));
    if (strcmp(type, "qwen2") != 0) {
        GR_TRY(gr_node_error(gr_node_find(map, "model_type"),
                             "expected a language model \"qwen2\", got \"%s\"", type));
    }
    GR_TRY(only_bool(map, "use_sliding_window", false));
    GR_TRY(only_string(map, "hidden_act", "silu"));
    GR_TRY(only_real(map, "attention_dropout", 0));
done:
    return err;
}

static gr_err parse_language(const gr_node *map, gr_language_config *out)
{
    gr_err err = GR_OK;
    *out = (gr_language_config){.kind = GR_LANGUAGE_QWEN2,
                                .max_positions = 32768,
                                .norm_eps = 1e-6,
                                .initializer_range = 0.02};
    const size_key sizes[] = {
        {"vocab_size", &out->vocabulary},        {"hidden_size", &out->width},
        {"num_hidden_layers", &out->blocks},     {"num_attention_heads", &out->heads},
        {"num_key_value_heads", &out->kv_heads}, {"intermediate_size", &out->mlp_width},
    };
    GR_TRY(check_language_settings(map));
    GR_TRY(get_sizes(map, sizes, sizeof sizes / sizeof sizes[0]));
    GR_TRY(gr_node_opt_int(map, "head_dim", 1, SIZE_MOST, &out->head_size));
    if (out->head_size == 0) {
        if (out->width % out->heads != 0) {
            GR_TRY(gr_node_error(gr_node_find(map, "hidden_size"),
                                 "%lld is not a multiple of num_attention_heads %lld",
                                 (long long)out->width, (long long)out->heads));
        }
        out->head_size = out->width / out->heads;
    }
    GR_TRY(gr_node_opt_int(map, "max_position_embeddings", 1, SIZE_MOST, &out->max_positions));
    GR_TRY(parse_rope(map, &out->rope_theta));
    GR_TRY(gr_node_opt_real(map, "rms_norm_eps", 0, 1, &out->norm_eps));
    GR_TRY(gr_node_opt_bool(map, "tie_word_embeddings", &out->tied));
    GR_TRY(gr_node_opt_real(map, "initializer_range", 0, 1, &out->initializer_range));
done:
    return err;
}

static gr_err check_connector_settings(const gr_node *map)
{
    gr_err err = GR_OK;
    GR_TRY(only_real(map, "select_layer", -1));
    GR_TRY(only_string(map, "ps_version", "v2"));
    GR_TRY(only_real(map, "downsample_ratio", 0.5));
done:
    return err;
}

/// A full config.json. Where it leaves out how the vision features reach the connector, foreign code
/// assumes select_layer -4 and ps_version v1, neither of which is computed: so absence is refused too.
static gr_err parse_full(const gr_node *root, gr_model_config *out)
{
    gr_err err = GR_OK;
    static const char *const needed[] = {"select_layer", "ps_version", "downsample_ratio"};
    const gr_node *vision = NULL, *language = NULL;
    GR_TRY(gr_node_get_map(root, "vision_config", &vision));
    GR_TRY(gr_node_get_map(root, "llm_config", &language));
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (!gr_node_find(root, needed[i])) {
            GR_TRY(
                gr_node_error(root,
                              "%s is missing; its usual default (select_layer -4, ps_version "
                              "v1) is not computed, so write select_layer -1, ps_version "
                              "\"v2\", downsample_ratio 0.5 if the model was trained so",
                              needed[i]));
        }
    }
    GR_TRY(check_connector_settings(root));
    GR_TRY(only_real(root, "use_backbone_lora", 0));
    GR_TRY(only_real(root, "use_llm_lora", 0));
    GR_TRY(parse_vision(vision, &out->vision));
    GR_TRY(parse_language(language, &out->language));
    GR_TRY(only_real(root, "force_image_size", (double)out->vision.image_size));
    out->parts = GR_PARTS_ALL;
done:
    return err;
}

static const char *const vision_keys[] = {
    "model_type",        "image_size",         "patch_size",
    "num_channels",      "hidden_size",        "num_attention_heads",
    "intermediate_size", "num_hidden_layers",  "rms_norm_eps",
    "initializer_range", "image_mean",         "image_std",
    "hidden_act",        "qkv_bias",           "use_bias",
    "mlp_bias",          "is_native",          "use_head",
    "attention_dropout", "projection_dropout", NULL,
};
static const char *const connector_keys[] = {"select_layer", "ps_version", "downsample_ratio",
                                             NULL};
static const char *const language_keys[] = {
    "model_type",
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "rope_theta",
    "rope_scaling",
    "rms_norm_eps",
    "max_position_embeddings",
    "tie_word_embeddings",
    "initializer_range",
    "hidden_act",
    "attention_dropout",
    "use_sliding_window",
    NULL,
};
static const char *const our_keys[] = {"vision", "connector", "language", NULL};

/// Our own YAML: one map a part; the parts that stand in the file are the parts of the model.
static gr_err parse_ours(const gr_node *root, gr_model_config *out)
{
    gr_err err = GR_OK;
    static const char *const *const keys[GR_PART_COUNT] = {vision_keys, connector_keys,
                                                           language_keys};
    const gr_node *maps[GR_PART_COUNT] = {NULL};
    GR_TRY(gr_node_check_keys(root, our_keys));
    for (int p = 0; p < GR_PART_COUNT; p++) {
        maps[p] = gr_node_find(root, gr_part_name((gr_part)p));
        if (maps[p]) {
            GR_TRY(gr_node_expect(maps[p], GR_DOC_MAP));
            GR_TRY(gr_node_check_keys(maps[p], keys[p]));
            out->parts |= 1u << p;
        }
    }
    if (maps[GR_PART_VISION]) {
        GR_TRY(parse_vision(maps[GR_PART_VISION], &out->vision));
    }
    if (maps[GR_PART_CONNECTOR]) {
        GR_TRY(check_connector_settings(maps[GR_PART_CONNECTOR]));
    }
    if (maps[GR_PART_LANGUAGE]) {
        GR_TRY(parse_language(maps[GR_PART_LANGUAGE], &out->language));
    }
done:
    return err;
}

/// The config.json of one model alone; which kind, its model_type says.
static gr_err parse_single(const gr_node *root, gr_model_config *out)
{
    gr_err err = GR_OK;
    const char *type = NULL;
    GR_TRY(gr_node_get_string(root, "model_type", &type));
    if (strcmp(type, "qwen2") == 0) {
        GR_TRY(parse_language(root, &out->language));
        out->parts = 1u << GR_PART_LANGUAGE;
    } else if (strcmp(type, "aimv2") == 0 || strcmp(type, "sailvit") == 0 ||
               strcmp(type, "aimv2_vision_model") == 0) {
        GR_TRY(parse_vision(root, &out->vision));
        out->parts = 1u << GR_PART_VISION;
    } else {
        GR_TRY(gr_node_error(
            gr_node_find(root, "model_type"),
            "got \"%s\"; known are \"qwen2\", \"aimv2\", \"sailvit\", \"aimv2_vision_model\", "
            "and models with vision_config and llm_config",
            type));
    }
done:
    return err;
}

gr_err gr_model_config_parse(const gr_doc *doc, gr_model_config *out)
{
    gr_err err = GR_OK;
    const gr_node *root = gr_doc_root(doc);
    gr_model_config config = {.connector = {.norm_eps = 1e-5}};
    GR_TRY(gr_node_expect(root, GR_DOC_MAP));
    if (gr_node_find(root, "vision_config") || gr_node_find(root, "llm_config")) {
        GR_TRY(parse_full(root, &config));
    } else if (gr_node_find(root, "model_type")) {
        GR_TRY(parse_single(root, &config));
    } else {
        GR_TRY(parse_ours(root, &config));
    }
    GR_TRY_CONTEXT(gr_model_config_check(&config), "%s", gr_doc_name(doc));
    *out = config;
done:
    return err;
}
