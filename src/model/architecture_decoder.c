/// Qwen2, Qwen3 (dense) and Llama: one decoder, with biases on q, k and v (Qwen2), with a norm of each
/// query and key head (Qwen3), or plain (Llama).
/// Sources: Qwen2 technical report, arXiv 2407.10671; Qwen3, arXiv 2505.09388; Llama, arXiv 2302.13971.
#include "src/model/config_keys.h"
#include "src/model/language.h"

static const gri_tensor_rule front[] = {
    GRI_TABLE("embed_tokens.weight", GRI_LANGUAGE(embedding), GRI_NORMAL, 0, GRI_V, GRI_D),
};

static const gri_tensor_rule block[] = {
    GRI_TENSOR("input_layernorm.weight", GRI_BLOCK(norm1.weight), GRI_ONES, 0, GRI_D),
    GRI_TENSOR("self_attn.q_proj.weight", GRI_BLOCK(qkv[0].weight), GRI_NORMAL, 0, GRI_Q,
               GRI_D),
    GRI_TENSOR("self_attn.q_proj.bias", GRI_BLOCK(qkv[0].bias), GRI_ZEROS, GRI_QKV_BIAS, GRI_Q),
    GRI_TENSOR("self_attn.k_proj.weight", GRI_BLOCK(qkv[1].weight), GRI_NORMAL, 0, GRI_K,
               GRI_D),
    GRI_TENSOR("self_attn.k_proj.bias", GRI_BLOCK(qkv[1].bias), GRI_ZEROS, GRI_QKV_BIAS, GRI_K),
    GRI_TENSOR("self_attn.v_proj.weight", GRI_BLOCK(qkv[2].weight), GRI_NORMAL, 0, GRI_K,
               GRI_D),
    GRI_TENSOR("self_attn.v_proj.bias", GRI_BLOCK(qkv[2].bias), GRI_ZEROS, GRI_QKV_BIAS, GRI_K),
    GRI_TENSOR("self_attn.q_norm.weight", GRI_BLOCK(q_norm), GRI_ONES, GRI_QK_NORM, GRI_HD),
    GRI_TENSOR("self_attn.k_norm.weight", GRI_BLOCK(k_norm), GRI_ONES, GRI_QK_NORM, GRI_HD),
    GRI_TENSOR("self_attn.o_proj.weight", GRI_BLOCK(out.weight), GRI_NORMAL, 0, GRI_D, GRI_Q),
    GRI_TENSOR("post_attention_layernorm.weight", GRI_BLOCK(norm2.weight), GRI_ONES, 0, GRI_D),
    GRI_TENSOR("mlp.gate_proj.weight", GRI_BLOCK(gate.weight), GRI_NORMAL, 0, GRI_F, GRI_D),
    GRI_TENSOR("mlp.up_proj.weight", GRI_BLOCK(up.weight), GRI_NORMAL, 0, GRI_F, GRI_D),
    GRI_TENSOR("mlp.down_proj.weight", GRI_BLOCK(down.weight), GRI_NORMAL, 0, GRI_D, GRI_F),
};

static const gri_tensor_rule back[] = {
    GRI_TENSOR("model.norm.weight", GRI_LANGUAGE(norm.weight), GRI_ONES, 0, GRI_D),
    GRI_TENSOR("lm_head.weight", GRI_LANGUAGE(head), GRI_NORMAL, GRI_UNTIED, GRI_V, GRI_D),
};

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
        GR_TRY(gri_only_string(inner, "rope_type", "default"));
        GR_TRY(gri_only_real(inner, "partial_rotary_factor", 1));
    }
    bool inside = inner && !gr_node_find(map, "rope_theta");
    GR_TRY(gr_node_get_real(inside ? inner : map, "rope_theta", 1, 1e12, theta));
done:
    return err;
}

/// Absent: the width divided among the heads.
static gr_err parse_head_size(const gr_node *map, gr_language_config *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_opt_int(map, "head_dim", 1, INT32_MAX, &out->head_size));
    if (out->head_size == 0) {
        if (out->width % out->heads != 0) {
            GR_TRY(gr_node_error(gr_node_find(map, "hidden_size"),
                                 "%lld is not a multiple of num_attention_heads %lld",
                                 (long long)out->width, (long long)out->heads));
        }
        out->head_size = out->width / out->heads;
    }
done:
    return err;
}

