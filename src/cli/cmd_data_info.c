#include "datasets/shard.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"

#include <stdio.h>

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
