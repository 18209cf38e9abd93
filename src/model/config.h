#ifndef SRC_MODEL_CONFIG_H
#define SRC_MODEL_CONFIG_H

/// What a model is: sizes and kinds, as plain data. A new size is a YAML file or a config.json,
/// never code.

#include "src/base/doc.h"

/// The three parts of a multimodal model; also the order in which they are stored.
#define GR_PART_LIST(X)                                                                        \
    X(GR_PART_VISION, "vision")                                                                \
    X(GR_PART_CONNECTOR, "connector")                                                          \
    X(GR_PART_LANGUAGE, "language")

typedef enum gr_part {
#define GR_PART_ENUM(name, text) name,
    GR_PART_LIST(GR_PART_ENUM)
#undef GR_PART_ENUM
        GR_PART_COUNT
} gr_part;

/// "vision", "connector", "language".
const char *gr_part_name(gr_part part);
bool gr_part_parse(const char *text, gr_part *out);
/// A set of parts: bit (1 << part).
typedef unsigned gr_part_set;
enum { GR_PARTS_ALL = (1 << GR_PART_COUNT) - 1 };

/// Architectures; what one is stands in src/model/architecture_NAME.c. X(name, text)
#define GR_VISION_LIST(X)                                                                      \
    X(GR_VISION_AIMV2, "aimv2")                                                                \
    X(GR_VISION_INTERNVIT, "internvit")                                                        \
    X(GR_VISION_SIGLIP, "siglip")
#define GR_LANGUAGE_LIST(X)                                                                    \
    X(GR_LANGUAGE_QWEN2, "qwen2")                                                              \
    X(GR_LANGUAGE_QWEN3, "qwen3")                                                              \
    X(GR_LANGUAGE_LLAMA, "llama")

#define GR_KIND_ENUM(name, text) name,
typedef enum gr_vision_kind { GR_VISION_LIST(GR_KIND_ENUM) GR_VISION_KINDS } gr_vision_kind;
typedef enum gr_language_kind {
    GR_LANGUAGE_LIST(GR_KIND_ENUM) GR_LANGUAGE_KINDS
} gr_language_kind;
#undef GR_KIND_ENUM

typedef enum gr_norm_kind { GR_NORM_RMS, GR_NORM_LAYER } gr_norm_kind;
typedef enum gr_mlp_kind { GR_MLP_SWIGLU, GR_MLP_GELU, GR_MLP_GELU_TANH } gr_mlp_kind;

/// How a picture becomes squares of image_size: what the model's own processor does. src/formats/pictures.h computes
/// it, src/formats/hf.h reads and writes it; all zeros: the whole picture, stretched bicubically.
typedef enum gr_picture_fit {
    GR_FIT_STRETCH, ///< to the square, whatever its aspect
    GR_FIT_CROP,    ///< the shorter side becomes `edge`, then the middle is cut out
    GR_FIT_PAD,     ///< to a square with the mean colour first (InternVL's pad2square)
} gr_picture_fit;
typedef struct gr_picture_rules {
    gr_picture_fit fit; ///< of a picture that is not cut into tiles
    int64_t edge;       ///< of GR_FIT_CROP, at least image_size; 0: image_size
    bool bilinear;      ///< else bicubic
    double rescale;     ///< factor of bytes before mean and std; 0: 1 / 255
    int64_t fewest;     ///< tiles of the grid; 0: 1
    int64_t most;       ///< tiles of the grid (image_tiles.h); 0 or 1: the picture is not cut
    bool thumbnail, second_scale; ///< as gr_tile_rules has them
} gr_picture_rules;

/// Vision transformer with learned positions.
typedef struct gr_vision_config {
    gr_vision_kind kind;
    int64_t image_size;    ///< side of the square pictures that the model is given, pixels
    int64_t position_size; ///< side of the pictures whose grid the stored positions have; they
                           ///< are resized to the actual grid; 0: image_size
    int64_t patch_size, channels;
    int64_t width, heads, mlp_width, blocks;
    gr_norm_kind norm;
    gr_mlp_kind mlp;
    bool qkv_bias, qk_norm;
    double norm_eps;
    double drop_path; ///< probability to leave a branch of the last block out, in training
    double initializer_range;           ///< std of fresh weights
    double layer_scale;                 ///< fresh value of InternViT's branch scales
    double image_mean[3], image_std[3]; ///< of pixels in 0..1
    gr_picture_rules pictures;
} gr_vision_config;

