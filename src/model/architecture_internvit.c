/// InternViT: class token, LayerNorm or RMSNorm, packed qkv, GELU, a scale on each branch, no
/// final norm. Source: Chen et al. 2023, arXiv 2312.14238; InternVL's modeling_intern_vit.py.
#include "src/model/config_keys.h"
#include "src/model/vision.h"

#include <string.h>

static const gri_tensor_rule front[] = {
    GRI_TABLE("class_embedding", GRI_VISION(class_token), GRI_NORMAL, 0, GRI_ONE, GRI_ONE,
              GRI_D),
    GRI_TENSOR("patch_embedding.weight", GRI_VISION(patch.weight), GRI_NORMAL, 0, GRI_D,
               GRI_CHANNELS, GRI_P, GRI_P),
    GRI_TENSOR("patch_embedding.bias", GRI_VISION(patch.bias), GRI_ZEROS, 0, GRI_D),
    GRI_TABLE("position_embedding", GRI_VISION(positions), GRI_NORMAL, 0, GRI_ONE,
              GRI_1_PATCHES, GRI_D),
};

static const gri_tensor_rule block[] = {
    GRI_TENSOR("norm1.weight", GRI_BLOCK(norm1.weight), GRI_ONES, 0, GRI_D),
    GRI_TENSOR("norm1.bias", GRI_BLOCK(norm1.bias), GRI_ZEROS, GRI_LAYER_NORM, GRI_D),
    GRI_TENSOR("attn.qkv.weight", GRI_BLOCK(qkv[0].weight), GRI_NORMAL, 0, GRI_3D, GRI_D),
    GRI_TENSOR("attn.qkv.bias", GRI_BLOCK(qkv[0].bias), GRI_ZEROS, GRI_QKV_BIAS, GRI_3D),
    GRI_TENSOR("attn.q_norm.weight", GRI_BLOCK(q_norm), GRI_ONES, GRI_QK_NORM, GRI_D),
    GRI_TENSOR("attn.k_norm.weight", GRI_BLOCK(k_norm), GRI_ONES, GRI_QK_NORM, GRI_D),
    GRI_TENSOR("attn.proj.weight", GRI_BLOCK(out.weight), GRI_NORMAL, 0, GRI_D, GRI_D),
    GRI_TENSOR("attn.proj.bias", GRI_BLOCK(out.bias), GRI_ZEROS, 0, GRI_D),
    GRI_TENSOR("ls1", GRI_BLOCK(scale1), GRI_SCALE, 0, GRI_D),
    GRI_TENSOR("norm2.weight", GRI_BLOCK(norm2.weight), GRI_ONES, 0, GRI_D),
    GRI_TENSOR("norm2.bias", GRI_BLOCK(norm2.bias), GRI_ZEROS, GRI_LAYER_NORM, GRI_D),
    GRI_TENSOR("mlp.fc1.weight", GRI_BLOCK(gate.weight), GRI_NORMAL, 0, GRI_F, GRI_D),
    GRI_TENSOR("mlp.fc1.bias", GRI_BLOCK(gate.bias), GRI_ZEROS, 0, GRI_F),
    GRI_TENSOR("mlp.fc2.weight", GRI_BLOCK(down.weight), GRI_NORMAL, 0, GRI_D, GRI_F),
    GRI_TENSOR("mlp.fc2.bias", GRI_BLOCK(down.bias), GRI_ZEROS, 0, GRI_D),
    GRI_TENSOR("ls2", GRI_BLOCK(scale2), GRI_SCALE, 0, GRI_D),
};

/// InternVL's own scheme says everything; transformers' leaves out what is its class's default.
static gr_err parse_switches(const gr_node *map, gr_vision_config *out)
{
    gr_err err = GR_OK;
    static const char *const norms[] = {"rms_norm", "layer_norm", NULL};
    const char *type = NULL;
    int norm = GR_NORM_LAYER;
    GR_TRY(gr_node_get_string(map, "model_type", &type));
    bool ours = strcmp(type, "internvl_vision") != 0;
    const char *needed[] = {"norm_type", "qkv_bias", "qk_normalization"};
    for (size_t i = 0; ours && i < sizeof needed / sizeof needed[0]; i++) {
        if (!gr_node_find(map, needed[i])) {
            GR_TRY(gr_node_error(map,
                                 "%s is missing; InternViT-300M has norm_type layer_norm, "
                                 "qkv_bias true, qk_normalization false",
                                 needed[i]));
        }
    }
    GR_TRY(gri_opt_choice(map, "norm_type", norms, &norm));
    GR_TRY(gr_node_opt_bool(map, ours ? "qkv_bias" : "attention_bias", &out->qkv_bias));
    GR_TRY(gr_node_opt_bool(map, ours ? "qk_normalization" : "use_qk_norm", &out->qk_norm));
    GR_TRY(gr_node_opt_real(map, ours ? "initializer_factor" : "layer_scale_init_value", -1e6,
                            1e6, &out->layer_scale));
    out->norm = (gr_norm_kind)norm;
done:
    return err;
}

static gr_err parse(const gr_node *map, gr_model_config *config)
{
    gr_err err = GR_OK;
    gr_vision_config *out = &config->vision;
    *out = (gr_vision_config){.kind = GR_VISION_INTERNVIT,
                              .mlp = GR_MLP_GELU,
                              .norm_eps = 1e-6,
                              .layer_scale = 0.1,
                              .initializer_range = 0.02,
                              .image_mean = {0.485, 0.456, 0.406},
                              .image_std = {0.229, 0.224, 0.225}};
    GR_TRY(parse_switches(map, out));
    GR_TRY(gri_only_string(map, "hidden_act", "gelu"));
    GR_TRY(gri_only_real(map, "dropout", 0));
    GR_TRY(gri_only_real(map, "hidden_dropout_prob", 0));
    GR_TRY(gri_only_real(map, "projection_dropout", 0));
    GR_TRY(gri_only_bool(map, "use_mask_token", false));
    GR_TRY(gri_only_bool(map, "use_absolute_position_embeddings", true));
    GR_TRY(gri_only_bool(map, "use_mean_pooling", true));
    GR_TRY(gri_parse_vision_sizes(map, out));
    GR_TRY(gr_node_opt_real(map, "layer_norm_eps", 0, 1, &out->norm_eps));
    GR_TRY(gr_node_opt_real(map, "drop_path_rate", 0, 1, &out->drop_path));
    if (out->drop_path == 1) {
        GR_TRY(gr_node_error(gr_node_find(map, "drop_path_rate"),
                             "1 would leave the last block out always: expected less than 1"));
    }
done:
    return err;
}

static unsigned features(const gr_model_config *config)
{
    const gr_vision_config *v = &config->vision;
    return (v->norm == GR_NORM_LAYER ? GRI_LAYER_NORM : 0) | (v->qkv_bias ? GRI_QKV_BIAS : 0) |
           (v->qk_norm ? GRI_QK_NORM : 0);
}

const gri_architecture gri_internvit = {
    .types = (const char *const[]){"intern_vit_6b", "internvl_vision", NULL},
    .keys =
        (const char *const[]){GRI_VISION_KEYS, "norm_type", "qkv_bias", "qk_normalization",
                              "layer_norm_eps", "drop_path_rate", "initializer_factor", NULL},
    .parse = parse,
    .features = features,
    .sections = {{"vision_model.embeddings.", false, GRI_RULES(front)},
                 {"vision_model.encoder.layers.#.", true, GRI_RULES(block)}},
};
