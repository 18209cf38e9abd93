#ifndef SRC_MODEL_CONFIG_KEYS_H
#define SRC_MODEL_CONFIG_KEYS_H

/// Private to the room: keys of a config.json in the ways that architectures read them.

#include "src/model/config.h"

/// A setting with one computed value: anything else is refused, absence is fine.
GR_MUST_CHECK gr_err gri_only_bool(const gr_node *map, const char *key, bool computed);
GR_MUST_CHECK gr_err gri_only_real(const gr_node *map, const char *key, double computed);
GR_MUST_CHECK gr_err gri_only_string(const gr_node *map, const char *key, const char *computed);

typedef struct gri_size_key {
    const char *key;
    int64_t *out;
    int64_t absent; ///< value where the key is missing; 0: it must be there
} gri_size_key;
GR_MUST_CHECK gr_err gri_get_sizes(const gr_node *map, const gri_size_key *keys, size_t count);
/// A side of a square, as one number or as a list of two equal ones.
GR_MUST_CHECK gr_err gri_get_side(const gr_node *map, const char *key, int64_t *out);
GR_MUST_CHECK gr_err gri_opt_three_reals(const gr_node *map, const char *key, double out[3]);

/// Among the words, which one is there: its index in a NULL-terminated list; absent leaves *out.
GR_MUST_CHECK gr_err gri_opt_choice(const gr_node *map, const char *key,
                                    const char *const *words, int *out);

/// Keys that all vision encoders have: sizes of pictures and of the transformer, statistics.
GR_MUST_CHECK gr_err gri_parse_vision_sizes(const gr_node *map, gr_vision_config *out);
/// What must be absent or off in all of them.
#define GRI_VISION_KEYS                                                                        \
    "model_type", "image_size", "force_image_size", "patch_size", "num_channels",              \
        "hidden_size", "num_attention_heads", "intermediate_size", "num_hidden_layers",        \
        "initializer_range", "image_mean", "image_std", "hidden_act", "attention_dropout"

#endif
