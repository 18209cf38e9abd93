/// SigLIP's vision tower without its pooling head: LayerNorm, q, k and v apart, all with bias, tanh
/// GELU, a final norm. Source: Zhai et al. 2023, arXiv 2303.15343; transformers' modeling_siglip.py.
#include "src/model/config_keys.h"
#include "src/model/vision.h"

static const gri_tensor_rule front[] = {
    GRI_TENSOR("patch_embedding.weight", GRI_VISION(patch.weight), GRI_NORMAL, 0, GRI_D,
               GRI_CHANNELS, GRI_P, GRI_P),
    GRI_TENSOR("patch_embedding.bias", GRI_VISION(patch.bias), GRI_ZEROS, 0, GRI_D),
    GRI_TABLE("position_embedding.weight", GRI_VISION(positions), GRI_NORMAL, 0, GRI_PATCHES,
              GRI_D),
};

static const gri_tensor_rule block[] = {
    GRI_TENSOR("layer_norm1.weight", GRI_BLOCK(norm1.weight), GRI_ONES, 0, GRI_D),
    GRI_TENSOR("layer_norm1.bias", GRI_BLOCK(norm1.bias), GRI_ZEROS, 0, GRI_D),
    GRI_TENSOR("self_attn.q_proj.weight", GRI_BLOCK(qkv[0].weight), GRI_NORMAL, 0, GRI_D,
               GRI_D),
    GRI_TENSOR("self_attn.q_proj.bias", GRI_BLOCK(qkv[0].bias), GRI_ZEROS, 0, GRI_D),
    GRI_TENSOR("self_attn.k_proj.weight", GRI_BLOCK(qkv[1].weight), GRI_NORMAL, 0, GRI_D,
               GRI_D),
    GRI_TENSOR("self_attn.k_proj.bias", GRI_BLOCK(qkv[1].bias), GRI_ZEROS, 0, GRI_D),
    GRI_TENSOR("self_attn.v_proj.weight", GRI_BLOCK(qkv[2].weight), GRI_NORMAL, 0, GRI_D,
               GRI_D),
    GRI_TENSOR("self_attn.v_proj.bias", GRI_BLOCK(qkv[2].bias), GRI_ZEROS, 0, GRI_D),
    GRI_TENSOR("self_attn.out_proj.weight", GRI_BLOCK(out.weight), GRI_NORMAL, 0, GRI_D, GRI_D),
    GRI_TENSOR("self_attn.out_proj.bias", GRI_BLOCK(out.bias), GRI_ZEROS, 0, GRI_D),
    GRI_TENSOR("layer_norm2.weight", GRI_BLOCK(norm2.weight), GRI_ONES, 0, GRI_D),
    GRI_TENSOR("layer_norm2.bias", GRI_BLOCK(norm2.bias), GRI_ZEROS, 0, GRI_D),
    GRI_TENSOR("mlp.fc1.weight", GRI_BLOCK(gate.weight), GRI_NORMAL, 0, GRI_F, GRI_D),
    GRI_TENSOR("mlp.fc1.bias", GRI_BLOCK(gate.bias), GRI_ZEROS, 0, GRI_F),
    GRI_TENSOR("mlp.fc2.weight", GRI_BLOCK(down.weight), GRI_NORMAL, 0, GRI_D, GRI_F),
    GRI_TENSOR("mlp.fc2.bias", GRI_BLOCK(down.bias), GRI_ZEROS, 0, GRI_D),
};

static const gri_tensor_rule back[] = {
    GRI_TENSOR("post_layernorm.weight", GRI_VISION(final_norm.weight), GRI_ONES, 0, GRI_D),
    GRI_TENSOR("post_layernorm.bias", GRI_VISION(final_norm.bias), GRI_ZEROS, 0, GRI_D),
};

/// The pooling head may be there (vision_use_head): it is not computed and its tensors are passed over.
static gr_err parse(const gr_node *map, gr_model_config *config)
{
    gr_err err = GR_OK;
    static const char *const activations[] = {"gelu_pytorch_tanh", "gelu", NULL};
    gr_vision_config *out = &config->vision;
    int activation = 0;
    *out = (gr_vision_config){.kind = GR_VISION_SIGLIP,
                              .norm = GR_NORM_LAYER,
                              .qkv_bias = true,
                              .norm_eps = 1e-6,
                              .initializer_range = 0.02,
                              .image_mean = {0.5, 0.5, 0.5},
                              .image_std = {0.5, 0.5, 0.5}};
    GR_TRY(gri_opt_choice(map, "hidden_act", activations, &activation));
    out->mlp = activation == 0 ? GR_MLP_GELU_TANH : GR_MLP_GELU;
    GR_TRY(gri_parse_vision_sizes(map, out));
    GR_TRY(gr_node_opt_real(map, "layer_norm_eps", 0, 1, &out->norm_eps));
done:
    return err;
}

static unsigned features(const gr_model_config *config)
{
    (void)config;
    return 0;
}

const gri_architecture gri_siglip = {
    .types = (const char *const[]){"siglip_vision_model", NULL},
    .keys = (const char *const[]){GRI_VISION_KEYS, "layer_norm_eps", NULL},
    .parse = parse,
    .features = features,
    .sections = {{"vision_model.embeddings.", false, GRI_RULES(front)},
                 {"vision_model.encoder.layers.#.", true, GRI_RULES(block)},
                 {"vision_model.", false, GRI_RULES(back)}},
};
