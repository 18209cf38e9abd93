/// From picture files to pixels by a model's rules, and those rules out of a directory and back.
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/hf_internal.h"
#include "src/formats/image_tiles.h"
#include "src/formats/pictures.h"
#include "tests/dir_support.h"
#include "tests/image_support.h"

#include <stdlib.h>

enum { SIDE = 8, VALUES = 3 * SIDE * SIDE, WIDE = 37, HIGH = 16 };

static const char *const fixtures[] = {"rgb.png",    "grey16.png", "rgb_interlaced.png",
                                       "cmyk.jpg",   "grey.jpg",   "rgb444_progressive.jpg",
                                       "exif5.jpg",  "exif3.jpg",  "exif6.png",
                                       "exif8.webp", "lossy.webp", "lossless_alpha.webp"};

static gr_vision_config vision_of(gr_picture_rules rules)
{
    return (gr_vision_config){.kind = GR_VISION_AIMV2,
                              .image_size = SIDE,
                              .patch_size = 2,
                              .image_mean = {0.5, 0.25, 0.1},
                              .image_std = {0.3, 1, 0.7},
                              .pictures = rules};
}

/// A WIDE x HIGH picture of all colours as lossless WebP.
static void make_picture(gr_image *image, unsigned char **data, size_t *size)
{
    static unsigned char rgb[WIDE * HIGH * 3];
    for (int i = 0; i < WIDE * HIGH * 3; i++) {
        rgb[i] = (unsigned char)(i * 89 + i / 7 * 31);
    }
    *image = (gr_image){WIDE, HIGH, rgb};
    GR_CHECK_OK(gr_image_encode_webp(image, -1, data, size));
}

/// Pixels and tiles of the picture by these rules are those of the squares, one under the other.
static void check_squares(gr_picture_rules rules, const gr_image *squares, int64_t want)
{
    gr_image image;
    unsigned char *data = NULL;
    size_t size = 0;
    int64_t tiles = 0;
    const gr_vision_config v = vision_of(rules);
    make_picture(&image, &data, &size);
    GR_CHECK_OK(gr_picture_tiles(&v, 0, "p", data, size, &tiles));
    if (GR_CHECK_INT(tiles, want)) {
        float *got = malloc((size_t)(tiles * VALUES) * sizeof *got), tile[VALUES];
        GR_CHECK_OK(gr_picture_pixels(&v, 0, "p", data, size, tiles, got));
        for (int64_t i = 0; i < tiles; i++) {
            const gr_image one = {SIDE, SIDE, squares->rgb + i * VALUES};
            gr_image_normalize(&one, rules.rescale, v.image_mean, v.image_std, tile);
            GR_CHECK_BYTES(got + i * VALUES, tile, sizeof tile);
        }
        free(got);
        unsigned char *bytes = malloc((size_t)(tiles * VALUES));
        GR_CHECK_OK(gr_picture_bytes(&v, 0, "p", data, size, tiles, bytes));
        GR_CHECK_BYTES(bytes, squares->rgb, (size_t)(tiles * VALUES));
        free(bytes);
        GR_CHECK_ERR(gr_picture_bytes(&v, 0, "p", data, size, tiles + 1, NULL), GR_ERR_DATA,
                     "header promised");
        GR_CHECK_ERR(gr_picture_pixels(&v, 0, "p", data, size, tiles + 1, NULL), GR_ERR_DATA,
                     "header promised");
    }
    GR_FREE(data);
}

/// Each byte looked up is that byte normalised, bit for bit.
static void test_values(void)
{
    static const double scales[] = {0, 0.5, 1 / 255.0};
    for (int s = 0; s < 3; s++) {
        const gr_vision_config v = vision_of((gr_picture_rules){.rescale = scales[s]});
        float values[3][256], alone[3];
        gr_picture_values(&v, values);
        for (int i = 0; i < 256; i++) {
            unsigned char grey[3] = {(unsigned char)i, (unsigned char)i, (unsigned char)i};
            const gr_image one = {1, 1, grey};
            gr_image_normalize(&one, scales[s], v.image_mean, v.image_std, alone);
            for (int c = 0; c < 3; c++) {
                float pixel = s == 0 ? (float)i / 255.0F : (float)(i * scales[s]);
                float want = (pixel - (float)v.image_mean[c]) / (float)v.image_std[c];
                GR_CHECK_BYTES(&values[c][i], &want, sizeof want);
                GR_CHECK_BYTES(&alone[c], &want, sizeof want);
            }
        }
    }
}

