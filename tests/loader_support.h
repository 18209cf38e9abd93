#ifndef TESTS_LOADER_SUPPORT_H
#define TESTS_LOADER_SUPPORT_H

/// What the tests of the loader share: a data set of SAMPLES samples, each known by its ids, and what the loader made
/// of them.

#include "datasets/loader.h"
#include "datasets/shard_format.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/image.h"
#include "tests/check.h"
#include "tests/pixels_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 8, LANES = 3 }; ///< what most tests look at
enum { SAMPLES = 23, IMAGE = 16, IMAGE_TOKENS = 4 };

static const gr_vision_config vision = {.image_size = IMAGE,
                                        .patch_size = 4,
                                        .channels = 3,
                                        .image_mean = {0.5, 0.25, 0.125},
                                        .image_std = {0.5, 0.25, 2.0}};
static gr_tokenizer *tokenizer;

static gr_dataset *dataset;

/// Sample n has n % 3 pictures; picture i of it is one colour.
static inline int64_t image_count(int64_t n)
{
    return n % 3;
}

static inline void colour(int64_t n, int64_t i, unsigned char rgb[3])
{
    rgb[0] = (unsigned char)(n * 10);
    rgb[1] = (unsigned char)(200 - i * 90);
    rgb[2] = 77;
}

static inline gr_err add_sample(gr_dataset_writer *writer, int64_t n, const char *text)
{
    gr_err err = GR_OK;
    unsigned char *webp[2] = {NULL, NULL}, rgb[5 * 3 * 3];
    size_t sizes[2] = {0, 0};
    const int32_t pixels[2][2] = {{5, 3}, {5, 3}};
    char source[16];
    snprintf(source, sizeof source, "s%lld", (long long)n);
    for (int64_t i = 0; i < image_count(n); i++) {
        for (int p = 0; p < 15; p++) {
            colour(n, i, rgb + 3 * p);
        }
        gr_image image = {5, 3, rgb};
        GR_TRY(gr_image_encode_webp(&image, -1, &webp[i], &sizes[i]));
    }
    gr_sample sample = {.source = source,
                        .text = text,
                        .text_size = strlen(text),
                        .images = image_count(n),
                        .image = (const unsigned char **)webp,
                        .image_size = sizes,
                        .pixels = pixels};
    GR_TRY(gr_dataset_writer_add(writer, &sample));
done:
    GR_FREE(webp[0]);
    GR_FREE(webp[1]);
    return err;
}

static inline void answer(int64_t n, char text[64])
{
    snprintf(text, 64, "bird %lld%.*s", (long long)n, (int)(n % 7), " ducks");
}

/// Writes and opens a data set; `odd`, if any, stands in as the text of sample 4.
static inline gr_err make_set(const char *name, const char *odd, gr_dataset **out)
{
    gr_err err = GR_OK;
    gr_dataset_writer *writer = NULL;
    char *dir = gr_str_format("%s/%s", gr_test_dir(), name);
    GR_TRY(gr_dir_remove(dir));
    GR_TRY(gr_dataset_writer_create(dir, 700, &writer));
    for (int64_t n = 0; n < SAMPLES; n++) {
        char value[64], text[256];
        answer(n, value);
        snprintf(text, sizeof text,
                 "{\"conversations\": [{\"from\": \"human\", \"value\": \"what?\"}, {\"from\": "
                 "\"gpt\", \"value\": \"%s\"}]}",
                 value);
        GR_TRY(add_sample(writer, n, odd && n == 4 ? odd : text));
    }
    GR_TRY(gr_dataset_writer_finish(writer));
    GR_TRY(gr_dataset_open(dir, out));
done:
    gr_dataset_writer_destroy(&writer);
    GR_FREE(dir);
    return err;
}

static inline bool set_up(void)
{
    static const char *const texts[] = {"bird bird duck ducks what? user assistant"};
    const size_t sizes[] = {strlen(texts[0])};
    return tokenizer || (GR_CHECK_OK(gr_tokenizer_train(texts, sizes, 1, 290, &tokenizer)) &&
                         GR_CHECK_OK(make_set("set", NULL, &dataset)));
}

static gr_loader_source whole;

static inline gr_loader_options options_of(int64_t batch, int64_t lanes, bool shuffle)
{
    whole = (gr_loader_source){.dataset = dataset, .to = 1};
    return (gr_loader_options){.sources = &whole,
                               .source_count = 1,
                               .tokenizer = tokenizer,
                               .vision = &vision,
                               .global_batch = batch,
                               .lanes = lanes,
                               .sequence_length = 60,
                               .max_images = 3,
                               .seed = 5,
                               .stream = 6,
                               .shuffle = shuffle};
}

