/// AIMv2 and SAILViT: RMSNorm, packed qkv and SwiGLU without bias, a norm behind the patches, no class
/// token. Source: Fini et al. 2024, arXiv 2411.14402.
#include "src/model/config_keys.h"
#include "src/model/vision.h"

static const gri_tensor_rule front[] = {
    GRI_TENSOR("patchifier.proj.weight", GRI_VISION(patch.weight), GRI_NORMAL, 0, GRI_D,
               GRI_CHANNELS, GRI_P, GRI_P),
    GRI_TENSOR("patchifier.proj.bias", GRI_VISION(patch.bias), GRI_ZEROS, 0, GRI_D),
    GRI_TENSOR("patchifier.norm.weight", GRI_VISION(patch_norm.weight), GRI_ONES, 0, GRI_D),
    GRI_TABLE("pos_embed", GRI_VISION(positions), GRI_NORMAL, 0, GRI_ONE, GRI_PATCHES, GRI_D),
};

static const gri_tensor_rule block[] = {
    GRI_TENSOR("norm_1.weight", GRI_BLOCK(norm1.weight), GRI_ONES, 0, GRI_D),
    GRI_TENSOR("attn.qkv.weight", GRI_BLOCK(qkv[0].weight), GRI_NORMAL, 0, GRI_3D, GRI_D),
    GRI_TENSOR("attn.proj.weight", GRI_BLOCK(out.weight), GRI_NORMAL, 0, GRI_D, GRI_D),
    GRI_TENSOR("norm_2.weight", GRI_BLOCK(norm2.weight), GRI_ONES, 0, GRI_D),
    GRI_TENSOR("mlp.fc1.weight", GRI_BLOCK(gate.weight), GRI_NORMAL, 0, GRI_F, GRI_D),
    GRI_TENSOR("mlp.fc3.weight", GRI_BLOCK(up.weight), GRI_NORMAL, 0, GRI_F, GRI_D),
    GRI_TENSOR("mlp.fc2.weight", GRI_BLOCK(down.weight), GRI_NORMAL, 0, GRI_D, GRI_F),
};

static const gri_tensor_rule back[] = {
    GRI_TENSOR("post_trunk_norm.weight", GRI_VISION(final_norm.weight), GRI_ONES, 0, GRI_D),
};

static gr_err parse(const gr_node *map, gr_model_config *config)
{
    gr_err err = GR_OK;
    static const char *const off[] = {"qkv_bias", "use_bias", "mlp_bias", "is_native",
                                      "use_head"};
    gr_vision_config *out = &config->vision;
    *out = (gr_vision_config){.kind = GR_VISION_AIMV2,
                              .norm_eps = 1e-5,
                              .initializer_range = 0.02,
                              .image_mean = {0.485, 0.456, 0.406},
                              .image_std = {0.229, 0.224, 0.225}};
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++) {
        GR_TRY(gri_only_bool(map, off[i], false));
    }
    GR_TRY(gri_only_string(map, "hidden_act", "silu"));
    GR_TRY(gri_only_real(map, "projection_dropout", 0));
    GR_TRY(gri_parse_vision_sizes(map, out));
    GR_TRY(gr_node_opt_real(map, "rms_norm_eps", 0, 1, &out->norm_eps));
done:
    return err;
}

static unsigned features(const gr_model_config *config)
{
    (void)config;
    return 0;
}

const gri_architecture gri_aimv2 = {
    .types = (const char *const[]){"aimv2", "sailvit", "aimv2_vision_model", NULL},
    .keys =
        (const char *const[]){GRI_VISION_KEYS, "rms_norm_eps", "qkv_bias", "use_bias",
                              "mlp_bias", "is_native", "use_head", "projection_dropout", NULL},
    .parse = parse,
    .features = features,
    .sections = {{"vision_model.preprocessor.", false, GRI_RULES(front)},
                 {"vision_model.trunk.blocks.#.", true, GRI_RULES(block)},
                 {"vision_model.trunk.", false, GRI_RULES(back)}},
};