static void test_fits(void)
{
    gr_image image, want = {0}, padded = {0};
    unsigned char *data = NULL;
    size_t size = 0;
    make_picture(&image, &data, &size);
    GR_FREE(data);
    GR_CHECK_OK(gr_image_resize(&image, GR_IMAGE_BICUBIC, SIDE, SIDE, &want));
    check_squares((gr_picture_rules){0}, &want, 1);
    check_squares((gr_picture_rules){.rescale = 0.5, .most = 1, .thumbnail = true}, &want, 1);
    gr_image_fini(&want);
    GR_CHECK_OK(gr_image_resize(&image, GR_IMAGE_BILINEAR, SIDE, SIDE, &want));
    check_squares((gr_picture_rules){.bilinear = true}, &want, 1);
    gr_image_fini(&want);
    GR_CHECK_OK(resize_crop(&image, GR_IMAGE_BICUBIC, SIDE, SIDE, &want));
    check_squares((gr_picture_rules){.fit = GR_FIT_CROP}, &want, 1);
    gr_image_fini(&want);
    GR_CHECK_OK(resize_crop(&image, GR_IMAGE_BICUBIC, SIDE + 3, SIDE, &want));
    check_squares((gr_picture_rules){.fit = GR_FIT_CROP, .edge = SIDE + 3}, &want, 1);
    gr_image_fini(&want);
    const unsigned char colour[3] = {127, 63, 25}; // 255 times 0.5, 0.25, 0.1, cut off
    GR_CHECK_OK(gr_image_pad_square(&image, colour, &padded));
    GR_CHECK_OK(gr_image_resize(&padded, GR_IMAGE_BICUBIC, SIDE, SIDE, &want));
    check_squares((gr_picture_rules){.fit = GR_FIT_PAD}, &want, 1);
    gr_image_fini(&padded);
    gr_image_fini(&want);
}

/// As many tiles as the grid of the header's size has, and their pixels; padding has no say in tiles.
static void test_tiles(void)
{
    gr_image image, want = {0};
    unsigned char *data = NULL;
    size_t size = 0;
    make_picture(&image, &data, &size);
    for (int64_t most = 2; most <= 12; most += 5) {
        for (int flags = 0; flags < 4; flags++) {
            const gr_tile_rules grid = {.side = SIDE,
                                        .fewest = 1,
                                        .most = most,
                                        .thumbnail = flags & 1,
                                        .second_scale = flags & 2};
            gr_tile_plan plan = {0};
            GR_CHECK_OK(gr_tiles_plan(&grid, WIDE, HIGH, &plan));
            GR_CHECK(plan.count > 1);
            GR_CHECK_OK(cut_tiles(&grid, &plan, &image, &want));
            check_squares((gr_picture_rules){.fit = flags & 1 ? GR_FIT_PAD : GR_FIT_STRETCH,
                                             .most = most,
                                             .thumbnail = flags & 1,
                                             .second_scale = flags & 2},
                          &want, plan.count);
            gr_image_fini(&want);
        }
    }
    GR_FREE(data);
}