static inline gr_loader *create(gr_loader_options options)
{
    gr_loader *loader = NULL;
    GR_CHECK_OK(gr_loader_create(&options, &loader));
    return loader;
}

static int64_t tiles_each = 1; ///< of every picture

/// What sample n becomes, made without the loader.
static inline void encode_alone(int64_t n, gr_chat_sample *out)
{
    char value[64];
    answer(n, value);
    const gr_chat_turn turns[2] = {{.text = "what?", .size = 5},
                                   {.assistant = true, .text = value, .size = strlen(value)}};
    const int64_t tiles[2] = {tiles_each, tiles_each};
    gr_chat_options chat = {.image_tokens = IMAGE_TOKENS};
    GR_CHECK_OK(gr_chat_encode(tokenizer, &chat, turns, 2, image_count(n), tiles, out));
}

/// Which sample this sequence is (its ids are unlike all others'), -1 if none.
static inline int64_t recognise(const gr_batch *batch, int64_t sequence)
{
    int64_t from = batch->cu_seqlens[sequence], to = batch->cu_seqlens[sequence + 1],
            found = -1;
    for (int64_t n = 0; n < SAMPLES && found < 0; n++) {
        gr_chat_sample alone = {0};
        encode_alone(n, &alone);
        if (alone.ids.count == to - from &&
            memcmp(alone.ids.data, batch->ids + from, (size_t)(to - from) * 4) == 0 &&
            memcmp(alone.targets.data, batch->targets + from, (size_t)(to - from) * 4) == 0) {
            found = n;
        }
        gr_chat_sample_fini(&alone);
    }
    return found;
}

/// Appends the samples of a lane, row by row, to list[*count ...].
static inline void list_lane(gr_loader *loader, int64_t step, int64_t lane, int64_t *list,
                             int64_t *count)
{
    const gr_lane_batch *batch = NULL;
    int64_t before = *count;
    if (!GR_CHECK_OK(gr_loader_lane(loader, step, lane, &batch))) {
        return;
    }
    for (int64_t b = 0; b < batch->count; b++) {
        for (int64_t s = 0; s < batch->batches[b].sequences; s++) {
            const gr_used *used = &batch->used[*count - before];
            list[*count] = recognise(&batch->batches[b], s);
            GR_CHECK_INT(used->index, list[(*count)++]);
            GR_CHECK_INT(used->batch, b);
        }
    }
    GR_CHECK_INT(*count - before, batch->samples);
}

static inline int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/// Which samples there are, however they are packed.
static inline void sort(int64_t *list, int64_t count)
{
    qsort(list, (size_t)count, sizeof *list, by_value);
}

/// Appends the samples of a step, sorted by number.
static inline void list_step(gr_loader *loader, int64_t step, int64_t lanes, int64_t *list,
                             int64_t *count)
{
    int64_t before = *count;
    for (int64_t lane = 0; lane < lanes; lane++) {
        list_lane(loader, step, lane, list, count);
    }
    sort(list + before, *count - before);
}

static inline gr_digest digest_batch(gr_digest so_far, const gr_batch *b)
{
    size_t ints = sizeof(int32_t), tokens = (size_t)b->tokens * ints;
    so_far = gri_digest_link(so_far, b->ids, tokens);
    so_far = gri_digest_link(so_far, b->targets, tokens);
    so_far = gri_digest_link(so_far, b->positions, tokens);
    so_far = gri_digest_link(so_far, b->cu_seqlens, (size_t)(b->sequences + 1) * ints);
    so_far = gri_digest_link(so_far, b->image_rows, (size_t)b->images * IMAGE_TOKENS * ints);
    int64_t values = b->images * 3 * IMAGE * IMAGE;
    float *pixels = gr_mem_alloc((size_t)values, sizeof *pixels);
    pixel_values(b, IMAGE, pixels);
    so_far = gri_digest_link(so_far, pixels, (size_t)values * sizeof *pixels);
    GR_FREE(pixels);
    return so_far;
}

static inline gr_digest digest_view(const gr_lane_batch *batch)
{
    gr_digest digest = {(uint64_t)batch->count, (uint64_t)batch->samples};
    for (int64_t b = 0; b < batch->count; b++) {
        digest = digest_batch(digest, &batch->batches[b]);
    }
    return digest;
}

static inline gr_digest digest_lane(gr_loader *loader, int64_t step, int64_t lane)
{
    const gr_lane_batch *batch = NULL;
    GR_CHECK_OK(gr_loader_lane(loader, step, lane, &batch));
    return batch ? digest_view(batch) : (gr_digest){0};
}

/// The last test of each program: for the leak checker.
static inline void test_tear_down(void)
{
    gr_dataset_close(&dataset);
    gr_tokenizer_destroy(&tokenizer);
}

#endif
