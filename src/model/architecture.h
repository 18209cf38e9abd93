#ifndef SRC_MODEL_ARCHITECTURE_H
#define SRC_MODEL_ARCHITECTURE_H

/// Private to the room: what an architecture is. The three places where kinds differ - the keys of a
/// config.json, the tensors with their names and shapes, and where the layers find them - are one
/// description each, in architecture_NAME.c. The code that computes does not know the kinds: it
/// looks at which tensors are there.

#include "src/model/config.h"

/// Sizes that shapes are made of; gri_sizes_of gives their values.
typedef enum gri_size {
    GRI_NONE, ///< not a dimension
    GRI_ONE,
    GRI_D,         ///< the part's width; of the connector: 4 x the vision encoder's
    GRI_3D,        ///< packed q, k and v
    GRI_F,         ///< MLP width; of the connector: the language model's width
    GRI_Q,         ///< heads x head size
    GRI_K,         ///< key/value heads x head size
    GRI_HD,        ///< head size
    GRI_V,         ///< vocabulary
    GRI_PATCHES,   ///< entries of the position table
    GRI_1_PATCHES, ///< the same with one for the class token in front
    GRI_CHANNELS,
    GRI_P, ///< side of a patch
    GRI_SIZES
} gri_size;

/// Features that only some models of an architecture have; a tensor may need one.
enum {
    GRI_QKV_BIAS = 1,
    GRI_QK_NORM = 2,
    GRI_LAYER_NORM = 4, ///< norms have biases
    GRI_UNTIED = 8,
};

typedef enum gri_fresh {
    GRI_ZEROS,
    GRI_ONES,
    GRI_NORMAL,  ///< std initializer_range
    GRI_SCALE,   ///< vision: layer_scale
    GRI_UNIFORM, ///< PyTorch's default of a linear layer with `fan` inputs
} gri_fresh;

/// One tensor.
typedef struct gri_tensor_rule {
    const char *name; ///< behind the section's prefix
    size_t slot;      ///< where in the part's (or block's) struct its gri_weight stands
    gri_size shape[4];
    gri_fresh fresh;
    unsigned needs; ///< features, all of them
    gri_size fan;
    bool table; ///< its rows are looked up or added: not only a product's factor
} gri_tensor_rule;

/// Tensors with a common prefix, once or for each block ('#' in the prefix is its number).
typedef struct gri_section {
    const char *prefix;
    bool each_block;
    const gri_tensor_rule *rules;
    int count;
} gri_section;

enum { GRI_SECTIONS = 3 };

typedef struct gri_architecture {
    const char *const *types; ///< its names in model_type, NULL at the end
    const char *const *keys;  ///< what our YAML may say about it, NULL at the end
    /// Reads the part's config from a map, refusing what is not computed.
    gr_err (*parse)(const gr_node *map, gr_model_config *out);
    unsigned (*features)(const gr_model_config *config);
    gri_section sections[GRI_SECTIONS];
} gri_architecture;

extern const gri_architecture gri_aimv2, gri_internvit, gri_siglip, gri_mlp, gri_qwen2,
    gri_qwen3, gri_llama;

/// The architecture of a part; by kind, and by a model_type of this part (NULL if none has it).
const gri_architecture *gri_architecture_of(const gr_model_config *config, gr_part part);
const gri_architecture *gri_architecture_named(gr_part part, const char *type);

/// Values of the sizes for one part.
void gri_sizes_of(const gr_model_config *config, gr_part part, int64_t out[GRI_SIZES]);
/// Blocks of a part; 0 for the connector.
int64_t gri_blocks_of(const gr_model_config *config, gr_part part);

/// One tensor of the table, as the walk hands it out.
typedef struct gri_tensor_at {
    const gri_tensor_rule *rule;
    const char *prefix;
    int64_t block; ///< -1 outside of blocks
    bool reached;  ///< whether its value changes what the model computes (select_layer)
} gri_tensor_at;

/// Calls `visit` for each tensor of the part in the order of the table, until it fails.
typedef gr_err gri_tensor_visit(void *state, const gri_tensor_at *at);
GR_MUST_CHECK gr_err gri_tensors_walk(const gr_model_config *config, gr_part part,
                                      gri_tensor_visit *visit, void *state);

#endif
