#include "src/formats/hf_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/// One tensor under transformers' name and ours; '#' stands for the block's number.
typedef struct name_pair {
    const char *transformers, *ours;
    int piece, pieces;
} name_pair;

#define VISION    "vision_model."
#define LANGUAGE  "language_model."
#define AIMV2     VISION "trunk.blocks.#."
#define INTERNVIT VISION "encoder.layers.#."
#define LAYERS    "encoder.layers.#."
#define LAYER     "encoder.layer.#."

/// Source: transformers' Aimv2VisionModel beside Apple's AIMv2.
static const name_pair aimv2_pairs[] = {
    {"embeddings.patch_embed.weight", VISION "preprocessor.patchifier.proj.weight", 0, 1},
    {"embeddings.patch_embed.bias", VISION "preprocessor.patchifier.proj.bias", 0, 1},
    {"embeddings.rms_norm.weight", VISION "preprocessor.patchifier.norm.weight", 0, 1},
    {"embeddings.position_embedding.weight", VISION "preprocessor.pos_embed", 0, 1},
    {LAYERS "rms_norm1.weight", AIMV2 "norm_1.weight", 0, 1},
    {LAYERS "attention.q_proj.weight", AIMV2 "attn.qkv.weight", 0, 3},
    {LAYERS "attention.k_proj.weight", AIMV2 "attn.qkv.weight", 1, 3},
    {LAYERS "attention.v_proj.weight", AIMV2 "attn.qkv.weight", 2, 3},
    {LAYERS "attention.out_proj.weight", AIMV2 "attn.proj.weight", 0, 1},
    {LAYERS "rms_norm2.weight", AIMV2 "norm_2.weight", 0, 1},
    {LAYERS "ffn.gate_proj.weight", AIMV2 "mlp.fc1.weight", 0, 1},
    {LAYERS "ffn.up_proj.weight", AIMV2 "mlp.fc3.weight", 0, 1},
    {LAYERS "ffn.down_proj.weight", AIMV2 "mlp.fc2.weight", 0, 1},
    {"rms_norm.weight", VISION "trunk.post_trunk_norm.weight", 0, 1},
};

/// Source: transformers' InternVLVisionModel beside InternVL's own classes.
static const name_pair internvit_pairs[] = {
    {"embeddings.cls_token", VISION "embeddings.class_embedding", 0, 1},
    {"embeddings.patch_embeddings.projection.weight",
     VISION "embeddings.patch_embedding.weight", 0, 1},
    {"embeddings.patch_embeddings.projection.bias", VISION "embeddings.patch_embedding.bias", 0,
     1},
    {"embeddings.position_embeddings", VISION "embeddings.position_embedding", 0, 1},
    {LAYER "layernorm_before.weight", INTERNVIT "norm1.weight", 0, 1},
    {LAYER "layernorm_before.bias", INTERNVIT "norm1.bias", 0, 1},
    {LAYER "attention.q_proj.weight", INTERNVIT "attn.qkv.weight", 0, 3},
    {LAYER "attention.k_proj.weight", INTERNVIT "attn.qkv.weight", 1, 3},
    {LAYER "attention.v_proj.weight", INTERNVIT "attn.qkv.weight", 2, 3},
    {LAYER "attention.q_proj.bias", INTERNVIT "attn.qkv.bias", 0, 3},
    {LAYER "attention.k_proj.bias", INTERNVIT "attn.qkv.bias", 1, 3},
    {LAYER "attention.v_proj.bias", INTERNVIT "attn.qkv.bias", 2, 3},
    {LAYER "attention.q_norm.weight", INTERNVIT "attn.q_norm.weight", 0, 1},
    {LAYER "attention.k_norm.weight", INTERNVIT "attn.k_norm.weight", 0, 1},
    {LAYER "attention.projection_layer.weight", INTERNVIT "attn.proj.weight", 0, 1},
    {LAYER "attention.projection_layer.bias", INTERNVIT "attn.proj.bias", 0, 1},
    {LAYER "lambda_1", INTERNVIT "ls1", 0, 1},
    {LAYER "layernorm_after.weight", INTERNVIT "norm2.weight", 0, 1},
    {LAYER "layernorm_after.bias", INTERNVIT "norm2.bias", 0, 1},
    {LAYER "mlp.fc1.weight", INTERNVIT "mlp.fc1.weight", 0, 1},
    {LAYER "mlp.fc1.bias", INTERNVIT "mlp.fc1.bias", 0, 1},
    {LAYER "mlp.fc2.weight", INTERNVIT "mlp.fc2.weight", 0, 1},
    {LAYER "mlp.fc2.bias", INTERNVIT "mlp.fc2.bias", 0, 1},
    {LAYER "lambda_2", INTERNVIT "ls2", 0, 1},
};

/// Schemes whose names differ from ours, by kind of vision encoder. SigLIP's are the same.
static const struct {
    const name_pair *pairs;
    int count;
} schemes[GR_VISION_KINDS] = {
    [GR_VISION_AIMV2] = {aimv2_pairs, sizeof aimv2_pairs / sizeof aimv2_pairs[0]},
    [GR_VISION_INTERNVIT] = {internvit_pairs,
                             sizeof internvit_pairs / sizeof internvit_pairs[0]},
};

