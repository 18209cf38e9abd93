#include "src/model/architecture.h"
#include "src/model/config_keys.h"

#include <string.h>

/// Reads one part by the architecture that its model_type names.
static gr_err parse_part(const gr_node *map, gr_part part, gr_model_config *out)
{
    gr_err err = GR_OK;
    const char *type = NULL;
    GR_TRY(gr_node_get_string(map, "model_type", &type));
    const gri_architecture *a = gri_architecture_named(part, type);
    if (!a) {
        GR_TRY(gr_node_error(gr_node_find(map, "model_type"),
                             "expected a %s model %s, got \"%s\"", gr_part_name(part),
                             part == GR_PART_VISION
                                 ? "\"aimv2\", \"sailvit\", \"aimv2_vision_model\", "
                                   "\"intern_vit_6b\", \"internvl_vision\" or "
                                   "\"siglip_vision_model\""
                                 : "\"qwen2\", \"qwen3\" or \"llama\"",
                             type));
    }
    GR_TRY(a->parse(map, out));
    out->parts |= 1u << part;
done:
    return err;
}

/// How features reach the connector. `out` holds what absent keys mean.
static gr_err parse_connector(const gr_node *map, int64_t select_layer, int version,
                              gr_connector_config *out)
{
    enum { MOST_BLOCKS = 1 << 12 };
    gr_err err = GR_OK;
    static const char *const versions[] = {"v1", "v2", NULL};
    bool normed = false;
    GR_TRY(gr_node_opt_int(map, "select_layer", -MOST_BLOCKS, -1, &select_layer));
    GR_TRY(gri_opt_choice(map, "ps_version", versions, &version));
    GR_TRY(gri_only_real(map, "downsample_ratio", 0.5));
    out->blocks_left_out = -1 - select_layer;
    normed = select_layer == -1;
    GR_TRY(gr_node_opt_bool(map, "post_layernorm", &normed));
    out->unnormed = !normed;
    out->by_column = version == 0;
done:
    return err;
}

/// A full config.json of InternVL or SAIL-VL. Absent keys mean what they mean in that code:
/// select_layer -4 and ps_version v1.
static gr_err parse_internvl(const gr_node *root, gr_model_config *out)
{
    gr_err err = GR_OK;
    const gr_node *vision = NULL, *language = NULL;
    GR_TRY(gr_node_get_map(root, "vision_config", &vision));
    GR_TRY(gr_node_get_map(root, "llm_config", &language));
    GR_TRY(parse_connector(root, -4, 0, &out->connector));
    GR_TRY(gri_only_real(root, "use_backbone_lora", 0));
    GR_TRY(gri_only_real(root, "use_llm_lora", 0));
    GR_TRY(parse_part(vision, GR_PART_VISION, out));
    GR_TRY(parse_part(language, GR_PART_LANGUAGE, out));
    GR_TRY(gr_node_opt_int(root, "force_image_size", 1, INT32_MAX, &out->vision.image_size));
    out->parts = GR_PARTS_ALL;
done:
    return err;
}

/// A full config.json of transformers' own InternVL. Tied unless it says otherwise, as there.
static gr_err parse_transformers(const gr_node *root, gr_model_config *out)
{
    gr_err err = GR_OK;
    const gr_node *vision = NULL, *language = NULL;
    int64_t select_layer = -1;
    bool tied = true;
    GR_TRY(gr_node_get_map(root, "vision_config", &vision));
    GR_TRY(gr_node_get_map(root, "text_config", &language));
    GR_TRY(gr_node_opt_int(root, "vision_feature_layer", INT32_MIN, -1, &select_layer));
    GR_TRY(gri_only_string(root, "vision_feature_select_strategy", "default"));
    GR_TRY(gri_only_string(root, "projector_hidden_act", "gelu"));
    GR_TRY(parse_connector(root, select_layer, 1, &out->connector));
    GR_TRY(parse_part(vision, GR_PART_VISION, out));
    GR_TRY(parse_part(language, GR_PART_LANGUAGE, out));
    GR_TRY(gr_node_opt_bool(root, "tie_word_embeddings", &tied));
    out->language.tied = tied;
    out->parts = GR_PARTS_ALL;
done:
    return err;
}

/// The vision half of a config.json of a SigLIP pair.
static gr_err parse_siglip(const gr_node *root, gr_model_config *out)
{
    gr_err err = GR_OK;
    const gr_node *vision = NULL;
    GR_TRY(gr_node_get_map(root, "vision_config", &vision));
    if (gr_node_find(vision, "model_type")) {
        GR_TRY(parse_part(vision, GR_PART_VISION, out));
    } else {
        GR_TRY(gri_siglip.parse(vision, out));
        out->parts = 1u << GR_PART_VISION;
    }
done:
    return err;
}

