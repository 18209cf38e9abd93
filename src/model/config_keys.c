#include "src/model/config_keys.h"

#include <string.h>

/// Sizes are bounded for good in gr_model_config_check; this only keeps them in 32 bits.
enum { SIZE_MOST = INT32_MAX };

gr_err gri_only_bool(const gr_node *map, const char *key, bool computed)
{
    gr_err err = GR_OK;
    bool value = computed;
    GR_TRY(gr_node_opt_bool(map, key, &value));
    if (value != computed) {
        GR_TRY(gr_node_error(gr_node_find(map, key), "expected %s: nothing else is computed",
                             computed ? "true" : "false"));
    }
done:
    return err;
}

gr_err gri_only_real(const gr_node *map, const char *key, double computed)
{
    gr_err err = GR_OK;
    double value = computed;
    GR_TRY(gr_node_opt_real(map, key, -1e9, 1e9, &value));
    if (value != computed) {
        GR_TRY(gr_node_error(gr_node_find(map, key),
                             "expected %g, got %g: nothing else is computed", computed, value));
    }
done:
    return err;
}

gr_err gri_only_string(const gr_node *map, const char *key, const char *computed)
{
    gr_err err = GR_OK;
    const char *value = computed;
    GR_TRY(gr_node_opt_string(map, key, &value));
    if (strcmp(value, computed) != 0) {
        GR_TRY(gr_node_error(gr_node_find(map, key),
                             "expected \"%s\", got \"%s\": nothing else is computed", computed,
                             value));
    }
done:
    return err;
}

gr_err gri_get_sizes(const gr_node *map, const gri_size_key *keys, size_t count)
{
    gr_err err = GR_OK;
    for (size_t i = 0; i < count; i++) {
        *keys[i].out = keys[i].absent;
        if (keys[i].absent) {
            GR_TRY(gr_node_opt_int(map, keys[i].key, 1, SIZE_MOST, keys[i].out));
        } else {
            GR_TRY(gr_node_get_int(map, keys[i].key, 1, SIZE_MOST, keys[i].out));
        }
    }
done:
    return err;
}

gr_err gri_get_side(const gr_node *map, const char *key, int64_t *out)
{
    gr_err err = GR_OK;
    const gr_node *node = gr_node_find(map, key);
    if (!node || node->type != GR_DOC_LIST) {
        GR_TRY(gr_node_get_int(map, key, 1, SIZE_MOST, out));
        goto done;
    }
    const gr_node *sides = node->u.list.items;
    if (node->u.list.count != 2 || sides[0].type != GR_DOC_INT || sides[1].type != GR_DOC_INT ||
        sides[0].u.integer != sides[1].u.integer || sides[0].u.integer < 1 ||
        sides[0].u.integer > SIZE_MOST) {
        GR_TRY(gr_node_error(node, "expected one side, or two equal ones"));
    }
    *out = sides[0].u.integer;
done:
    return err;
}

gr_err gri_opt_three_reals(const gr_node *map, const char *key, double out[3])
{
    gr_err err = GR_OK;
    const gr_node *list = gr_node_find(map, key);
    if (!list) {
        return GR_OK;
    }
    GR_TRY(gr_node_expect(list, GR_DOC_LIST));
    if (list->u.list.count != 3) {
        GR_TRY(
            gr_node_error(list, "expected 3 numbers, got %lld", (long long)list->u.list.count));
    }
    for (int i = 0; i < 3; i++) {
        const gr_node *item = &list->u.list.items[i];
        if (item->type == GR_DOC_INT) {
            out[i] = (double)item->u.integer;
            continue;
        }
        GR_TRY(gr_node_expect(item, GR_DOC_REAL));
        out[i] = item->u.real;
    }
done:
    return err;
}

gr_err gri_opt_choice(const gr_node *map, const char *key, const char *const *words, int *out)
{
    gr_err err = GR_OK;
    const char *value = NULL;
    GR_TRY(gr_node_opt_string(map, key, &value));
    if (!value) {
        return GR_OK;
    }
    int count = 0;
    for (; words[count]; count++) {
        if (strcmp(words[count], value) == 0) {
            *out = count;
            return GR_OK;
        }
    }
    GR_TRY(gr_node_error(gr_node_find(map, key),
                         count == 1 ? "expected \"%s\", got \"%s\": nothing else is computed"
                                    : "expected \"%s\" or another computed one, got \"%s\"",
                         words[0], value));
done:
    return err;
}

gr_err gri_parse_vision_sizes(const gr_node *map, gr_vision_config *out)
{
    gr_err err = GR_OK;
    const gri_size_key sizes[] = {
        {"hidden_size", &out->width, 0},           {"num_attention_heads", &out->heads, 0},
        {"intermediate_size", &out->mlp_width, 0}, {"num_hidden_layers", &out->blocks, 0},
        {"num_channels", &out->channels, 3},
    };
    GR_TRY(gri_get_side(map, "image_size", &out->position_size));
    GR_TRY(gri_get_side(map, "patch_size", &out->patch_size));
    GR_TRY(gri_get_sizes(map, sizes, sizeof sizes / sizeof sizes[0]));
    out->image_size = out->position_size;
    GR_TRY(gr_node_opt_int(map, "force_image_size", 1, SIZE_MOST, &out->image_size));
    GR_TRY(gr_node_opt_real(map, "initializer_range", 0, 1, &out->initializer_range));
    GR_TRY(gri_opt_three_reals(map, "image_mean", out->image_mean));
    GR_TRY(gri_opt_three_reals(map, "image_std", out->image_std));
    GR_TRY(gri_only_real(map, "attention_dropout", 0));
done:
    return err;
}
