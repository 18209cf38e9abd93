/// How a model's pictures are made, out of a directory: the settings of transformers' image processors, and the keys
/// that InternVL and SAIL-VL keep in config.json. Every key is read, known to change no pixel, or refused. Who counts
/// where both speak: gr_hf_load_config (hf.h).
#include "src/base/mem.h"
#include "src/formats/hf_internal.h"
#include "src/formats/image_tiles.h"

#include <string.h>

/// What a processor does where its file says nothing. Source: transformers' image_processing_NAME.py.
typedef struct processor {
    const char *name;
    bool crop;     ///< do_center_crop
    bool edge;     ///< a size that is one number means the shorter side
    bool bilinear; ///< resample
    int64_t size;
    double mean[3], std[3];
} processor;

#define OPENAI_MEAN                                                                            \
    {                                                                                          \
        0.48145466, 0.4578275, 0.40821073                                                      \
    }
#define OPENAI_STD                                                                             \
    {                                                                                          \
        0.26862954, 0.26130258, 0.27577711                                                     \
    }
#define HALVES                                                                                 \
    {                                                                                          \
        0.5, 0.5, 0.5                                                                          \
    }
static const processor processors[] = {
    {"CLIP", true, true, false, 224, OPENAI_MEAN, OPENAI_STD},
    {"Bit", true, true, false, 224, OPENAI_MEAN, OPENAI_STD},
    {"Siglip", false, false, false, 224, HALVES, HALVES},
    {"ViT", false, false, true, 224, HALVES, HALVES},
    {"GotOcr2", false, false, false, 384, OPENAI_MEAN, OPENAI_STD},
};
static const char processor_names[] = "CLIP, Bit, Siglip, ViT or GotOcr2 with ImageProcessor";

/// All keys that are read or that change no pixel of an RGB picture. Others are refused unless they are null or false.
static const char *const known_keys[] = {
    "image_processor_type", "feature_extractor_type", "do_resize", "size", "default_to_square",
    "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
    "image_mean", "image_std", "image_size", "crop_to_patches", "min_patches", "max_patches",
    "dynamic_image_size", "min_dynamic_patch", "max_dynamic_patch", "use_thumbnail", "use_msac",
    "pad2square",
    // Of no weight: pictures are always converted to RGB; the rest is about arrays, text or code.
    "do_convert_rgb", "processor_class", "auto_map", "_valid_processor_keys", "data_format",
    "input_data_format", "return_tensors", "device", "disable_grouping", "patch_size",
    "pad_input", NULL};

static gr_err find_processor(const gr_node *root, const processor **out)
{
    static const char *const endings[] = {"ImageProcessor", "ImageProcessorFast",
                                          "ImageProcessorPil", "FeatureExtractor"};
    gr_err err = GR_OK;
    const char *type = NULL, *key = "image_processor_type";
    if (!gr_node_find(root, key)) {
        key = "feature_extractor_type";
    }
    GR_TRY(gr_node_opt_string(root, key, &type));
    *out = NULL;
    for (size_t p = 0; type && p < sizeof processors / sizeof processors[0]; p++) {
        size_t n = strlen(processors[p].name);
        for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++) {
            if (strncmp(type, processors[p].name, n) == 0 &&
                strcmp(type + n, endings[e]) == 0) {
                *out = &processors[p];
            }
        }
    }
    if (type && !*out) {
        GR_TRY(gr_node_error(gr_node_find(root, key), "\"%s\" is not computed: expected %s",
                             type, processor_names));
    }
done:
    return err;
}

static gr_err check_keys(const gr_node *root)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < root->u.list.count; i++) {
        const gr_node *item = &root->u.list.items[i];
        bool off = item->type == GR_DOC_NULL || (item->type == GR_DOC_BOOL && !item->u.boolean);
        bool known = off;
        for (int k = 0; !known && known_keys[k]; k++) {
            known = strcmp(item->key, known_keys[k]) == 0;
        }
        if (!known) {
            GR_TRY(gr_node_error(item, "is not known and could change pixels; take it out of "
                                       "the file if it does not"));
        }
    }
done:
    return err;
}

/// A switch with one computed value.
static gr_err must_be_on(const gr_node *root, const char *key)
{
    gr_err err = GR_OK;
    bool on = true;
    GR_TRY(gr_node_opt_bool(root, key, &on));
    if (!on) {
        GR_TRY(
            gr_node_error(gr_node_find(root, key),
                          "false is not computed: pictures must become squares of one size"));
    }
done:
    return err;
}

