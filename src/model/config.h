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

typedef enum gr_vision_kind { GR_VISION_AIMV2 } gr_vision_kind;
typedef enum gr_language_kind { GR_LANGUAGE_QWEN2 } gr_language_kind;

/// Vision transformer. AIMv2: RMSNorm, packed qkv and SwiGLU without bias, learned positions.
typedef struct gr_vision_config {
    gr_vision_kind kind;
    int64_t image_size, patch_size,
        channels; ///< pixels; image_size is a multiple of patch_size
    int64_t width, heads, mlp_width, blocks;
    double norm_eps;
    double initializer_range;           ///< std of fresh weights
    double image_mean[3], image_std[3]; ///< of pixels in 0..1; ImageNet's by default
} gr_vision_config;

/// Pixel shuffle by 2 and a two-layer MLP: 4 * vision width -> language width.
typedef struct gr_connector_config {
    double norm_eps;
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
/// (vision_config, llm_config), of a single vision or language model's, or of our YAML, which has the
/// keys of config.json under `vision`, `connector` and `language`. Unknown keys of a config.json
/// are ignored (it carries many), unknown keys of our YAML are errors; a kind or setting that the
/// program does not compute (other model_type, rope scaling, sliding window in use) is an error.
GR_MUST_CHECK gr_err gr_model_config_parse(const gr_doc *doc, gr_model_config *out);
/// Checks sizes against each other (heads divide width, even head size, even grid ...): GR_ERR_DATA.
GR_MUST_CHECK gr_err gr_model_config_check(const gr_model_config *config);

/// Tokens of one image before the pixel shuffle (grid squared) and after it (a quarter).
int64_t gr_vision_tokens(const gr_vision_config *vision);
int64_t gr_image_tokens(const gr_vision_config *vision);

#endif