/// The size that a header gives is that of the decoded picture, turned or not; cut files fail in both or are still whole.
static void test_sizes(void)
{
    for (size_t f = 0; f < sizeof fixtures / sizeof fixtures[0]; f++) {
        char *data = NULL;
        size_t size = 0;
        char *path =
            gr_str_format("%s/tests/fixtures/images/%s", getenv("GR_SOURCE_DIR"), fixtures[f]);
        GR_CHECK_OK(gr_file_read(path, 0, &data, &size));
        for (unsigned how = 0; how < 4; how++) {
            gr_image image = {0};
            int64_t width = 0, height = 0, used = gr_mem_used();
            GR_CHECK_OK(gr_image_size(path, data, size, how, &width, &height));
            GR_CHECK_INT(gr_mem_used(), used);
            GR_CHECK_OK(gr_image_decode(path, data, size, how, &image));
            GR_CHECK_INT(width, image.width);
            GR_CHECK_INT(height, image.height);
            gr_image_fini(&image);
        }
        int64_t width = 0, height = 0;
        GR_CHECK_ERR(gr_image_size("short", data, 11, 0, &width, &height), GR_ERR_DATA,
                     "short");
        GR_FREE(data);
        GR_FREE(path);
    }
    int64_t side = 0;
    GR_CHECK_ERR(gr_image_size("none", "", 0, 0, &side, &side), GR_ERR_DATA, "none: empty");
    // A PNG of 2^31 pixels, in 33 bytes.
    static const unsigned char huge[] =
        "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x80\0\0\1\0\0\x8\2\0\0\0\xac\xf0\x4b\x8d";
    GR_CHECK_ERR(gr_image_size("huge", huge, 33, 0, &side, &side), GR_ERR_DATA, "huge");
}

static void test_files(void)
{
    gr_image image;
    unsigned char *data = NULL;
    size_t size = 0;
    gr_pictures p = {0};
    const char *dir = fresh_dir("files");
    const gr_vision_config v = vision_of((gr_picture_rules){.most = 6, .thumbnail = true});
    make_picture(&image, &data, &size);
    GR_CHECK_OK(gr_file_write(in_dir(dir, "a.webp"), data, size));
    GR_CHECK_OK(gr_file_write(in_dir(dir, "torn.webp"), data, size / 2));
    char a[1100], torn[1100];
    snprintf(a, sizeof a, "%s/a.webp", dir);
    snprintf(torn, sizeof torn, "%s/torn.webp", dir);
    const char *const good[] = {a, a}, *const bad[] = {a, torn}, *const none[] = {"/nowhere"};
    GR_CHECK_OK(gr_pictures_load(&v, 0, good, 2, &p));
    GR_CHECK_INT(p.count, 2 * p.tiles[0]);
    GR_CHECK_INT(p.tiles[1], p.tiles[0]);
    GR_CHECK_BYTES(p.pixels, p.pixels + p.tiles[0] * VALUES,
                   (size_t)(p.tiles[0] * VALUES) * sizeof(float));
    gr_pictures_fini(&p);
    GR_CHECK_OK(gr_pictures_load(&v, 0, NULL, 0, &p));
    GR_CHECK_INT(p.count, 0);
    gr_pictures_fini(&p);
    GR_CHECK_ERR(gr_pictures_load(&v, 0, bad, 2, &p), GR_ERR_DATA, "torn.webp");
    GR_CHECK_ERR(gr_pictures_load(&v, 0, none, 1, &p), GR_ERR_MISSING, "/nowhere");
    int64_t used = gr_mem_used(), before = gr_mem_requests();
    GR_CHECK_OK(gr_pictures_load(&v, 0, good, 2, &p));
    int64_t requests = gr_mem_requests() - before;
    gr_pictures_fini(&p);
    for (int64_t i = 1; i <= requests; i++) {
        gr_mem_fail_at(i);
        GR_CHECK_ERR(gr_pictures_load(&v, 0, good, 2, &p), GR_ERR_MEMORY, "");
        GR_CHECK_INT(gr_mem_used(), used);
    }
    gr_mem_fail_at(0);
    GR_FREE(data);
}

static const char config[] = "{\"model_type\": \"aimv2\"}";

/// The rules that config.json and preprocessor_config.json (NULL: none) give to a model of 8 pixels.
static gr_err read_rules(const char *config_text, const char *text, gr_vision_config *v)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    const char *dir = fresh_dir("rules");
    if (text) {
        write_text(dir, GRI_HF_PREPROCESSOR, text);
    }
    *v = vision_of((gr_picture_rules){0});
    GR_TRY(
        gr_doc_parse_json("config.json", config_text, strlen(config_text), GR_ERR_DATA, &doc));
    GR_TRY(gri_hf_read_pictures(gr_doc_root(doc), dir, v));
done:
    gr_doc_destroy(&doc);
    return err;
}