static gr_err read_filter(const gr_node *root, const processor *p, gr_picture_rules *r)
{
    gr_err err = GR_OK;
    int64_t filter = p && p->bilinear ? GRI_HF_BILINEAR : GRI_HF_BICUBIC;
    GR_TRY(gr_node_opt_int(root, "resample", INT32_MIN, INT32_MAX, &filter));
    if (filter != GRI_HF_BILINEAR && filter != GRI_HF_BICUBIC) {
        GR_TRY(gr_node_error(gr_node_find(root, "resample"),
                             "%lld is not computed: expected 2 (bilinear) or 3 (bicubic)",
                             (long long)filter));
    }
    r->bilinear = filter == GRI_HF_BILINEAR;
done:
    return err;
}

/// A map {height, width} of one side.
static gr_err read_square(const gr_node *map, int64_t *side)
{
    static const char *const keys[] = {"height", "width", NULL};
    gr_err err = GR_OK;
    int64_t height = 0, width = 0;
    GR_TRY(gr_node_check_keys(map, keys));
    GR_TRY(gr_node_get_int(map, "height", 1, GR_MOST_SIDE, &height));
    GR_TRY(gr_node_get_int(map, "width", 1, GR_MOST_SIDE, &width));
    if (height != width) {
        GR_TRY(gr_node_error(map, "%lld x %lld is not computed: expected a square",
                             (long long)height, (long long)width));
    }
    *side = height;
done:
    return err;
}

/// `size`: a number, {shortest_edge} or {height, width}. Leaves *side where there is none.
static gr_err read_size(const gr_node *root, int64_t *side, bool *edge)
{
    static const char *const edge_keys[] = {"shortest_edge", NULL};
    gr_err err = GR_OK;
    const gr_node *node = gr_node_find(root, "size");
    bool square = !*edge;
    GR_TRY(gr_node_opt_bool(root, "default_to_square", &square));
    if (node && node->type != GR_DOC_MAP) {
        GR_TRY(gr_node_get_int(root, "size", 1, GR_MOST_SIDE, side));
        *edge = !square;
    } else if (node && gr_node_find(node, "shortest_edge")) {
        GR_TRY(gr_node_check_keys(node, edge_keys));
        GR_TRY(gr_node_get_int(node, "shortest_edge", 1, GR_MOST_SIDE, side));
        *edge = true;
    } else if (node) {
        GR_TRY(read_square(node, side));
        *edge = false;
    }
done:
    return err;
}

/// do_center_crop and crop_size; *crop is 0 without a crop.
static gr_err read_crop(const gr_node *root, const processor *p, int64_t *crop)
{
    gr_err err = GR_OK;
    bool on = p && p->crop;
    const gr_node *node = gr_node_find(root, "crop_size");
    GR_TRY(gr_node_opt_bool(root, "do_center_crop", &on));
    *crop = 0;
    if (!on) {
        goto done;
    }
    *crop = p ? p->size : 0;
    if (node && node->type == GR_DOC_MAP) {
        GR_TRY(read_square(node, crop));
    } else {
        GR_TRY(gr_node_opt_int(root, "crop_size", 1, GR_MOST_SIDE, crop));
    }
    if (*crop == 0) {
        GR_TRY(gr_node_error(gr_node_find(root, "do_center_crop"),
                             "true without crop_size: how large is not said"));
    }
done:
    return err;
}

/// What size and crop together make of a picture: a square of v->image_size, or a refusal.
static gr_err read_fit(const gr_node *root, const processor *p, gr_vision_config *v)
{
    gr_err err = GR_OK;
    int64_t size = p ? p->size : v->image_size, crop = 0;
    bool edge = p && p->edge;
    const gr_node *size_node = gr_node_find(root, "size");
    const gr_node *at = size_node ? size_node : root;
    GR_TRY(read_size(root, &size, &edge));
    GR_TRY(read_crop(root, p, &crop));
    if (edge && crop == 0) {
        GR_TRY(gr_node_error(at,
                             "a shorter side of %lld pixels without do_center_crop is not "
                             "computed: pictures would not be square",
                             (long long)size));
    }
    if (crop > size || (!edge && crop > 0 && crop != size)) {
        const gr_node *crop_node = gr_node_find(root, "crop_size");
        GR_TRY(gr_node_error(crop_node ? crop_node : root,
                             "a crop of %lld out of %lld pixels is not computed",
                             (long long)crop, (long long)size));
    }
    int64_t side = crop ? crop : size;
    if (side != v->image_size) {
        GR_TRY(gr_node_error(at,
                             "pictures of %lld pixels, but the model's config.json says %lld: "
                             "set force_image_size there, or the size here",
                             (long long)side, (long long)v->image_size));
    }
    v->pictures.fit = edge ? GR_FIT_CROP : GR_FIT_STRETCH;
    v->pictures.edge = edge ? size : 0;
done:
    return err;
}