/// Pixel shuffle by 2 and a two-layer MLP: 4 * vision width -> language width.
typedef struct gr_connector_config {
    double norm_eps;
    int64_t blocks_left_out; ///< at the end of the vision encoder: -1 - select_layer
    bool unnormed;           ///< features come before the encoder's final norm
    bool by_column;          ///< order of the tokens: ps_version "v1"
} gr_connector_config;

/// Decoder-only language model.
typedef struct gr_language_config {
    gr_language_kind kind;
    int64_t vocabulary, width, blocks, heads, kv_heads, head_size, mlp_width;
    int64_t max_positions;
    double rope_theta, norm_eps;
    bool tied; ///< lm_head is the embedding
    double initializer_range;
} gr_language_config;

typedef struct gr_model_config {
    gr_part_set parts; ///< which parts the model has; the connector needs both others
    gr_vision_config vision;
    gr_connector_config connector;
    gr_language_config language;
} gr_model_config;

/// Reads a model description from a parsed document: the top level of a full model's config.json
/// (vision_config with llm_config, or with text_config as transformers' own InternVL), of a single
/// vision or language model's, of a SigLIP pair (its vision half), or of our YAML, which has the
/// keys of config.json under `vision`, `connector` and `language`. Unknown keys of a config.json
/// are ignored (it carries many), unknown keys of our YAML are errors; a kind or setting that the
/// program does not compute (other model_type, rope scaling, sliding window in use) is an error.
GR_MUST_CHECK gr_err gr_model_config_parse(const gr_doc *doc, gr_model_config *out);
/// Checks the parts that are there, each by itself and the connector with the encoder in front of it: GR_ERR_DATA. A file
/// may describe any parts: a recipe takes the others from elsewhere.
GR_MUST_CHECK gr_err gr_model_config_check_parts(const gr_model_config *config);
/// Checks a whole model: also that its parts make one, and sizes against each other (heads divide width, even head size, even grid ...): GR_ERR_DATA.
GR_MUST_CHECK gr_err gr_model_config_check(const gr_model_config *config);

/// "aimv2", "qwen3" ...
const char *gr_vision_kind_name(gr_vision_kind kind);
const char *gr_language_kind_name(gr_language_kind kind);

/// Patches of one picture.
typedef struct gr_grid {
    int64_t rows, columns;
} gr_grid;
/// The grid of a picture; pixels beyond the last whole patch are not used.
gr_grid gr_vision_grid(const gr_vision_config *vision, int64_t height, int64_t width);
/// The grid that the stored positions have.
gr_grid gr_position_grid(const gr_vision_config *vision);

/// Blocks of the vision encoder that are computed: without those above the connector's select_layer.
int64_t gr_model_vision_blocks(const gr_model_config *config);

enum { GR_MOST_SIDE = 1 << 14 }; ///< pixels of one side of a picture
/// Bounds of image_mean and image_std, which keep normalised pixels finite in fp32.
#define GR_MOST_STATISTIC 1e6
#define GR_LEAST_STD      1e-6
/// GR_ERR_DATA unless a side ("height", "width") of so many pixels is one or more whole patches, at most GR_MOST_SIDE; SigLIP
/// leaves out what is beyond its last whole patch.
GR_MUST_CHECK gr_err gr_vision_check_side(const gr_vision_config *vision, const char *side,
                                          int64_t pixels);

/// Tokens of one image of image_size before the pixel shuffle (its patches) and after it (a quarter).
int64_t gr_vision_tokens(const gr_vision_config *vision);
int64_t gr_image_tokens(const gr_vision_config *vision);

#endif
