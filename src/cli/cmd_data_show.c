#include "datasets/order.h"
#include "datasets/shard.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/numbers.h"
#include "src/cli/session.h"
#include "src/formats/image.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct show_arguments {
    const char *dir, *sample, *source, *out;
    int64_t index, image; ///< index -1: not given
    bool json, preview;
} show_arguments;

enum { PREVIEW_COLUMNS = 72 };

static gr_err check_image(const gr_sample *sample, int64_t image)
{
    gr_err err = GR_OK;
    if (image >= sample->images) {
        GR_FAIL(GR_ERR_USAGE, "data show: --image: the sample has %lld picture%s, got %lld",
                (long long)sample->images, GR_PLURAL(sample->images), (long long)image);
    }
done:
    return err;
}

static gr_err write_png(const gr_image *image, const char *out)
{
    gr_err err = GR_OK;
    unsigned char *png = NULL;
    size_t size = 0;
    GR_TRY(gr_image_encode_png(image, &png, &size));
    GR_TRY(gr_file_write(out, png, size));
done:
    GR_FREE(png);
    return err;
}

/// Pixels as PNG, or the stored WebP file as it is.
static gr_err write_image(const show_arguments *a, const gr_sample *sample)
{
    gr_err err = GR_OK;
    gr_image image = {0};
    const char *end = strrchr(a->out, '.');
    const bool png = end && strcmp(end, ".png") == 0;
    if (!png && !(end && strcmp(end, ".webp") == 0)) {
        GR_FAIL(GR_ERR_USAGE,
                "data show: --out: expected a name that ends in .png, or in .webp for the "
                "picture's bytes as they are stored; got \"%s\"",
                a->out);
    }
    GR_TRY(check_image(sample, a->image));
    GR_TRY(gri_check_out(a->out, a->dir));
    if (gr_file_exists(a->out)) {
        GR_FAIL(GR_ERR_USAGE,
                "data show: --out: %s is there already: name another file, or remove it",
                a->out);
    }
    if (png) {
        GR_TRY(gr_image_decode(a->dir, sample->image[a->image], sample->image_size[a->image],
                               GR_IMAGE_OVER_WHITE, &image));
        GR_TRY(write_png(&image, a->out));
    } else {
        GR_TRY(gr_file_write(a->out, sample->image[a->image], sample->image_size[a->image]));
    }
done:
    gr_image_fini(&image);
    return err;
}

/// Two pixels a character, one over the other, in 24-bit colours.
static void print_blocks(const gr_image *image)
{
    for (int64_t y = 0; y < image->height; y += 2) {
        for (int64_t x = 0; x < image->width; x++) {
            const unsigned char *top = image->rgb + 3 * (y * image->width + x);
            const unsigned char *low = y + 1 < image->height ? top + 3 * image->width : top;
            printf("\033[38;2;%d;%d;%dm\033[48;2;%d;%d;%dm\xe2\x96\x80", top[0], top[1], top[2],
                   low[0], low[1], low[2]);
        }
        printf("\033[0m\n");
    }
}

static gr_err print_preview(const show_arguments *a, const gr_sample *sample)
{
    gr_err err = GR_OK;
    gr_image image = {0}, small = {0};
    GR_TRY(check_image(sample, a->image));
    GR_TRY(gr_image_decode(a->dir, sample->image[a->image], sample->image_size[a->image],
                           GR_IMAGE_OVER_WHITE, &image));
    const int64_t width = image.width < PREVIEW_COLUMNS ? image.width : PREVIEW_COLUMNS;
    const int64_t height = (image.height * width + image.width / 2) / image.width;
    GR_TRY(gr_image_resize(&image, GR_IMAGE_BICUBIC, width, height > 0 ? height : 1, &small));
    print_blocks(&small);
done:
    gr_image_fini(&image);
    gr_image_fini(&small);
    return err;
}

static void print_text(const gr_sample *sample, int64_t index)
{
    char id[GR_DIGEST_TEXT], source[4096], task[1024];
    gr_digest_format(sample->id, id);
    gr_text_visible(sample->source, source, sizeof source);
    gr_text_visible(sample->task, task, sizeof task);
    printf("index %lld\nid %s\nplace %.6f\nsource %s\ntask %s\nimages %lld\n", (long long)index,
           id, gr_order_place(sample->id), source, task, (long long)sample->images);
    for (int64_t i = 0; i < sample->images; i++) {
        printf("image %lld: %d x %d pixels, %zu bytes\n", (long long)i, sample->pixels[i][0],
               sample->pixels[i][1], sample->image_size[i]);
    }
    printf("%.*s\n", (int)sample->text_size, sample->text);
}

static void put_images(gr_json *j, const gr_sample *sample)
{
    gr_json_list_begin(j, "images");
    for (int64_t i = 0; i < sample->images; i++) {
        gr_json_map_begin(j, NULL);
        gr_json_int(j, "width", sample->pixels[i][0]);
        gr_json_int(j, "height", sample->pixels[i][1]);
        gr_json_int(j, "bytes", (int64_t)sample->image_size[i]);
        gr_json_map_end(j);
    }
    gr_json_list_end(j);
}

