#ifndef SRC_FORMATS_HF_INTERNAL_H
#define SRC_FORMATS_HF_INTERNAL_H

/// What the hf_*.c files share: names of tensors, the files of a directory, tensors to write.

#include "src/base/json.h"
#include "src/formats/hf.h"
#include "src/formats/safetensors.h"

#define GRI_HF_CONFIG       "config.json"
#define GRI_HF_PREPROCESSOR "preprocessor_config.json"
#define GRI_HF_PROCESSOR    "processor_config.json"
#define GRI_HF_WEIGHTS      "model.safetensors"
#define GRI_HF_INDEX        "model.safetensors.index.json"

/// Pillow's numbers of filters, as `resample` has them.
enum { GRI_HF_BILINEAR = 2, GRI_HF_BICUBIC = 3 };

/// Longest tensor name that we know how to place, with its NUL.
enum { GRI_HF_NAME = 128 };

/// Where the tensor of a file belongs: a whole parameter (pieces 1), or one of `pieces` equal runs
/// of its rows (transformers keeps q, k and v apart, we keep them packed).
typedef struct gri_hf_place {
    char parameter[GRI_HF_NAME]; ///< canonical name; need not exist in the model
    gr_part part;
    int piece, pieces;
} gri_hf_place;
/// False if the name belongs to none of the schemes of hf.h. The kind of the vision encoder decides between
/// schemes: AIMv2's and SigLIP's have names in common.
bool gri_hf_place_of(gr_vision_kind kind, const char *tensor, gri_hf_place *out);
/// Whether a tensor of the file is none of the model's and is meant to be passed over: SigLIP's text half, its
/// pooling head, and buffers that old files hold.
bool gri_hf_ignored(const gr_model_config *config, const char *tensor);

/// How tensors are called in a file.
typedef enum gri_hf_names {
    GRI_HF_NAMES_FULL,         ///< canonical: with the part's prefix
    GRI_HF_NAMES_ALONE,        ///< a single part: without prefix
    GRI_HF_NAMES_TRANSFORMERS, ///< of transformers' classes: Aimv2VisionModel, InternVLVisionModel ...
} gri_hf_names;
/// The file name of piece 0, 1 ... of a parameter; returns how many pieces it has.
int gri_hf_name_of(gri_hf_names names, gr_vision_kind kind, const char *parameter, int piece,
                   char out[GRI_HF_NAME]);

/// The weight files of a directory, opened and checked against the index if there is one.
typedef struct gri_hf_files {
    gr_safetensors **items;
    int64_t count, room;
} gri_hf_files;
GR_MUST_CHECK gr_err gri_hf_files_open(const char *dir, gri_hf_files *out);
void gri_hf_files_close(gri_hf_files *files);
/// Whether the directory has weights at all.
GR_MUST_CHECK gr_err gri_hf_has_weights(const char *dir, bool *out);

/// The tensors of one part as they are written; fp32 data belong to the model.
typedef struct gri_hf_tensors {
    gr_dtype dtype;      ///< F32, BF16 or F16
    uint16_t *converted; ///< the part's numbers when that is not F32, owned
    gr_safetensor *items;
    int64_t count;
    int64_t bytes;
} gri_hf_tensors;
GR_MUST_CHECK gr_err gri_hf_tensors_create(gr_model *model, gr_part part, gri_hf_names names,
                                           gr_dtype dtype, gri_hf_tensors *out);
void gri_hf_tensors_fini(gri_hf_tensors *tensors);

/// The tokens that begin, end and fill a text: what the source's config.json says (an id or a list of ids, NULL: nothing),
/// else an id of the tokenizer (-1: none).
typedef struct gri_hf_token {
    const char *key; ///< "eos_token_id"
    const gr_node *said;
    int64_t id;
} gri_hf_token;
enum { GRI_HF_TOKENS = 3 };
void gri_hf_write_tokens(gr_json *j, const gri_hf_token tokens[GRI_HF_TOKENS]);

/// config.json of a full model, of one part alone (`tokens` NULL: not said), and the preprocessor's.
GR_MUST_CHECK gr_err gri_hf_write_full_config(const char *dir, const gr_model_config *config);
GR_MUST_CHECK gr_err gri_hf_write_vision_config(const char *dir, gr_hf_layout layout,
                                                gr_dtype dtype, const gr_vision_config *v);
GR_MUST_CHECK gr_err gri_hf_write_language_config(const char *dir, gr_dtype dtype,
                                                  const gri_hf_token *tokens,
                                                  const gr_language_config *l);
GR_MUST_CHECK gr_err gri_hf_write_preprocessor(const char *dir, const gr_vision_config *v);
/// InternVL's keys about tiles and padding.
void gri_hf_tiling_keys(gr_json *j, const gr_picture_rules *r);
/// How the model's pictures are made: v->pictures, image_mean and image_std, from config.json (`config` is its root)
/// and what stands beside it; see gr_hf_load_config.
GR_MUST_CHECK gr_err gri_hf_read_pictures(const gr_node *config, const char *dir,
                                          gr_vision_config *v);
/// The keys of one part's map.
void gri_hf_vision_keys(gr_json *j, gr_hf_layout layout, gr_dtype dtype,
                        const gr_vision_config *v);
void gri_hf_language_keys(gr_json *j, gr_dtype dtype, const gr_language_config *l);
/// Writes DIR/NAME from a finished writer, with a line end.
GR_MUST_CHECK gr_err gri_hf_write_json(const char *dir, const char *name, gr_json *j);

#endif