static bool same_rules(const gr_picture_rules *a, const gr_picture_rules *b)
{
    bool tiled = a->most > 1 || b->most > 1;
    return a->fit == b->fit && a->edge == b->edge && a->bilinear == b->bilinear &&
           a->rescale == b->rescale &&
           (!tiled ||
            (a->most == b->most && (a->fewest ? a->fewest : 1) == (b->fewest ? b->fewest : 1) &&
             a->thumbnail == b->thumbnail && a->second_scale == b->second_scale));
}

/// What published forms of the file mean.
static void test_preprocessors(void)
{
    static const struct {
        const char *text;
        gr_picture_rules rules;
        double mean, std; ///< of the first channel
    } good[] = {
        {NULL, {0}, 0.5, 0.3},
        {"{}", {0}, 0.5, 0.3},
        {"{\"image_mean\": [1, 0.5, 0.25]}", {0}, 1, 0.3},
        // Apple's AIMv2
        {"{\"image_processor_type\": \"CLIPImageProcessor\", \"size\": {\"shortest_edge\": 8}, "
         "\"crop_size\": {\"height\": 8, \"width\": 8}, \"resample\": 3, \"do_center_crop\": true, "
         "\"rescale_factor\": 0.00392156862745098}",
         {.fit = GR_FIT_CROP, .edge = 8},
         0.48145466,
         0.26862954},
        // InternViT alone: old class, plain numbers; the shorter side
        {"{\"feature_extractor_type\": \"CLIPFeatureExtractor\", \"size\": 10, \"crop_size\": 8, "
         "\"image_mean\": [0.485, 0.456, 0.406], \"image_std\": [0.229, 0.224, 0.225]}",
         {.fit = GR_FIT_CROP, .edge = 10},
         0.485,
         0.229},
        // SigLIP 1 and 2
        {"{\"image_processor_type\": \"SiglipImageProcessor\", \"size\": {\"height\": 8, \"width\": "
         "8}, \"resample\": 2, \"do_convert_rgb\": null, \"processor_class\": \"SiglipProcessor\"}",
         {.bilinear = true},
         0.5,
         0.5},
        {"{\"image_processor_type\": \"ViTImageProcessorFast\", \"size\": 8}",
         {.bilinear = true},
         0.5,
         0.5},
        {"{\"do_rescale\": false, \"do_normalize\": false}", {.rescale = 1}, 0, 1},
        {"{\"rescale_factor\": 0.25}", {.rescale = 0.25}, 0.5, 0.3},
        // SAIL-VL 2
        {"{\"image_size\": 8, \"patch_size\": 14, \"max_dynamic_patch\": 10, \"use_msac\": false, "
         "\"pad_input\": true, \"image_mean\": [0.485, 0.456, 0.406]}",
         {.most = 10},
         0.485,
         0.3},
        // transformers' own InternVL
        {"{\"image_processor_type\": \"GotOcr2ImageProcessorFast\", \"size\": {\"height\": 8, "
         "\"width\": 8}, \"crop_to_patches\": true, \"max_patches\": 7, \"do_pad\": null}",
         {.most = 7, .thumbnail = true},
         0.48145466,
         0.26862954},
        {"{\"crop_to_patches\": false, \"do_center_crop\": false, \"crop_size\": 99}",
         {0},
         0.5,
         0.3},
        {"{\"pad2square\": true}", {.fit = GR_FIT_PAD}, 0.5, 0.3},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        gr_vision_config v;
        GR_CHECK_OK(read_rules(config, good[i].text, &v));
        bool same = same_rules(&v.pictures, &good[i].rules) &&
                    v.image_mean[0] == good[i].mean && v.image_std[0] == good[i].std;
        if (!GR_CHECK(same)) {
            printf("  of %s\n", good[i].text);
        }
    }
}