static gr_err print_json(const gr_sample *sample, int64_t index)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    gr_doc *doc = NULL;
    char id[GR_DIGEST_TEXT];
    GR_TRY(
        gr_doc_parse_json(sample->source, sample->text, sample->text_size, GR_ERR_DATA, &doc));
    gr_digest_format(sample->id, id);
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "index", index);
    gr_json_string(&j, "id", id);
    gr_json_real(&j, "place", gr_order_place(sample->id));
    gr_json_string(&j, "source", sample->source);
    gr_json_string(&j, "task", sample->task);
    put_images(&j, sample);
    gr_json_map_begin(&j, "text");
    const gr_node *root = gr_doc_root(doc);
    for (int64_t i = 0; root->type == GR_DOC_MAP && i < root->u.list.count; i++) {
        gr_node_write(&j, &root->u.list.items[i]);
    }
    gr_json_map_end(&j);
    gr_json_map_end(&j);
    GR_TRY(gri_print_json(&j));
done:
    gr_doc_destroy(&doc);
    gr_json_fini(&j);
    return err;
}

static bool is_number(const char *text)
{
    const size_t size = strlen(text);
    bool digits = size > 0 && size < 19;
    for (size_t i = 0; i < size; i++) {
        digits = digits && isdigit((unsigned char)text[i]);
    }
    return digits;
}

/// Which sample: --index I, --source NAME, or a word that is a number, a content id or a source.
static gr_err find_sample(const show_arguments *a, const gr_dataset *data, int64_t *out)
{
    gr_err err = GR_OK;
    int64_t index = a->index;
    const int ways = (a->sample != NULL) + (a->source != NULL) + (index >= 0);
    if (ways != 1) {
        GR_FAIL(GR_ERR_USAGE,
                "data show: which sample? Give its INDEX or ID, --index I or --source NAME%s",
                ways == 0 ? "" : ", not more than one of them");
    }
    const bool negative = a->sample && a->sample[0] == '-' && is_number(a->sample + 1);
    if (a->source) {
        GR_TRY(gr_dataset_find_source(data, a->source, &index));
    } else if (a->sample && !negative && !is_number(a->sample)) {
        GR_TRY(gr_dataset_find(data, a->sample, &index));
    } else if (a->sample) {
        index = strtoll(a->sample, NULL, 10);
    }
    if (index < 0 || index >= gr_dataset_count(data)) {
        GR_FAIL(
            GR_ERR_USAGE,
            "data show: --index: expected 0 to %lld (the data set has %lld sample%s), got %lld",
            (long long)gr_dataset_count(data) - 1, (long long)gr_dataset_count(data),
            GR_PLURAL(gr_dataset_count(data)), (long long)index);
    }
    *out = index;
done:
    return err;
}

static gr_err show(const show_arguments *a)
{
    gr_err err = GR_OK;
    gr_dataset *data = NULL;
    gr_sample *sample = NULL;
    int64_t index = 0;
    GR_TRY(gr_dataset_open(a->dir, &data));
    GR_TRY(find_sample(a, data, &index));
    GR_TRY(gr_dataset_read(data, index, &sample));
    if (a->out) {
        GR_TRY(write_image(a, sample));
    }
    if (a->preview) {
        GR_TRY(print_preview(a, sample));
    }
    if (a->json) {
        GR_TRY(print_json(sample, index));
    } else {
        print_text(sample, index);
    }
done:
    gr_sample_destroy(&sample);
    gr_dataset_close(&data);
    return err;
}

gr_err gri_data_show(int argc, char **argv)
{
    gr_err err = GR_OK;
    show_arguments a = {.index = -1};
    bool help = false;
    const gri_arg args[] = {
        GRI_WORD("DIR", &a.dir, "data set", .required = true),
        GRI_WORD("INDEX|ID", &a.sample,
                 "which sample: its number from 0, its content id, or its id in the source"),
        GRI_TEXT(
            "source", "NAME", &a.source,
            "the sample's id in the source, also when that is a number; of several the first"),
        GRI_INT("index", "I", &a.index, 0, INT64_MAX, "number of the sample, from 0"),
        GRI_TEXT(
            "out", "FILE", &a.out,
            "writes a picture of the sample to a new file: FILE.png its pixels, FILE.webp its "
            "bytes as they are stored"),
        GRI_INT("image", "K", &a.image, 0, INT64_MAX, "which picture, from 0 (default: 0)"),
        GRI_FLAG("preview", &a.preview,
                 "prints the picture in coloured blocks, for a terminal with 24-bit colours"),
        GRI_FLAG("json", &a.json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE("data show", "Prints one sample and writes its picture.", args, argc,
                          argv, &help));
    if (help) {
        goto done;
    }
    if (a.json && a.preview) {
        GR_FAIL(GR_ERR_USAGE, "data show: --preview and --json would print into each other");
    }
    GR_TRY(show(&a));
done:
    return err;
}
