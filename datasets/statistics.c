#include "datasets/statistics.h"

#include "src/base/mem.h"

#include <stdio.h>
#include <string.h>

static void histogram_add(gr_histogram *h, int64_t value)
{
    int k = 0;
    while (k + 1 < GR_HISTOGRAM_BUCKETS && value >> (k + 1)) {
        k++;
    }
    *(value > 0 ? &h->counts[k] : &h->zeros) += 1;
}

static void tasks_add(gr_task_counts *t, const char *name)
{
    int i = 0;
    char text[GR_STATISTICS_NAME];
    snprintf(text, sizeof text, "%s", name);
    while (i < t->count && strcmp(t->names[i], text) != 0) {
        i++;
    }
    if (i >= GR_STATISTICS_TASKS - 1) {
        i = GR_STATISTICS_TASKS - 1;
        snprintf(text, sizeof text, "(others)");
    }
    if (i >= t->count) {
        snprintf(t->names[i], GR_STATISTICS_NAME, "%s", text);
        t->count = i + 1;
    }
    t->counts[i]++;
}

static gr_err add_sample(const gr_dataset *data, int64_t i, gr_statistics *s)
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

gr_err gr_statistics_take(const gr_dataset *data, gr_statistics *s)
{
    static const char *const names[GR_STATISTICS_FIXED] = {
        "pictures_per_sample", "picture_sides", "picture_bytes", "conversation_bytes"};
    gr_err err = GR_OK;
    for (int i = 0; i < GR_STATISTICS_FIXED; i++) {
        snprintf(s->fixed[i].name, GR_STATISTICS_NAME, "%s", names[i]);
    }
    const gr_digest *tokenizers = gr_dataset_tokenizers(data, &s->tokenizers);
    GR_ALLOC(s->tokens, s->tokenizers);
    for (int64_t k = 0; k < s->tokenizers; k++) {
        char digest[GR_DIGEST_TEXT];
        gr_digest_format(tokenizers[k], digest);
        snprintf(s->tokens[k].name, GR_STATISTICS_NAME, "tokens_%s", digest);
    }
    for (int64_t i = 0; i < gr_dataset_count(data); i++) {
        GR_TRY(add_sample(data, i, s));
    }
done:
    return err;
}

void gr_statistics_fini(gr_statistics *s)
{
    GR_FREE(s->tokens);
    *s = (gr_statistics){.tokens = NULL};
}