static void test_refused(void)
{
    static const char *const bad[][2] = {
        {"[]", "expected a map"},
        {"{\"do_resize\": false}", "do_resize: false is not computed"},
        {"{\"resample\": 1}", "resample: 1 is not computed"},
        {"{\"size\": {\"height\": 8, \"width\": 9}}", "size: 8 x 9 is not computed"},
        {"{\"size\": {\"longest_edge\": 8}}", "longest_edge"},
        {"{\"size\": {\"shortest_edge\": 8, \"longest_edge\": 9}}", "longest_edge"},
        {"{\"size\": {\"shortest_edge\": 8}}", "without do_center_crop"},
        {"{\"size\": 9}", "pictures of 9 pixels, but the model's config.json says 8"},
        {"{\"image_size\": 9}", "image_size: 9 pixels"},
        {"{\"size\": \"large\"}", "size"},
        {"{\"do_center_crop\": true}", "without crop_size"},
        {"{\"do_center_crop\": true, \"crop_size\": 9}", "a crop of 9 out of 8"},
        {"{\"do_center_crop\": true, \"crop_size\": 6}", "a crop of 6 out of 8"},
        {"{\"do_center_crop\": 1}", "do_center_crop"},
        {"{\"image_processor_type\": \"CLIPImageProcessor\"}", "pictures of 224 pixels"},
        {"{\"image_processor_type\": \"Siglip2ImageProcessor\"}",
         "\"Siglip2ImageProcessor\" is not"},
        {"{\"image_processor_type\": 3}", "image_processor_type"},
        {"{\"image_mean\": 0.5}", "image_mean"},
        {"{\"image_mean\": [0.5, 0.5]}", "3 numbers"},
        {"{\"image_std\": [0.5, 0.5, \"a\"]}", "image_std"},
        {"{\"rescale_factor\": 0}", "rescale_factor"},
        {"{\"image_std\": [0.5, 0, 0.5]}", "image_std[1]: 0, expected a number from 1e-06"},
        {"{\"image_std\": [0.5, 0.5, -1]}", "image_std[2]: -1, expected"},
        {"{\"image_std\": [1e-60, 0.5, 0.5]}", "image_std[0]: 1e-60, expected"},
        {"{\"image_mean\": [0.5, 1e300, 0.5]}", "image_mean[1]: 1e+300, expected"},
        {"{\"do_pad\": true}", "do_pad: is not known and could change pixels"},
        {"{\"do_reduce_labels\": 1}", "do_reduce_labels"},
        {"{\"min_dynamic_patch\": 4, \"max_dynamic_patch\": 3}", "max_dynamic_patch allows 3"},
        {"{\"max_dynamic_patch\": 0}", "max_dynamic_patch"},
        {"{\"crop_to_patches\": true, \"min_patches\": 20}", "at least 20 tiles"},
        {"{\"image_processor_type\": \"CLIPImageProcessor\", \"size\": 8, \"crop_size\": 8, "
         "\"max_dynamic_patch\": 4}",
         "contradict"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        gr_vision_config v;
        GR_CHECK_ERR(read_rules(config, bad[i][0], &v), GR_ERR_DATA, bad[i][1]);
        GR_CHECK(strstr(gr_err_message(), GRI_HF_PREPROCESSOR) != NULL);
    }
}

/// A full model of InternVL's kind: config.json has the geometry, the file beside it the statistics.
static void test_internvl(void)
{
    static const char clip[] =
        "{\"feature_extractor_type\": \"CLIPFeatureExtractor\", \"size\": 448, \"crop_size\": 448, "
        "\"image_mean\": [0.485, 0.456, 0.406], \"do_center_crop\": true}";
    static const struct {
        const char *config;
        gr_picture_rules rules;
    } good[] = {
        {"{\"llm_config\": {}, \"dynamic_image_size\": true, \"use_thumbnail\": true, "
         "\"max_dynamic_patch\": 12}",
         {.most = 12, .thumbnail = true}},
        {"{\"llm_config\": {}, \"dynamic_image_size\": true}", {.most = 6}},
        {"{\"llm_config\": {}, \"dynamic_image_size\": false, \"max_dynamic_patch\": 12}", {0}},
        {"{\"llm_config\": {}, \"pad2square\": true}", {.fit = GR_FIT_PAD}},
    };
    gr_vision_config v;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        for (int beside = 0; beside < 2; beside++) {
            GR_CHECK_OK(read_rules(good[i].config, beside ? clip : NULL, &v));
            GR_CHECK(same_rules(&v.pictures, &good[i].rules));
            GR_CHECK(v.image_mean[0] == (beside ? 0.485 : 0.5));
        }
    }
    GR_CHECK_ERR(read_rules("{\"llm_config\": {}, \"dynamic_image_size\": 1}", NULL, &v),
                 GR_ERR_DATA, "dynamic_image_size");
    GR_CHECK_ERR(read_rules("{\"llm_config\": {}, \"dynamic_image_size\": true, "
                            "\"min_dynamic_patch\": 9}",
                            NULL, &v),
                 GR_ERR_DATA, "min_dynamic_patch");
    // Without these words the preprocessor speaks.
    GR_CHECK_ERR(read_rules("{\"llm_config\": {}}", clip, &v), GR_ERR_DATA, "448 pixels");
}