static gr_err parse_decoder(const gr_node *map, gr_language_config *out)
{
    gr_err err = GR_OK;
    const gri_size_key sizes[] = {
        {"vocab_size", &out->vocabulary, 0},
        {"hidden_size", &out->width, 0},
        {"num_hidden_layers", &out->blocks, 0},
        {"num_attention_heads", &out->heads, 0},
        {"intermediate_size", &out->mlp_width, 0},
        {"max_position_embeddings", &out->max_positions, 32768},
    };
    out->initializer_range = 0.02;
    GR_TRY(gri_only_bool(map, "use_sliding_window", false));
    GR_TRY(gri_only_string(map, "hidden_act", "silu"));
    GR_TRY(gri_only_real(map, "attention_dropout", 0));
    GR_TRY(gri_get_sizes(map, sizes, sizeof sizes / sizeof sizes[0]));
    const gri_size_key kv = {"num_key_value_heads", &out->kv_heads, out->heads};
    GR_TRY(gri_get_sizes(map, &kv, 1));
    GR_TRY(parse_head_size(map, out));
    GR_TRY(parse_rope(map, &out->rope_theta));
    GR_TRY(gr_node_opt_real(map, "rms_norm_eps", 0, 1, &out->norm_eps));
    GR_TRY(gr_node_opt_bool(map, "tie_word_embeddings", &out->tied));
    GR_TRY(gr_node_opt_real(map, "initializer_range", 0, 1, &out->initializer_range));
done:
    return err;
}

static gr_err parse_qwen2(const gr_node *map, gr_model_config *config)
{
    config->language = (gr_language_config){.kind = GR_LANGUAGE_QWEN2, .norm_eps = 1e-6};
    return parse_decoder(map, &config->language);
}

/// Here and in Llama a bias would also stand on o_proj. An absent head_dim means 128 to Qwen3.
static gr_err parse_qwen3(const gr_node *map, gr_model_config *config)
{
    gr_err err = GR_OK;
    config->language =
        (gr_language_config){.kind = GR_LANGUAGE_QWEN3, .head_size = 128, .norm_eps = 1e-6};
    GR_TRY(gri_only_bool(map, "attention_bias", false));
    GR_TRY(parse_decoder(map, &config->language));
done:
    return err;
}

static gr_err parse_llama(const gr_node *map, gr_model_config *config)
{
    gr_err err = GR_OK;
    config->language = (gr_language_config){.kind = GR_LANGUAGE_LLAMA, .norm_eps = 1e-6};
    GR_TRY(gri_only_bool(map, "attention_bias", false));
    GR_TRY(gri_only_bool(map, "mlp_bias", false));
    GR_TRY(parse_decoder(map, &config->language));
done:
    return err;
}

static unsigned untied(const gr_model_config *config)
{
    return config->language.tied ? 0 : GRI_UNTIED;
}

static unsigned qwen2_features(const gr_model_config *config)
{
    return untied(config) | GRI_QKV_BIAS;
}

static unsigned qwen3_features(const gr_model_config *config)
{
    return untied(config) | GRI_QK_NORM;
}

#define DECODER_KEYS                                                                           \
    "model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",     \
        "num_key_value_heads", "head_dim", "intermediate_size", "rope_theta", "rope_scaling",  \
        "rms_norm_eps", "max_position_embeddings", "tie_word_embeddings", "initializer_range", \
        "hidden_act", "attention_dropout"
#define DECODER_SECTIONS                                                                       \
    {                                                                                          \
        {"language_model.model.", false, GRI_RULES(front)},                                    \
            {"language_model.model.layers.#.", true, GRI_RULES(block)},                        \
            {"language_model.", false, GRI_RULES(back)},                                       \
    }

const gri_architecture gri_qwen2 = {
    .types = (const char *const[]){"qwen2", NULL},
    .keys = (const char *const[]){DECODER_KEYS, "use_sliding_window", NULL},
    .parse = parse_qwen2,
    .features = qwen2_features,
    .sections = DECODER_SECTIONS,
};

const gri_architecture gri_qwen3 = {
    .types = (const char *const[]){"qwen3", NULL},
    .keys = (const char *const[]){DECODER_KEYS, "use_sliding_window", "attention_bias", NULL},
    .parse = parse_qwen3,
    .features = qwen3_features,
    .sections = DECODER_SECTIONS,
};

const gri_architecture gri_llama = {
    .types = (const char *const[]){"llama", NULL},
    .keys = (const char *const[]){DECODER_KEYS, "attention_bias", "mlp_bias", NULL},
    .parse = parse_llama,
    .features = untied,
    .sections = DECODER_SECTIONS,
};
