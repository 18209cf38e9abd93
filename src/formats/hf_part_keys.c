#include "src/formats/hf_internal.h"

static void architectures(gr_json *j, const char *name, const char *type)
{
    gr_json_list_begin(j, "architectures");
    gr_json_string(j, NULL, name);
    gr_json_list_end(j);
    gr_json_string(j, "model_type", type);
}

static void pair(gr_json *j, const char *key, int64_t side)
{
    gr_json_list_begin(j, key);
    gr_json_int(j, NULL, side);
    gr_json_int(j, NULL, side);
    gr_json_list_end(j);
}

static void transformer_sizes(gr_json *j, const gr_vision_config *v)
{
    gr_json_int(j, "hidden_size", v->width);
    gr_json_int(j, "intermediate_size", v->mlp_width);
    gr_json_int(j, "num_hidden_layers", v->blocks);
    gr_json_int(j, "num_attention_heads", v->heads);
    gr_json_int(j, "num_channels", v->channels);
    gr_json_real(j, "initializer_range", v->initializer_range);
    gr_json_real(j, "attention_dropout", 0.0);
}

/// image_size is that of the stored positions, whatever pictures the model is given.
static int64_t stored_size(const gr_vision_config *v)
{
    return v->position_size ? v->position_size : v->image_size;
}

static void picture_sizes(gr_json *j, const gr_vision_config *v)
{
    gr_json_int(j, "image_size", stored_size(v));
    gr_json_int(j, "patch_size", v->patch_size);
}

static void aimv2_keys(gr_json *j, gr_hf_layout layout, const gr_vision_config *v)
{
    bool transformers = layout == GR_HF_LAYOUT_TRANSFORMERS;
    architectures(j, transformers ? "Aimv2VisionModel" : "SAILViTModel",
                  transformers ? "aimv2_vision_model" : "sailvit");
    transformer_sizes(j, v);
    picture_sizes(j, v);
    gr_json_real(j, "rms_norm_eps", v->norm_eps);
    gr_json_bool(j, "qkv_bias", false);
    if (transformers) {
        gr_json_string(j, "hidden_act", "silu");
        gr_json_bool(j, "mlp_bias", false);
        gr_json_bool(j, "is_native", false);
        gr_json_bool(j, "use_head", false);
    } else {
        gr_json_real(j, "projection_dropout", 0.0);
        gr_json_bool(j, "use_bias", false);
    }
}

static void internvit_keys(gr_json *j, gr_hf_layout layout, const gr_vision_config *v)
{
    bool transformers = layout == GR_HF_LAYOUT_TRANSFORMERS;
    architectures(j, transformers ? "InternVLVisionModel" : "InternVisionModel",
                  transformers ? "internvl_vision" : "intern_vit_6b");
    transformer_sizes(j, v);
    gr_json_string(j, "norm_type", v->norm == GR_NORM_LAYER ? "layer_norm" : "rms_norm");
    gr_json_real(j, "layer_norm_eps", v->norm_eps);
    gr_json_string(j, "hidden_act", "gelu");
    gr_json_bool(j, transformers ? "attention_bias" : "qkv_bias", v->qkv_bias);
    gr_json_bool(j, transformers ? "use_qk_norm" : "qk_normalization", v->qk_norm);
    gr_json_real(j, transformers ? "layer_scale_init_value" : "initializer_factor",
                 v->layer_scale);
    if (transformers) {
        pair(j, "image_size", stored_size(v));
        pair(j, "patch_size", v->patch_size);
        gr_json_bool(j, "use_absolute_position_embeddings", true);
        gr_json_bool(j, "use_mask_token", false);
        gr_json_bool(j, "use_mean_pooling", true);
        gr_json_real(j, "hidden_dropout_prob", 0.0);
        gr_json_real(j, "projection_dropout", 0.0);
    } else {
        picture_sizes(j, v);
        gr_json_real(j, "dropout", 0.0);
        gr_json_real(j, "drop_path_rate", v->drop_path);
    }
}

static void siglip_keys(gr_json *j, const gr_vision_config *v)
{
    architectures(j, "SiglipVisionModel", "siglip_vision_model");
    transformer_sizes(j, v);
    picture_sizes(j, v);
    gr_json_real(j, "layer_norm_eps", v->norm_eps);
    gr_json_string(j, "hidden_act", v->mlp == GR_MLP_GELU ? "gelu" : "gelu_pytorch_tanh");
    gr_json_bool(j, "vision_use_head", false);
}

static void type_of_weights(gr_json *j, gr_dtype dtype)
{
    gr_json_string(j, "torch_dtype",
                   dtype == GR_DTYPE_BF16  ? "bfloat16"
                   : dtype == GR_DTYPE_F16 ? "float16"
                                           : "float32");
}

void gri_hf_vision_keys(gr_json *j, gr_hf_layout layout, gr_dtype dtype,
                        const gr_vision_config *v)
{
    switch (v->kind) {
    case GR_VISION_INTERNVIT:
        internvit_keys(j, layout, v);
        break;
    case GR_VISION_SIGLIP:
        siglip_keys(j, v);
        break;
    default:
        aimv2_keys(j, layout, v);
    }
    type_of_weights(j, dtype);
}

/// What only one kind says.
static void language_extras(gr_json *j, const gr_language_config *l)
{
    if (l->kind != GR_LANGUAGE_QWEN2) {
        gr_json_bool(j, "attention_bias", false);
    }
    if (l->kind == GR_LANGUAGE_LLAMA) {
        gr_json_bool(j, "mlp_bias", false);
        return;
    }
    gr_json_bool(j, "use_sliding_window", false);
    gr_json_null(j, "sliding_window");
    gr_json_int(j, "max_window_layers", l->blocks);
}

void gri_hf_language_keys(gr_json *j, gr_dtype dtype, const gr_language_config *l)
{
    static const char *const classes[GR_LANGUAGE_KINDS] = {
        [GR_LANGUAGE_QWEN2] = "Qwen2ForCausalLM",
        [GR_LANGUAGE_QWEN3] = "Qwen3ForCausalLM",
        [GR_LANGUAGE_LLAMA] = "LlamaForCausalLM",
    };
    architectures(j, classes[l->kind], gr_language_kind_name(l->kind));
    gr_json_int(j, "vocab_size", l->vocabulary);
    gr_json_int(j, "hidden_size", l->width);
    gr_json_int(j, "intermediate_size", l->mlp_width);
    gr_json_int(j, "num_hidden_layers", l->blocks);
    gr_json_int(j, "num_attention_heads", l->heads);
    gr_json_int(j, "num_key_value_heads", l->kv_heads);
    gr_json_int(j, "head_dim", l->head_size);
    gr_json_string(j, "hidden_act", "silu");
    gr_json_int(j, "max_position_embeddings", l->max_positions);
    gr_json_real(j, "rope_theta", l->rope_theta);
    gr_json_null(j, "rope_scaling");
    gr_json_real(j, "rms_norm_eps", l->norm_eps);
    gr_json_bool(j, "tie_word_embeddings", l->tied);
    gr_json_real(j, "initializer_range", l->initializer_range);
    gr_json_real(j, "attention_dropout", 0.0);
    language_extras(j, l);
    type_of_weights(j, dtype);
}