static const char got_ocr[] =
    "{\"image_processor_type\": \"GotOcr2ImageProcessorFast\", \"size\": {\"height\": 8, \"width\": "
    "8}, \"crop_to_patches\": false, \"min_patches\": 2, \"max_patches\": 5}";

/// transformers' own InternVL: the processor tiles, whatever its switch says; elsewhere the switch counts.
static void test_transformers_internvl(void)
{
    static const char full[] = "{\"vision_config\": {}, \"text_config\": {}}";
    static const gr_picture_rules tiled = {.fewest = 2, .most = 5, .thumbnail = true};
    static const gr_picture_rules one = {0};
    gr_vision_config v;
    GR_CHECK_OK(read_rules(full, got_ocr, &v));
    GR_CHECK(same_rules(&v.pictures, &tiled));
    GR_CHECK_OK(read_rules(config, got_ocr, &v));
    GR_CHECK(same_rules(&v.pictures, &one));
    GR_CHECK_OK(read_rules(
        full, "{\"image_processor_type\": \"SiglipImageProcessor\", \"size\": 8}", &v));
    GR_CHECK_INT(v.pictures.most > 1, 0);
    GR_CHECK_OK(read_rules(full, NULL, &v));
    GR_CHECK(same_rules(&v.pictures, &one));
}

/// config.json and the words beside it of a model that cuts by config.json: which count.
static void test_who_counts(void)
{
    static const struct {
        const char *config, *beside;
        gr_picture_rules rules;
    } cases[] = {
        // transformers' words do not
        {"{\"llm_config\": {}, \"dynamic_image_size\": true, \"max_dynamic_patch\": 12}",
         "{\"crop_to_patches\": true, \"max_patches\": 3, \"size\": 99, \"crop_size\": 7}",
         {.most = 12}},
        {"{\"llm_config\": {}, \"dynamic_image_size\": false}",
         "{\"crop_to_patches\": true, \"max_patches\": 3}",
         {0}},
        // InternVL's do, each for itself; a number alone turns nothing on
        {"{\"llm_config\": {}, \"dynamic_image_size\": true, \"max_dynamic_patch\": 12, "
         "\"use_thumbnail\": true}",
         "{\"max_dynamic_patch\": 10, \"use_msac\": false, \"pad_input\": true, \"image_size\": 8}",
         {.most = 10, .thumbnail = true}},
        {"{\"llm_config\": {}, \"dynamic_image_size\": false}",
         "{\"max_dynamic_patch\": 10}",
         {0}},
        {"{\"llm_config\": {}, \"dynamic_image_size\": false}",
         "{\"dynamic_image_size\": true, \"max_dynamic_patch\": 10}",
         {.most = 10}},
        {"{\"llm_config\": {}, \"pad2square\": true}", "{\"size\": 99}", {.fit = GR_FIT_PAD}},
        {"{\"llm_config\": {}, \"pad2square\": true}", "{\"pad2square\": false}", {0}},
    };
    gr_vision_config v;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        GR_CHECK_OK(read_rules(cases[i].config, cases[i].beside, &v));
        if (!GR_CHECK(same_rules(&v.pictures, &cases[i].rules))) {
            printf("  %s beside %s\n", cases[i].beside, cases[i].config);
        }
    }
    GR_CHECK_ERR(read_rules(cases[0].config, "{\"image_size\": 9}", &v), GR_ERR_DATA,
                 "image_size: 9 pixels, but the model's config.json says 8");
}

