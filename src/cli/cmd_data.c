#include "datasets/import.h"
#include "datasets/order.h"
#include "datasets/shard.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gr_err parse_encode(const char *text, gr_import_options *o)
{
    gr_err err = GR_OK;
    char *end = NULL;
    o->keep = strcmp(text, "keep") == 0;
    o->quality = -1;
    if (o->keep || strcmp(text, "lossless") == 0) {
        goto done;
    }
    o->quality = strtod(text, &end);
    if (end == text || *end || !(o->quality >= 0 && o->quality <= 100)) {
        GR_FAIL(
            GR_ERR_USAGE,
            "data import: --encode: expected keep, lossless or a quality from 0 to 100, got "
            "\"%s\"",
            text);
    }
done:
    return err;
}

gr_err gri_data_import(int argc, char **argv)
{
    gr_err err = GR_OK;
    gr_import_options o = {0};
    gr_import_result r = {0};
    const char *encode = "keep";
    int from = 0, alpha = 0, exif = 0;
    bool help = false;
    const gri_arg args[] = {
        GRI_WORD("SOURCE", &o.source, "JSON or JSONL file of records", .required = true),
        GRI_CHOICE("from", "llava", &from, "format of the source", .required = true),
        GRI_TEXT("images", "DIR", &o.images,
                 "folder that image names are relative to (default: the source's)"),
        GRI_TEXT("out", "DIR", &o.out, "new folder for the data set", .required = true),
        GRI_INT("shard-bytes", "N", &o.shard_bytes, 1, INT64_MAX,
                "a shard is closed at this size (default: 1 GiB)"),
        GRI_TEXT("encode", "keep|lossless|QUALITY", &encode,
                 "keep (default): WebP files stay as they are, others become lossless WebP; "
                 "lossless or 0..100: all pictures are encoded so"),
        GRI_CHOICE("alpha", "white|drop", &alpha,
                   "transparent pictures are blended over white (default), or lose their alpha "
                   "as with Pillow's convert(\"RGB\")"),
        GRI_CHOICE("exif", "apply|ignore", &exif,
                   "pictures are turned as their EXIF orientation says (default), or stored as "
                   "they lie"),
        GRI_INT("max-side", "N", &o.max_side, 1, 1 << 20,
                "larger pictures are scaled down to this longest side (default: never)"),
        GRI_INT("max-rejects", "N", &o.max_rejects, 0, INT64_MAX,
                "more bad records than this fail the import (default: 0)"),
    };
    GR_TRY(
        GRI_ARGS_PARSE("data import",
                       "Makes a data set from records {\"id\", \"image\", \"conversations\"}. "
                       "Bad records are listed with their reason in OUT/rejects.jsonl.",
                       args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(parse_encode(encode, &o));
    o.drop_alpha = alpha == 1;
    o.ignore_exif = exif == 1;
    GR_TRY(gr_import_llava(&o, &r));
    printf("samples %lld\nimages %lld\nbytes %lld\nrejects %lld\nduplicates %lld\n",
           (long long)r.samples, (long long)r.images, (long long)r.bytes, (long long)r.rejects,
           (long long)r.duplicates);
    if (r.rejects > 0) {
        gr_log_warn("%lld bad records were left out: see %s/rejects.jsonl",
                    (long long)r.rejects, o.out);
    }
done:
    return err;
}

// How many values lie in [2^k, 2^(k+1)); 0 counts as 1.
typedef struct histogram {
    const char *name;
    int64_t counts[40];
} histogram;
enum { BUCKETS = 40, BAR = 40 };

static void histogram_add(histogram *h, int64_t value)
{
    int k = 0;
    while (k + 1 < BUCKETS && value >> (k + 1)) {
        k++;
    }
    h->counts[k]++;
}

static gr_err scan(const gr_dataset *data, histogram *sides, histogram *texts)
{
    gr_err err = GR_OK;
    gr_sample *sample = NULL;
    for (int64_t i = 0; i < gr_dataset_count(data); i++) {
        GR_TRY(gr_dataset_read(data, i, &sample));
        histogram_add(texts, (int64_t)sample->text_size);
        for (int64_t k = 0; k < sample->images; k++) {
            const int32_t *size = sample->pixels[k];
            histogram_add(sides, size[0] > size[1] ? size[0] : size[1]);
        }
        gr_sample_destroy(&sample);
    }
done:
    gr_sample_destroy(&sample);
    return err;
}

static void histogram_print(const histogram *h)
{
    int64_t most = 1;
    for (int k = 0; k < BUCKETS; k++) {
        most = h->counts[k] > most ? h->counts[k] : most;
    }
    printf("%s\n", h->name);
    for (int k = 0; k < BUCKETS; k++) {
        if (h->counts[k] > 0) {
            int length = (int)((h->counts[k] * BAR + most - 1) / most);
            printf("  %10lld.. %10lld ", 1LL << k, (long long)h->counts[k]);
            for (int i = 0; i < length; i++) {
                putchar('#');
            }
            printf("\n");
        }
    }
}

static void histogram_json(gr_json *j, const histogram *h)
{
    gr_json_list_begin(j, h->name);
    for (int k = 0; k < BUCKETS; k++) {
        if (h->counts[k] > 0) {
            gr_json_map_begin(j, NULL);
            gr_json_int(j, "from", (int64_t)1 << k);
            gr_json_int(j, "count", h->counts[k]);
            gr_json_map_end(j);
        }
    }
    gr_json_list_end(j);
}

static void info_print(const gr_dataset *d, const char *digest, const histogram *h, int n)
{
    printf("path %s\nsamples %lld\nimages %lld\nbytes %lld\nshards %lld\ndigest %s\n",
           gr_dataset_path(d), (long long)gr_dataset_count(d), (long long)gr_dataset_images(d),
           (long long)gr_dataset_bytes(d), (long long)gr_dataset_shards(d), digest);
    for (int i = 0; i < n; i++) {
        histogram_print(&h[i]);
    }
}

static gr_err info_json(const gr_dataset *d, const char *digest, const histogram *h, int n)
{
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "path", gr_dataset_path(d));
    gr_json_int(&j, "samples", gr_dataset_count(d));
    gr_json_int(&j, "images", gr_dataset_images(d));
    gr_json_int(&j, "bytes", gr_dataset_bytes(d));
    gr_json_int(&j, "shards", gr_dataset_shards(d));
    gr_json_string(&j, "digest", digest);
    for (int i = 0; i < n; i++) {
        histogram_json(&j, &h[i]);
    }
    gr_json_map_end(&j);
    gr_err err = gri_print_json(&j);
    gr_json_fini(&j);
    return err;
}

gr_err gri_data_info(int argc, char **argv)
{
    gr_err err = GR_OK;
    gr_dataset *data = NULL;
    histogram h[2] = {{.name = "picture_sides"}, {.name = "conversation_bytes"}};
    char digest[GR_DIGEST_TEXT];
    const char *dir = NULL;
    bool json = false, histograms = false, help = false;
    const gri_arg args[] = {
        GRI_WORD("DIR", &dir, "data set", .required = true),
        GRI_FLAG("histograms", &histograms,
                 "also longest sides of pictures and lengths of conversations; reads (and so "
                 "checks) every sample"),
        GRI_FLAG("json", &json, "as JSON"),
    };
    GR_TRY(
        GRI_ARGS_PARSE("data info",
                       "Prints what a data set holds. The digest names its samples and their "
                       "order.",
                       args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gr_dataset_open(dir, &data));
    if (histograms) {
        GR_TRY(scan(data, &h[0], &h[1]));
    }
    gr_digest_format(gr_dataset_digest(data), digest);
    if (json) {
        GR_TRY(info_json(data, digest, h, histograms ? 2 : 0));
    } else {
        info_print(data, digest, h, histograms ? 2 : 0);
    }
done:
    gr_dataset_close(&data);
    return err;
}

static gr_err show_image(const gr_sample *sample, int64_t image, const char *out)
{
    gr_err err = GR_OK;
    const char *end = strrchr(out, '.');
    if (!end || strcmp(end, ".webp") != 0) {
        GR_FAIL(
            GR_ERR_USAGE,
            "data show: --out: pictures are written as they are stored, so the name must end "
            "in .webp, got \"%s\"",
            out);
    }
    if (image >= sample->images) {
        GR_FAIL(GR_ERR_USAGE, "data show: --image: the sample has %lld pictures, got %lld",
                (long long)sample->images, (long long)image);
    }
    GR_TRY(gr_file_write(out, sample->image[image], sample->image_size[image]));
done:
    return err;
}

gr_err gri_data_show(int argc, char **argv)
{
    gr_err err = GR_OK;
    gr_dataset *data = NULL;
    gr_sample *sample = NULL;
    char id[GR_DIGEST_TEXT];
    const char *dir = NULL, *out = NULL;
    int64_t index = 0, image = 0;
    bool help = false;
    const gri_arg args[] = {
        GRI_WORD("DIR", &dir, "data set", .required = true),
        GRI_INT("index", "I", &index, 0, INT64_MAX, "number of the sample, from 0",
                .required = true),
        GRI_TEXT("out", "FILE.webp", &out, "writes a picture of the sample, as it is stored"),
        GRI_INT("image", "K", &image, 0, INT64_MAX, "which picture, from 0 (default: 0)"),
    };
    GR_TRY(GRI_ARGS_PARSE("data show", "Prints one sample and writes its picture.", args, argc,
                          argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gr_dataset_open(dir, &data));
    if (index >= gr_dataset_count(data)) {
        GR_FAIL(
            GR_ERR_USAGE,
            "data show: --index: expected 0 to %lld (the data set has %lld samples), got %lld",
            (long long)gr_dataset_count(data) - 1, (long long)gr_dataset_count(data),
            (long long)index);
    }
    GR_TRY(gr_dataset_read(data, index, &sample));
    if (out) {
        GR_TRY(show_image(sample, image, out));
    }
    gr_digest_format(sample->id, id);
    printf("id %s\nplace %.6f\nsource %s\nimages %lld\n", id, gr_order_place(sample->id),
           sample->source, (long long)sample->images);
    for (int64_t i = 0; i < sample->images; i++) {
        printf("image %lld: %d x %d pixels, %zu bytes\n", (long long)i, sample->pixels[i][0],
               sample->pixels[i][1], sample->image_size[i]);
    }
    printf("%.*s\n", (int)sample->text_size, sample->text);
done:
    gr_sample_destroy(&sample);
    gr_dataset_close(&data);
    return err;
}
