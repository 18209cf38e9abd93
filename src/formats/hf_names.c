#include "src/formats/hf_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/// One tensor under transformers' name and ours; '#' stands for the block's number.
typedef struct name_pair {
    const char *transformers, *ours;
    int piece, pieces;
} name_pair;

#define VISION   "vision_model."
#define LANGUAGE "language_model."
#define BLOCK    VISION "trunk.blocks.#."
#define LAYER    "encoder.layers.#."

/// Source: transformers' Aimv2VisionModel beside Apple's AIMv2.
static const name_pair pairs[] = {
    {"embeddings.patch_embed.weight", VISION "preprocessor.patchifier.proj.weight", 0, 1},
    {"embeddings.patch_embed.bias", VISION "preprocessor.patchifier.proj.bias", 0, 1},
    {"embeddings.rms_norm.weight", VISION "preprocessor.patchifier.norm.weight", 0, 1},
    {"embeddings.position_embedding.weight", VISION "preprocessor.pos_embed", 0, 1},
    {LAYER "rms_norm1.weight", BLOCK "norm_1.weight", 0, 1},
    {LAYER "attention.q_proj.weight", BLOCK "attn.qkv.weight", 0, 3},
    {LAYER "attention.k_proj.weight", BLOCK "attn.qkv.weight", 1, 3},
    {LAYER "attention.v_proj.weight", BLOCK "attn.qkv.weight", 2, 3},
    {LAYER "attention.out_proj.weight", BLOCK "attn.proj.weight", 0, 1},
    {LAYER "rms_norm2.weight", BLOCK "norm_2.weight", 0, 1},
    {LAYER "ffn.gate_proj.weight", BLOCK "mlp.fc1.weight", 0, 1},
    {LAYER "ffn.up_proj.weight", BLOCK "mlp.fc3.weight", 0, 1},
    {LAYER "ffn.down_proj.weight", BLOCK "mlp.fc2.weight", 0, 1},
    {"rms_norm.weight", VISION "trunk.post_trunk_norm.weight", 0, 1},
};
enum { PAIRS = sizeof pairs / sizeof pairs[0] };

/// Prefixes of tensors whose canonical name is the name itself, or with a part's prefix put first.
static const struct {
    const char *prefix, *add;
    gr_part part;
} families[] = {
    {VISION, "", GR_PART_VISION},
    {"mlp1.", "", GR_PART_CONNECTOR},
    {LANGUAGE, "", GR_PART_LANGUAGE},
    {"preprocessor.", VISION, GR_PART_VISION},
    {"trunk.", VISION, GR_PART_VISION},
    {"model.", LANGUAGE, GR_PART_LANGUAGE},
    {"lm_head.", LANGUAGE, GR_PART_LANGUAGE},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

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

bool gri_hf_place_of(const char *tensor, gri_hf_place *out)
{
    if (strlen(tensor) + strlen(LANGUAGE) >= GRI_HF_NAME) {
        return false; // longer than any name we know, and no prefix may cut it
    }
    const char *digits;
    int count;
    for (int i = 0; i < PAIRS; i++) {
        if (match(pairs[i].transformers, tensor, &digits, &count)) {
            *out = (gri_hf_place){
                .part = GR_PART_VISION, .piece = pairs[i].piece, .pieces = pairs[i].pieces};
            fill(pairs[i].ours, digits, count, out->parameter);
            return true;
        }
    }
    for (int i = 0; i < FAMILIES; i++) {
        if (begins_with(tensor, families[i].prefix)) {
            *out = (gri_hf_place){.part = families[i].part, .pieces = 1};
            snprintf(out->parameter, GRI_HF_NAME, "%s%s", families[i].add, tensor);
            return true;
        }
    }
    return false;
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

int gri_hf_name_of(gri_hf_names names, const char *parameter, int piece, char out[GRI_HF_NAME])
{
    if (names != GRI_HF_NAMES_TRANSFORMERS) {
        bool alone = names == GRI_HF_NAMES_ALONE;
        snprintf(out, GRI_HF_NAME, "%s", alone ? without_prefix(parameter) : parameter);
        return 1;
    }
    const char *digits;
    int count;
    for (int i = 0; i < PAIRS; i++) {
        if (pairs[i].piece == piece && match(pairs[i].ours, parameter, &digits, &count)) {
            fill(pairs[i].transformers, digits, count, out);
            return pairs[i].pieces;
        }
    }
    GR_ASSERT(!"every vision parameter has a transformers name");
    return 0;
}
