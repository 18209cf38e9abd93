#include "datasets/statistics.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/numbers.h"
#include "src/cli/session.h"

#include <stdio.h>
#include <string.h>

enum { BAR = 40 };

static void print_bar(int64_t count, int64_t most)
{
    for (int64_t i = 0; i < (count * BAR + most - 1) / most; i++) {
        putchar('#');
    }
    printf("\n");
}

static int64_t most_of(const int64_t *counts, int n, int64_t most)
{
    for (int i = 0; i < n; i++) {
        most = counts[i] > most ? counts[i] : most;
    }
    return most;
}

static void histogram_print(const gr_histogram *h)
{
    int64_t most = most_of(h->counts, GR_HISTOGRAM_BUCKETS, h->zeros > 0 ? h->zeros : 1);
    const char *unit =
        strcmp(h->name, "picture_sides") == 0 ? " (pixels of the longer side)" : "";
    printf("%s%s\n", h->name, unit);
    if (h->zeros > 0) {
        printf("  %10d   %10lld ", 0, (long long)h->zeros);
        print_bar(h->zeros, most);
    }
    for (int k = 0; k < GR_HISTOGRAM_BUCKETS; k++) {
        if (h->counts[k] > 0) {
            printf("  %10lld.. %10lld ", 1LL << k, (long long)h->counts[k]);
            print_bar(h->counts[k], most);
        }
    }
}

static void tasks_print(const gr_task_counts *t)
{
    int64_t most = most_of(t->counts, t->count, 1);
    printf("tasks\n");
    for (int i = 0; i < t->count; i++) {
        printf("  %-16s %10lld ", t->names[i][0] ? t->names[i] : "(none)",
               (long long)t->counts[i]);
        print_bar(t->counts[i], most);
    }
}

static void histogram_json(gr_json *j, const gr_histogram *h)
{
    gr_json_list_begin(j, h->name);
    for (int k = -1; k < GR_HISTOGRAM_BUCKETS; k++) {
        int64_t count = k < 0 ? h->zeros : h->counts[k];
        if (count > 0) {
            gr_json_map_begin(j, NULL);
            gr_json_int(j, "from", k < 0 ? 0 : (int64_t)1 << k);
            gr_json_int(j, "count", count);
            gr_json_map_end(j);
        }
    }
    gr_json_list_end(j);
}

static void tasks_json(gr_json *j, const gr_task_counts *t)
{
    gr_json_map_begin(j, "tasks");
    for (int i = 0; i < t->count; i++) {
        gr_json_int(j, t->names[i], t->counts[i]);
    }
    gr_json_map_end(j);
}

static void info_print(const gr_dataset *d, const char *digest, const gr_statistics *s)
{
    printf("path %s\nsamples %lld\nimages %lld\n", gr_dataset_path(d),
           (long long)gr_dataset_count(d), (long long)gr_dataset_images(d));
    gri_bytes_print("bytes", gr_dataset_bytes(d));
    printf("shards %lld\ndigest %s\n", (long long)gr_dataset_shards(d), digest);
    if (s->tasks.count > 0) {
        tasks_print(&s->tasks);
        for (int i = 0; i < GR_STATISTICS_FIXED; i++) {
            histogram_print(&s->fixed[i]);
        }
        for (int64_t k = 0; k < s->tokenizers; k++) {
            histogram_print(&s->tokens[k]);
        }
    }
}

static gr_err info_json(const gr_dataset *d, const char *digest, const gr_statistics *s)
{
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "path", gr_dataset_path(d));
    gr_json_int(&j, "samples", gr_dataset_count(d));
    gr_json_int(&j, "images", gr_dataset_images(d));
    gr_json_int(&j, "bytes", gr_dataset_bytes(d));
    gr_json_int(&j, "shards", gr_dataset_shards(d));
    gr_json_string(&j, "digest", digest);
    if (s->tasks.count > 0) {
        tasks_json(&j, &s->tasks);
        for (int i = 0; i < GR_STATISTICS_FIXED; i++) {
            histogram_json(&j, &s->fixed[i]);
        }
        for (int64_t k = 0; k < s->tokenizers; k++) {
            histogram_json(&j, &s->tokens[k]);
        }
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
    gr_statistics s = {0};
    char digest[GR_DIGEST_TEXT];
    const char *dir = NULL;
    bool json = false, brief = false, help = false;
    const gri_arg args[] = {
        GRI_WORD("DIR", &dir, "data set", .required = true),
        GRI_FLAG("brief", &brief, "the manifest's counts only; no shard is opened"),
        GRI_FLAG("json", &json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "data info",
        "Prints what a data set holds: counts, and from the shards' index tables "
        "how many samples have which task, size and length. The digest names "
        "its samples and their order.",
        args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gr_dataset_open(dir, &data));
    if (!brief) {
        GR_TRY(gr_statistics_take(data, &s));
    }
    gr_digest_format(gr_dataset_digest(data), digest);
    if (json) {
        GR_TRY(info_json(data, digest, &s));
    } else {
        info_print(data, digest, &s);
    }
done:
    gr_statistics_fini(&s);
    gr_dataset_close(&data);
    return err;
}