/// Settings inside processor_config.json, where transformers 5 writes them, go before those of a file of their own.
static void test_nested(void)
{
    static const char nested[] =
        "{\"processor_class\": \"InternVLProcessor\", \"image_seq_length\": 4, \"image_processor\": %s}";
    const char *dir = fresh_dir("nested");
    gr_vision_config v = vision_of((gr_picture_rules){0});
    gr_doc *doc = NULL;
    char *text = gr_str_format(nested, got_ocr),
         *bad = gr_str_format(nested, "{\"resample\": 1}");
    GR_CHECK_OK(gr_doc_parse_json("config.json", config, strlen(config), GR_ERR_DATA, &doc));
    write_text(dir, GRI_HF_PREPROCESSOR, "{\"image_mean\": [1, 1, 1]}");
    write_text(dir, GRI_HF_PROCESSOR, "{\"processor_class\": \"InternVLProcessor\"}");
    GR_CHECK_OK(gri_hf_read_pictures(gr_doc_root(doc), dir, &v));
    GR_CHECK(v.image_mean[0] == 1);
    write_text(dir, GRI_HF_PROCESSOR, text);
    GR_CHECK_OK(gri_hf_read_pictures(gr_doc_root(doc), dir, &v));
    GR_CHECK(v.image_mean[0] == 0.48145466);
    write_text(dir, GRI_HF_PROCESSOR, bad);
    GR_CHECK_ERR(gri_hf_read_pictures(gr_doc_root(doc), dir, &v), GR_ERR_DATA,
                 "image_processor.resample: 1 is not computed");
    GR_CHECK(strstr(gr_err_message(), "/" GRI_HF_PROCESSOR) != NULL);
    write_text(dir, GRI_HF_PROCESSOR, "[]");
    GR_CHECK_ERR(gri_hf_read_pictures(gr_doc_root(doc), dir, &v), GR_ERR_DATA,
                 "expected a map");
    int64_t used = gr_mem_used(), before = gr_mem_requests();
    write_text(dir, GRI_HF_PROCESSOR, text);
    before = gr_mem_requests();
    GR_CHECK_OK(gri_hf_read_pictures(gr_doc_root(doc), dir, &v));
    int64_t requests = gr_mem_requests() - before;
    for (int64_t i = 1; i <= requests; i++) {
        gr_mem_fail_at(i);
        GR_CHECK_ERR(gri_hf_read_pictures(gr_doc_root(doc), dir, &v), GR_ERR_MEMORY, "");
        GR_CHECK_INT(gr_mem_used(), used);
    }
    gr_mem_fail_at(0);
    gr_doc_destroy(&doc);
    GR_FREE(text);
    GR_FREE(bad);
}

/// What is written is what is read.
static void test_round_trip(void)
{
    static const gr_picture_rules rules[] = {
        {0},
        {.bilinear = true, .rescale = 0.5},
        {.fit = GR_FIT_CROP, .edge = 11},
        {.fit = GR_FIT_PAD},
        {.most = 9, .fewest = 2},
        {.most = 12, .thumbnail = true, .second_scale = true, .bilinear = true},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const char *dir = fresh_dir("written");
        char *text = NULL;
        size_t size = 0;
        gr_vision_config v = vision_of(rules[i]), got;
        v.image_mean[0] = 1.0 / 3;
        GR_CHECK_OK(gri_hf_write_preprocessor(dir, &v));
        GR_CHECK_OK(gr_file_read(in_dir(dir, GRI_HF_PREPROCESSOR), 0, &text, &size));
        GR_CHECK_OK(read_rules(config, text, &got));
        GR_CHECK(same_rules(&got.pictures, &v.pictures));
        GR_CHECK(memcmp(got.image_mean, v.image_mean, sizeof v.image_mean) == 0);
        GR_CHECK(memcmp(got.image_std, v.image_std, sizeof v.image_std) == 0);
        GR_FREE(text);
    }
}

static const gr_test tests[] = {
    {"values", test_values},
    {"fits", test_fits},
    {"tiles", test_tiles},
    {"sizes", test_sizes},
    {"files", test_files},
    {"preprocessors", test_preprocessors},
    {"refused", test_refused},
    {"InternVL's config.json", test_internvl},
    {"who counts", test_who_counts},
    {"transformers' InternVL", test_transformers_internvl},
    {"settings inside processor_config.json", test_nested},
    {"round trip", test_round_trip},
};
GR_TEST_MAIN("pictures", tests)