/// Prefixes that other schemes put where ours has another or none; the first that fits is exchanged.
static const struct {
    const char *theirs, *ours;
} prefixes[] = {
    {"model.vision_tower.", VISION},
    {"vision_tower.", VISION},
    {"model.multi_modal_projector.layer_norm.", "mlp1.0."},
    {"model.multi_modal_projector.linear_1.", "mlp1.1."},
    {"model.multi_modal_projector.linear_2.", "mlp1.3."},
    {"multi_modal_projector.layer_norm.", "mlp1.0."},
    {"multi_modal_projector.linear_1.", "mlp1.1."},
    {"multi_modal_projector.linear_2.", "mlp1.3."},
    {"model.language_model.", LANGUAGE "model."},
    {VISION VISION, VISION}, // SigLIP inside a full model
    {"preprocessor.", VISION "preprocessor."},
    {"trunk.", VISION "trunk."},
    {"embeddings.", VISION "embeddings."},
    {"encoder.", VISION "encoder."},
    {"post_layernorm.", VISION "post_layernorm."},
    {"rms_norm.", VISION "rms_norm."},
    {"model.", LANGUAGE "model."},
    {"lm_head.", LANGUAGE "lm_head."},
};

static const struct {
    const char *prefix;
    gr_part part;
} parts[] = {
    {VISION, GR_PART_VISION}, {"mlp1.", GR_PART_CONNECTOR}, {LANGUAGE, GR_PART_LANGUAGE}};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/// Whether `name` is `pattern` with digits for '#'; *digits then points to them in `name`.
static bool match(const char *pattern, const char *name, const char **digits, int *count)
{
    *digits = "";
    *count = 0;
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*name++ != *pattern) {
                return false;
            }
            continue;
        }
        *digits = name;
        while (isdigit((unsigned char)*name)) {
            name++;
        }
        *count = (int)(name - *digits);
        if (*count == 0) {
            return false;
        }
    }
    return *name == '\0';
}

/// Puts the digits in the place of '#'.
static void fill(const char *pattern, const char *digits, int count, char out[GRI_HF_NAME])
{
    int before = (int)strcspn(pattern, "#");
    const char *after = pattern[before] ? pattern + before + 1 : "";
    snprintf(out, GRI_HF_NAME, "%.*s%.*s%s", before, pattern, count, digits, after);
}

/// Looks for a vision tensor without its prefix in the scheme of its kind.
static bool place_by_scheme(gr_vision_kind kind, const char *name, gri_hf_place *out)
{
    const char *digits;
    int count;
    for (int i = 0; i < schemes[kind].count; i++) {
        const name_pair *pair = &schemes[kind].pairs[i];
        if (match(pair->transformers, name, &digits, &count)) {
            *out = (gri_hf_place){
                .part = GR_PART_VISION, .piece = pair->piece, .pieces = pair->pieces};
            fill(pair->ours, digits, count, out->parameter);
            return true;
        }
    }
    return false;
}

bool gri_hf_place_of(gr_vision_kind kind, const char *tensor, gri_hf_place *out)
{
    char name[2 * GRI_HF_NAME];
    if (strlen(tensor) + strlen(LANGUAGE) >= GRI_HF_NAME) {
        return false; // longer than any name we know, and no prefix may cut it
    }
    snprintf(name, sizeof name, "%s", tensor);
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        if (begins_with(tensor, prefixes[i].theirs)) {
            snprintf(name, sizeof name, "%s%s", prefixes[i].ours,
                     tensor + strlen(prefixes[i].theirs));
            break;
        }
    }
    if (begins_with(name, VISION) && place_by_scheme(kind, name + strlen(VISION), out)) {
        return true;
    }
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (begins_with(name, parts[i].prefix)) {
            *out = (gri_hf_place){.part = parts[i].part, .pieces = 1};
            snprintf(out->parameter, GRI_HF_NAME, "%.*s", GRI_HF_NAME - 1, name);
            return true;
        }
    }
    return false;
}

bool gri_hf_ignored(const gr_model_config *config, const char *tensor)
{
    static const char *const siglip[] = {"text_model.",
                                         "logit_scale",
                                         "logit_bias",
                                         "head.",
                                         VISION "head.",
                                         VISION VISION "head.",
                                         "model.vision_tower." VISION "head.",
                                         "vision_tower." VISION "head."};
    bool is_siglip =
        config->parts >> GR_PART_VISION & 1 && config->vision.kind == GR_VISION_SIGLIP;
    for (size_t i = 0; is_siglip && i < COUNT(siglip); i++) {
        if (begins_with(tensor, siglip[i])) {
            return true;
        }
    }
    const char *end = strrchr(tensor, '.');
    return end && (strcmp(end, ".position_ids") == 0 || strcmp(end, ".inv_freq") == 0);
}

static const char *without_prefix(const char *parameter)
{
    if (begins_with(parameter, VISION)) {
        return parameter + strlen(VISION);
    }
    if (begins_with(parameter, LANGUAGE)) {
        return parameter + strlen(LANGUAGE);
    }
    return parameter;
}

int gri_hf_name_of(gri_hf_names names, gr_vision_kind kind, const char *parameter, int piece,
                   char out[GRI_HF_NAME])
{
    const char *digits;
    int count;
    bool vision = begins_with(parameter, VISION);
    if (names == GRI_HF_NAMES_TRANSFORMERS && vision) {
        for (int i = 0; i < schemes[kind].count; i++) {
            const name_pair *pair = &schemes[kind].pairs[i];
            if (pair->piece == piece && match(pair->ours, parameter, &digits, &count)) {
                fill(pair->transformers, digits, count, out);
                return pair->pieces;
            }
        }
        GR_ASSERT(schemes[kind].count == 0);
    }
    // SigLIP's files keep the prefix also where the encoder is alone.
    bool whole = names == GRI_HF_NAMES_FULL || (vision && kind == GR_VISION_SIGLIP);
    snprintf(out, GRI_HF_NAME, "%s", whole ? parameter : without_prefix(parameter));
    return 1;
}