/// Three numbers from `least` to GR_MOST_STATISTIC: what keeps pixels finite in fp32.
static gr_err read_three(const gr_node *root, const char *key, double least, double out[3])
{
    gr_err err = GR_OK;
    const gr_node *list = gr_node_find(root, key);
    double values[3];
    if (!list) {
        return GR_OK;
    }
    GR_TRY(gr_node_expect(list, GR_DOC_LIST));
    if (list->u.list.count != 3) {
        GR_TRY(gr_node_error(list, "expected 3 numbers, one a channel, got %lld",
                             (long long)list->u.list.count));
    }
    for (int i = 0; i < 3; i++) {
        const gr_node *item = &list->u.list.items[i];
        if (item->type != GR_DOC_INT) {
            GR_TRY(gr_node_expect(item, GR_DOC_REAL));
        }
        values[i] = item->type == GR_DOC_INT ? (double)item->u.integer : item->u.real;
        if (!(values[i] >= least && values[i] <= GR_MOST_STATISTIC)) {
            GR_TRY(gr_node_error(item, "%g, expected a number from %g to %g", values[i], least,
                                 GR_MOST_STATISTIC));
        }
    }
    memcpy(out, values, sizeof values);
done:
    return err;
}

/// Bytes to numbers.
static gr_err read_values(const gr_node *root, const processor *p, gr_vision_config *v)
{
    gr_err err = GR_OK;
    bool rescale = true, normalize = true;
    double factor = 1.0 / 255;
    GR_TRY(gr_node_opt_bool(root, "do_rescale", &rescale));
    GR_TRY(gr_node_opt_real(root, "rescale_factor", 1e-9, 1e9, &factor));
    GR_TRY(gr_node_opt_bool(root, "do_normalize", &normalize));
    factor = rescale ? factor : 1;
    v->pictures.rescale = factor == 1.0 / 255 ? 0 : factor;
    if (p) {
        memcpy(v->image_mean, p->mean, sizeof p->mean);
        memcpy(v->image_std, p->std, sizeof p->std);
    }
    GR_TRY(read_three(root, "image_mean", -GR_MOST_STATISTIC, v->image_mean));
    GR_TRY(read_three(root, "image_std", GR_LEAST_STD, v->image_std));
    for (int c = 0; !normalize && c < 3; c++) {
        v->image_mean[c] = 0;
        v->image_std[c] = 1;
    }
done:
    return err;
}

/// InternVL's keys, of config.json or of a preprocessor; what is absent stays. `implied`: a number of tiles without
/// the switch dynamic_image_size turns it on, as in the files of SAIL-VL 2.
static gr_err read_tiling(const gr_node *root, bool implied, gr_picture_rules *r)
{
    gr_err err = GR_OK;
    bool tiled = r->most > 1, pad = r->fit == GR_FIT_PAD;
    int64_t fewest = r->fewest ? r->fewest : 1, most = tiled ? r->most : 6;
    if (implied && gr_node_find(root, "max_dynamic_patch")) {
        tiled = true;
    }
    GR_TRY(gr_node_opt_bool(root, "dynamic_image_size", &tiled));
    GR_TRY(gr_node_opt_int(root, "min_dynamic_patch", 1, GR_TILES_MOST, &fewest));
    GR_TRY(gr_node_opt_int(root, "max_dynamic_patch", 1, GR_TILES_MOST, &most));
    GR_TRY(gr_node_opt_bool(root, "use_thumbnail", &r->thumbnail));
    GR_TRY(gr_node_opt_bool(root, "use_msac", &r->second_scale));
    GR_TRY(gr_node_opt_bool(root, "pad2square", &pad));
    if (tiled && fewest > most) {
        GR_TRY(gr_node_error(gr_node_find(root, "min_dynamic_patch"),
                             "at least %lld tiles, but max_dynamic_patch allows %lld",
                             (long long)fewest, (long long)most));
    }
    r->fewest = tiled ? fewest : 1;
    r->most = tiled ? most : 1;
    r->fit = pad ? GR_FIT_PAD : r->fit == GR_FIT_PAD ? GR_FIT_STRETCH : r->fit;
done:
    return err;
}

/// transformers' own InternVL: the same tiling under other names, always with the view of the whole. `always`: whatever
/// the switch says.
static gr_err read_patches(const gr_node *root, bool always, gr_picture_rules *r)
{
    gr_err err = GR_OK;
    bool on = false;
    int64_t fewest = 1, most = 12;
    GR_TRY(gr_node_opt_bool(root, "crop_to_patches", &on));
    on = on || always;
    GR_TRY(gr_node_opt_int(root, "min_patches", 1, GR_TILES_MOST, &fewest));
    GR_TRY(gr_node_opt_int(root, "max_patches", 1, GR_TILES_MOST, &most));
    if (on && fewest > most) {
        GR_TRY(gr_node_error(gr_node_find(root, "min_patches"),
                             "at least %lld tiles, but at most %lld", (long long)fewest,
                             (long long)most));
    }
    if (on) {
        r->fewest = fewest;
        r->most = most;
        r->thumbnail = true;
    }
done:
    return err;
}

