#ifndef SRC_FORMATS_HF_H
#define SRC_FORMATS_HF_H

/// Hugging Face model directories: config.json and safetensors, in one file or by an index.
/// Accepted names: a full SAIL-VL or InternVL style model (vision_model.*, mlp1.*, language_model.*),
/// transformers' own InternVL (model.vision_tower.*, model.multi_modal_projector.*,
/// model.language_model.*), a vision model alone with or without prefix (AIMv2 / SAILViT, InternViT and
/// SigLIP in their own names, Aimv2VisionModel, InternVLVisionModel), a language model alone
/// (model.*, lm_head.*). Of SigLIP's files the text half and the pooling head are passed over.

#include "src/model/model.h"

/// Reads DIR/config.json, or a model YAML when `path` is a file.
/// How pictures are made (vision.pictures, image_mean, image_std) comes from the settings of the image processor
/// beside it: `image_processor` of processor_config.json, else preprocessor_config.json, as transformers looks for
/// them. Filter and statistics are always theirs. Size, crop and tiles are, too, but for two kinds of full models:
/// - llm_config with dynamic_image_size or pad2square (InternVL, SAIL-VL): config.json counts, because the models'
///   code cuts pictures by it and never opens the settings, which say shortest edge and centre crop. Only InternVL's
///   own words in the settings (max_dynamic_patch, use_thumbnail, ...) go before config.json's: SAIL-VL 2 has a
///   processor that reads them, with 10 tiles beside config.json's 12. size, crop_size and crop_to_patches are not
///   looked at.
/// - vision_config with text_config (transformers' own InternVL): the settings' min_patches and max_patches, but
///   whatever crop_to_patches says: InternVLProcessor turns it on.
/// A contradiction, an unknown word that could change pixels, or an image_size other than config.json's is
/// GR_ERR_DATA. Sources: transformers 5.24 processing_internvl.py, image_processing_base.py and
/// image_processing_pil_got_ocr2.py; OpenGVLab's internvl_chat/internvl/train/dataset.py; SAIL-VL2-2B's
/// processing_sailvl.py.
GR_MUST_CHECK gr_err gr_hf_load_config(const char *path, gr_model_config *out);

/// Reads the weights of these parts from DIR into the model. Every parameter must be found with its
/// shape and every tensor of these parts must be known, or the error names it (GR_ERR_DATA) with
/// expected and got. F32, F16, BF16 and F64 are accepted.
GR_MUST_CHECK gr_err gr_hf_load_weights(const char *dir, gr_part_set parts, gr_model *model);

/// A tensor of a directory's files, and what of the model it holds: `count` numbers of a part's flat space.
typedef struct gr_hf_stored {
    char *name; ///< as the file has it; owned
    gr_part part;
    int ndim;
    int64_t shape[GR_MAX_DIMS];
    int64_t offset, count;
} gr_hf_stored;
/// The tensors of these parts, in the model's order, of a directory that gr_hf_load_weights reads whole.
GR_MUST_CHECK gr_err gr_hf_list_stored(const char *dir, gr_part_set parts,
                                       const gr_model *model, gr_hf_stored **out,
                                       int64_t *count);
void gr_hf_stored_free(gr_hf_stored **list, int64_t count);

/// Writes a full directory in the SAIL-VL style: config.json, one safetensors file per part
/// (model-PART.safetensors) and model.safetensors.index.json. `dir` must exist. fp32.
GR_MUST_CHECK gr_err gr_hf_save(const char *dir, gr_model *model);

/// What gr_hf_save writes beside the parts' files: config.json, the index and, with a vision part, the preprocessor's file.
GR_MUST_CHECK gr_err gr_hf_save_description(const char *dir, gr_model *model);
/// Name of a part's file: static text.
const char *gr_hf_part_file(gr_part part);
/// What stands in it, as gr_hf_save writes it, in front of the data, which are the part's flat space. So several can write one
/// file.
GR_MUST_CHECK gr_err gr_hf_part_head(gr_model *model, gr_part part, gr_str *head);

typedef enum gr_hf_layout {
    GR_HF_LAYOUT_SAILVIT, ///< the architecture's original names; of AIMv2 model_type sailvit
    GR_HF_LAYOUT_TRANSFORMERS, ///< transformers' Aimv2VisionModel, InternVLVisionModel or
                               ///< SiglipVisionModel, opens without foreign code
} gr_hf_layout;
/// The type that a part's weights have in DIR: BF16 or F16 where all its tensors are of it, else F32.
GR_MUST_CHECK gr_err gr_hf_stored_dtype(const char *dir, gr_part part, gr_dtype *out);
/// Writes the vision encoder alone: config.json, preprocessor_config.json, model.safetensors. `dtype`: F32, BF16 or F16
/// (rounded to nearest even; exact where weights were read from that type).
GR_MUST_CHECK gr_err gr_hf_export_vision(const char *dir, gr_hf_layout layout, gr_dtype dtype,
                                         gr_model *model);
/// Writes the language model alone, as Qwen2ForCausalLM, Qwen3ForCausalLM or LlamaForCausalLM. `from`: the directory it was
/// read from (NULL: none), for its tokenizer, generation_config.json and the ids that begin, end and fill a text: its own, or
/// made from its tokenizer's.
GR_MUST_CHECK gr_err gr_hf_export_language(const char *dir, const char *from, gr_dtype dtype,
                                           gr_model *model);

#endif
