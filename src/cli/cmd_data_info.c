#include "datasets/shard.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"

#include <stdio.h>
#include <string.h>

enum { BUCKETS = 40, BAR = 40, TASKS = 64, TASK_NAME = 64, HISTOGRAMS = 4 };

// How many values lie in [2^k, 2^(k+1)), and how many are 0.
typedef struct histogram {
    char name[TASK_NAME];
    int64_t zeros, counts[BUCKETS];
} histogram;

// How many samples have a task; the last one counts those of all further tasks.
typedef struct tasks {
    char names[TASKS][TASK_NAME];
    int64_t counts[TASKS];
    int count;
} tasks;

typedef struct statistics {
    histogram fixed[HISTOGRAMS];
    histogram *tokens; ///< [tokenizers]
    int64_t tokenizers;
    tasks tasks;
} statistics;

static void histogram_add(histogram *h, int64_t value)
{
    int k = 0;
    while (k + 1 < BUCKETS && value >> (k + 1)) {
        k++;
    }
    *(value > 0 ? &h->counts[k] : &h->zeros) += 1;
}

static void tasks_add(tasks *t, const char *name)
{
    int i = 0;
    char text[TASK_NAME];
    snprintf(text, sizeof text, "%s", name);
    while (i < t->count && strcmp(t->names[i], text) != 0) {
        i++;
    }
    if (i >= TASKS - 1) {
        i = TASKS - 1;
        snprintf(text, sizeof text, "(others)");
    }
    if (i >= t->count) {
        snprintf(t->names[i], TASK_NAME, "%s", text);
        t->count = i + 1;
    }
    t->counts[i]++;
}

static gr_err add_sample(const gr_dataset *data, int64_t i, statistics *s)
{
    gr_err err = GR_OK;
    gr_sample *about = NULL;
    int64_t count = 0, tokens = 0, bytes = 0;
    GR_TRY(gr_dataset_about(data, i, &about));
    tasks_add(&s->tasks, about->task);
    histogram_add(&s->fixed[0], about->images);
    for (int64_t k = 0; k < about->images; k++) {
        const int32_t *size = about->pixels[k];
        histogram_add(&s->fixed[1], size[0] > size[1] ? size[0] : size[1]);
        bytes += (int64_t)about->image_size[k];
    }
    histogram_add(&s->fixed[2], bytes);
    histogram_add(&s->fixed[3], (int64_t)about->text_size);
    const gr_digest *tokenizers = gr_dataset_tokenizers(data, &count);
    for (int64_t k = 0; k < s->tokenizers; k++) {
        GR_TRY(gr_dataset_tokens(data, i, tokenizers[k], &tokens));
        histogram_add(&s->tokens[k], tokens);
    }
done:
    gr_sample_destroy(&about);
    return err;
}

static gr_err scan(const gr_dataset *data, statistics *s)
{
    static const char *const names[HISTOGRAMS] = {"pictures_per_sample", "picture_sides",
                                                  "picture_bytes", "conversation_bytes"};
    gr_err err = GR_OK;
    for (int i = 0; i < HISTOGRAMS; i++) {
        snprintf(s->fixed[i].name, TASK_NAME, "%s", names[i]);
    }
    const gr_digest *tokenizers = gr_dataset_tokenizers(data, &s->tokenizers);
    GR_ALLOC(s->tokens, s->tokenizers);
    for (int64_t k = 0; k < s->tokenizers; k++) {
        char digest[GR_DIGEST_TEXT];
        gr_digest_format(tokenizers[k], digest);
        snprintf(s->tokens[k].name, TASK_NAME, "tokens_%s", digest);
    }
    for (int64_t i = 0; i < gr_dataset_count(data); i++) {
        GR_TRY(add_sample(data, i, s));
    }
done:
    return err;
}

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

static void histogram_print(const histogram *h)
{
    int64_t most = most_of(h->counts, BUCKETS, h->zeros > 0 ? h->zeros : 1);
    printf("%s\n", h->name);
    if (h->zeros > 0) {
        printf("  %10d   %10lld ", 0, (long long)h->zeros);
        print_bar(h->zeros, most);
    }
    for (int k = 0; k < BUCKETS; k++) {
        if (h->counts[k] > 0) {
            printf("  %10lld.. %10lld ", 1LL << k, (long long)h->counts[k]);
            print_bar(h->counts[k], most);
        }
    }
}

static void tasks_print(const tasks *t)
{
    int64_t most = most_of(t->counts, t->count, 1);
    printf("tasks\n");
    for (int i = 0; i < t->count; i++) {
        printf("  %-16s %10lld ", t->names[i][0] ? t->names[i] : "(none)",
               (long long)t->counts[i]);
        print_bar(t->counts[i], most);
    }
}

static void histogram_json(gr_json *j, const histogram *h)
{
    gr_json_list_begin(j, h->name);
    for (int k = -1; k < BUCKETS; k++) {
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

static void tasks_json(gr_json *j, const tasks *t)
{
    gr_json_map_begin(j, "tasks");
    for (int i = 0; i < t->count; i++) {
        gr_json_int(j, t->names[i], t->counts[i]);
    }
    gr_json_map_end(j);
}

static void info_print(const gr_dataset *d, const char *digest, const statistics *s)
{
    printf("path %s\nsamples %lld\nimages %lld\nbytes %lld\nshards %lld\ndigest %s\n",
           gr_dataset_path(d), (long long)gr_dataset_count(d), (long long)gr_dataset_images(d),
           (long long)gr_dataset_bytes(d), (long long)gr_dataset_shards(d), digest);
    if (s->tasks.count > 0) {
        tasks_print(&s->tasks);
        for (int i = 0; i < HISTOGRAMS; i++) {
            histogram_print(&s->fixed[i]);
        }
        for (int64_t k = 0; k < s->tokenizers; k++) {
            histogram_print(&s->tokens[k]);
        }
    }
}

static gr_err info_json(const gr_dataset *d, const char *digest, const statistics *s)
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
        for (int i = 0; i < HISTOGRAMS; i++) {
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
    statistics s = {0};
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
        GR_TRY(scan(data, &s));
    }
    gr_digest_format(gr_dataset_digest(data), digest);
    if (json) {
        GR_TRY(info_json(data, digest, &s));
    } else {
        info_print(data, digest, &s);
    }
done:
    GR_FREE(s.tokens);
    gr_dataset_close(&data);
    return err;
}