/// Refuses keys that the part's architecture does not have.
static gr_err check_part_keys(const gr_node *map, gr_part part)
{
    static const char *const connector_keys[] = {"select_layer", "ps_version",
                                                 "downsample_ratio", "post_layernorm", NULL};
    gr_err err = GR_OK;
    const gri_architecture *a = NULL;
    const char *type = NULL;
    GR_TRY(gr_node_expect(map, GR_DOC_MAP));
    if (part == GR_PART_CONNECTOR) {
        GR_TRY(gr_node_check_keys(map, connector_keys));
        goto done;
    }
    GR_TRY(gr_node_opt_string(map, "model_type", &type));
    a = type ? gri_architecture_named(part, type) : NULL;
    // Without a known model_type parse_part says so, unless a key is even stranger.
    if (a || !type) {
        const gri_architecture *first = part == GR_PART_VISION ? &gri_aimv2 : &gri_qwen2;
        GR_TRY(gr_node_check_keys(map, a ? a->keys : first->keys));
    }
done:
    return err;
}

/// Our own YAML: one map a part; the parts that stand in the file are the parts of the model.
static gr_err parse_ours(const gr_node *root, gr_model_config *out)
{
    static const char *const our_keys[] = {"vision", "connector", "language", NULL};
    gr_err err = GR_OK;
    const gr_node *maps[GR_PART_COUNT] = {NULL};
    GR_TRY(gr_node_check_keys(root, our_keys));
    for (int p = 0; p < GR_PART_COUNT; p++) {
        maps[p] = gr_node_find(root, gr_part_name((gr_part)p));
        if (maps[p]) {
            GR_TRY(check_part_keys(maps[p], (gr_part)p));
            out->parts |= 1u << p;
        }
    }
    if (maps[GR_PART_VISION]) {
        GR_TRY(parse_part(maps[GR_PART_VISION], GR_PART_VISION, out));
    }
    if (maps[GR_PART_CONNECTOR]) {
        GR_TRY(parse_connector(maps[GR_PART_CONNECTOR], -1, 1, &out->connector));
    }
    if (maps[GR_PART_LANGUAGE]) {
        GR_TRY(parse_part(maps[GR_PART_LANGUAGE], GR_PART_LANGUAGE, out));
    }
done:
    return err;
}

/// The config.json of one model alone; which part, its model_type says.
static gr_err parse_single(const gr_node *root, gr_model_config *out)
{
    gr_err err = GR_OK;
    const char *type = NULL;
    GR_TRY(gr_node_get_string(root, "model_type", &type));
    if (gri_architecture_named(GR_PART_LANGUAGE, type)) {
        GR_TRY(parse_part(root, GR_PART_LANGUAGE, out));
    } else if (gri_architecture_named(GR_PART_VISION, type)) {
        GR_TRY(parse_part(root, GR_PART_VISION, out));
    } else {
        GR_TRY(gr_node_error(
            gr_node_find(root, "model_type"),
            "got \"%s\"; known are the language models \"qwen2\", \"qwen3\", \"llama\", the "
            "vision models \"aimv2\", \"sailvit\", \"aimv2_vision_model\", \"intern_vit_6b\", "
            "\"internvl_vision\", \"siglip_vision_model\", and models with vision_config and "
            "llm_config or text_config",
            type));
    }
done:
    return err;
}

static gr_err parse_root(const gr_node *root, gr_model_config *out)
{
    gr_err err = GR_OK;
    const gr_node *type = NULL;
    GR_TRY(gr_node_expect(root, GR_DOC_MAP));
    type = gr_node_find(root, "model_type");
    bool siglip =
        type && type->type == GR_DOC_STRING && strcmp(type->u.string.data, "siglip") == 0;
    if (siglip) {
        GR_TRY(parse_siglip(root, out));
    } else if (gr_node_find(root, "vision_config") && gr_node_find(root, "text_config")) {
        GR_TRY(parse_transformers(root, out));
    } else if (gr_node_find(root, "vision_config") || gr_node_find(root, "llm_config")) {
        GR_TRY(parse_internvl(root, out));
    } else if (type) {
        GR_TRY(parse_single(root, out));
    } else {
        GR_TRY(parse_ours(root, out));
    }
done:
    return err;
}

gr_err gr_model_config_parse(const gr_doc *doc, gr_model_config *out)
{
    gr_err err = GR_OK;
    gr_model_config config = {.connector = {.norm_eps = 1e-5}};
    GR_TRY(parse_root(gr_doc_root(doc), &config));
    GR_TRY_CONTEXT(gr_model_config_check_parts(&config), "%s", gr_doc_name(doc));
    *out = config;
done:
    return err;
}
