#ifndef SRC_FORMATS_HF_H
#define SRC_FORMATS_HF_H

/// Hugging Face model directories: config.json and safetensors, in one file or by an index.
/// Accepted names: a full SAIL-VL style model (vision_model.*, mlp1.*, language_model.*), a vision
/// model alone (original AIMv2 / SAILViT names, with or without prefix, or transformers'
/// Aimv2VisionModel names with q, k, v apart), a language model alone (model.*, lm_head.*).

#include "src/model/model.h"

/// Reads DIR/config.json, or a model YAML when `path` is a file.
GR_MUST_CHECK gr_err gr_hf_load_config(const char *path, gr_model_config *out);

/// Reads the weights of these parts from DIR into the model. Every parameter must be found with its
/// shape and every tensor of these parts must be known, or the error names it (GR_ERR_DATA) with
/// expected and got. F32, F16, BF16 and F64 are accepted.
GR_MUST_CHECK gr_err gr_hf_load_weights(const char *dir, gr_part_set parts, gr_model *model);

/// Writes a full directory in the SAIL-VL style: config.json, one safetensors file per part
/// (model-PART.safetensors) and model.safetensors.index.json. `dir` must exist. fp32.
GR_MUST_CHECK gr_err gr_hf_save(const char *dir, gr_model *model);

typedef enum gr_hf_layout {
    GR_HF_LAYOUT_SAILVIT,      ///< original AIMv2 names, model_type sailvit
    GR_HF_LAYOUT_TRANSFORMERS, ///< transformers' Aimv2VisionModel, opens without foreign code
} gr_hf_layout;
/// Writes the vision encoder alone: config.json, preprocessor_config.json, model.safetensors.
GR_MUST_CHECK gr_err gr_hf_export_vision(const char *dir, gr_hf_layout layout, gr_model *model);
/// Writes the language model alone, as Qwen2ForCausalLM.
GR_MUST_CHECK gr_err gr_hf_export_language(const char *dir, gr_model *model);

#endif