/// Fails where the rules contradict each other.
static gr_err check_rules(const gr_node *root, const gr_picture_rules *r)
{
    gr_err err = GR_OK;
    if (r->most > 1 && r->fit == GR_FIT_CROP) {
        GR_TRY(gr_node_error(root, "%lld tiles and a centre crop contradict each other",
                             (long long)r->most));
    }
done:
    return err;
}

/// Whose words about size, crop and tiles count.
typedef enum speaker {
    PREPROCESSOR, ///< those of the preprocessor alone
    CONFIG, ///< InternVL's, of config.json and then of the preprocessor; transformers' are not looked at
    INTERNVL, ///< the preprocessor's, within transformers' InternVLProcessor
} speaker;

static gr_err read_preprocessor(const gr_node *root, speaker who, gr_vision_config *v)
{
    gr_err err = GR_OK;
    const processor *p = NULL;
    int64_t side = v->image_size;
    GR_TRY(gr_node_expect(root, GR_DOC_MAP));
    GR_TRY(check_keys(root));
    GR_TRY(find_processor(root, &p));
    GR_TRY(must_be_on(root, "do_resize"));
    GR_TRY(read_filter(root, p, &v->pictures));
    GR_TRY(read_values(root, p, v));
    GR_TRY(gr_node_opt_int(root, "image_size", 1, GR_MOST_SIDE, &side));
    if (side != v->image_size) {
        GR_TRY(gr_node_error(gr_node_find(root, "image_size"),
                             "%lld pixels, but the model's config.json says %lld",
                             (long long)side, (long long)v->image_size));
    }
    if (who != CONFIG) {
        GR_TRY(read_fit(root, p, v));
    }
    GR_TRY(read_tiling(root, who != CONFIG, &v->pictures));
    if (who != CONFIG) {
        bool always = who == INTERNVL && p && strcmp(p->name, "GotOcr2") == 0;
        GR_TRY(read_patches(root, always, &v->pictures));
    }
    GR_TRY(check_rules(root, &v->pictures));
done:
    return err;
}

/// A full model of InternVL's kind says in config.json how its code cuts pictures. transformers' own InternVL says it
/// in the settings of its processor.
static speaker speaker_of(const gr_node *root)
{
    if (gr_node_find(root, "llm_config")) {
        bool says =
            gr_node_find(root, "dynamic_image_size") || gr_node_find(root, "pad2square");
        return says ? CONFIG : PREPROCESSOR;
    }
    bool own = gr_node_find(root, "vision_config") && gr_node_find(root, "text_config");
    return own ? INTERNVL : PREPROCESSOR;
}

/// The settings of an image processor in DIR, NULL if there are none: those inside processor_config.json, where
/// transformers 5 writes them, before those of preprocessor_config.json, as it reads them.
static gr_err find_settings(const char *dir, gr_doc **doc, const gr_node **out)
{
    gr_err err = GR_OK;
    char *nested = NULL, *alone = NULL;
    const gr_node *inside = NULL;
    *out = NULL;
    GR_TRY(gr_path_join(dir, GRI_HF_PROCESSOR, &nested));
    GR_TRY(gr_path_join(dir, GRI_HF_PREPROCESSOR, &alone));
    if (gr_file_exists(nested)) {
        GR_TRY(gr_doc_load(nested, GR_ERR_DATA, doc));
        GR_TRY(gr_node_expect(gr_doc_root(*doc), GR_DOC_MAP));
        inside = gr_node_find(gr_doc_root(*doc), "image_processor");
    }
    if (inside) {
        *out = inside;
    } else if (gr_file_exists(alone)) {
        gr_doc_destroy(doc);
        GR_TRY(gr_doc_load(alone, GR_ERR_DATA, doc));
        *out = gr_doc_root(*doc);
    }
done:
    GR_FREE(nested);
    GR_FREE(alone);
    return err;
}

gr_err gri_hf_read_pictures(const gr_node *config, const char *dir, gr_vision_config *v)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    const gr_node *settings = NULL;
    speaker who = speaker_of(config);
    if (who == CONFIG) {
        GR_TRY(read_tiling(config, false, &v->pictures));
    }
    GR_TRY(find_settings(dir, &doc, &settings));
    if (settings) {
        GR_TRY(read_preprocessor(settings, who, v));
    }
done:
    gr_doc_destroy(&doc);
    return err;
}
