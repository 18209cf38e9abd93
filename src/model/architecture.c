#include "src/model/architecture.h"

#include <string.h>

static const gri_architecture *const visions[GR_VISION_KINDS] = {
    [GR_VISION_AIMV2] = &gri_aimv2,
    [GR_VISION_INTERNVIT] = &gri_internvit,
    [GR_VISION_SIGLIP] = &gri_siglip,
};
static const gri_architecture *const languages[GR_LANGUAGE_KINDS] = {
    [GR_LANGUAGE_QWEN2] = &gri_qwen2,
    [GR_LANGUAGE_QWEN3] = &gri_qwen3,
    [GR_LANGUAGE_LLAMA] = &gri_llama,
};

const gri_architecture *gri_architecture_of(const gr_model_config *config, gr_part part)
{
    switch (part) {
    case GR_PART_VISION:
        return visions[config->vision.kind];
    case GR_PART_LANGUAGE:
        return languages[config->language.kind];
    default:
        return &gri_mlp;
    }
}

const gri_architecture *gri_architecture_named(gr_part part, const char *type)
{
    const gri_architecture *const *all = part == GR_PART_VISION ? visions : languages;
    int count = part == GR_PART_VISION ? GR_VISION_KINDS : GR_LANGUAGE_KINDS;
    for (int i = 0; i < count; i++) {
        for (const char *const *t = all[i]->types; *t; t++) {
            if (strcmp(*t, type) == 0) {
                return all[i];
            }
        }
    }
    return NULL;
}

static void vision_sizes(const gr_vision_config *v, int64_t *out)
{
    gr_grid grid = gr_position_grid(v);
    out[GRI_D] = v->width;
    out[GRI_3D] = 3 * v->width;
    out[GRI_F] = v->mlp_width;
    out[GRI_PATCHES] = grid.rows * grid.columns;
    out[GRI_1_PATCHES] = out[GRI_PATCHES] + 1;
    out[GRI_CHANNELS] = v->channels;
    out[GRI_P] = v->patch_size;
}

static void language_sizes(const gr_language_config *l, int64_t *out)
{
    out[GRI_D] = l->width;
    out[GRI_F] = l->mlp_width;
    out[GRI_Q] = l->heads * l->head_size;
    out[GRI_K] = l->kv_heads * l->head_size;
    out[GRI_HD] = l->head_size;
    out[GRI_V] = l->vocabulary;
}

void gri_sizes_of(const gr_model_config *config, gr_part part, int64_t out[GRI_SIZES])
{
    memset(out, 0, GRI_SIZES * sizeof *out);
    out[GRI_ONE] = 1;
    switch (part) {
    case GR_PART_VISION:
        vision_sizes(&config->vision, out);
        break;
    case GR_PART_LANGUAGE:
        language_sizes(&config->language, out);
        break;
    default:
        out[GRI_D] = 4 * config->vision.width;
        out[GRI_F] = config->language.width;
    }
}

int64_t gri_blocks_of(const gr_model_config *config, gr_part part)
{
    return part == GR_PART_VISION     ? config->vision.blocks
           : part == GR_PART_LANGUAGE ? config->language.blocks
                                      : 0;
}

/// A connector may take its features below the encoder's last blocks or its final norm.
static bool reached(const gr_model_config *config, gr_part part, int section, int64_t block)
{
    enum { BACK = 2 };
    if (part != GR_PART_VISION || !(config->parts >> GR_PART_CONNECTOR & 1)) {
        return true;
    }
    int64_t run = config->vision.blocks - config->connector.blocks_left_out;
    return block < run && !(section == BACK && config->connector.unnormed);
}

gr_err gri_tensors_walk(const gr_model_config *config, gr_part part, gri_tensor_visit *visit,
                        void *state)
{
    gr_err err = GR_OK;
    const gri_architecture *a = gri_architecture_of(config, part);
    unsigned features = a->features(config);
    for (int s = 0; s < GRI_SECTIONS; s++) {
        const gri_section *section = &a->sections[s];
        int64_t last = section->each_block ? gri_blocks_of(config, part) - 1 : -1;
        for (int64_t block = section->each_block ? 0 : -1; block <= last; block++) {
            for (int i = 0; i < section->count; i++) {
                const gri_tensor_rule *rule = &section->rules[i];
                gri_tensor_at at = {rule, section->prefix, block,
                                    reached(config, part, s, block)};
                if ((rule->needs & ~features) == 0) {
                    GR_TRY(visit(state, &at));
                }
            }
        }
    }
done:
    return err;
}
