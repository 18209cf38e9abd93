#ifndef TESTS_SHARD_SUPPORT_H
#define TESTS_SHARD_SUPPORT_H

/// Data sets of made-up samples, each known by its number, for the tests of shards.

#include "datasets/shard.h"
#include "src/base/rng.h"
#include "src/base/str.h"
#include "tests/check.h"

#include <stdio.h>
#include <string.h>

enum { MAX_IMAGES = 3, MAX_BYTES = 200 };

/// A made-up sample: number n has n % 4 images of odd sizes (also 0); the writer does not look into them.
typedef struct made {
    gr_sample sample;
    char source[32], task[16], text[96];
    unsigned char bytes[MAX_IMAGES][MAX_BYTES];
    const unsigned char *image[MAX_IMAGES];
    size_t sizes[MAX_IMAGES];
    int32_t pixels[MAX_IMAGES][2];
} made;

static inline const gr_sample *make(made *m, int64_t n)
{
    *m = (made){0};
    snprintf(m->source, sizeof m->source, n % 5 ? "stamps/no. %lld" : "", (long long)n);
    snprintf(m->task, sizeof m->task, n % 3 ? "task %lld" : "", (long long)(n % 7));
    snprintf(m->text, sizeof m->text,
             "{\"conversations\": [{\"from\": \"gpt\", \"value\": \"bird %lld é\"}]}",
             (long long)n);
    m->sample = (gr_sample){.source = m->source,
                            .task = m->task,
                            .text = m->text,
                            .text_size = n == 9 ? 0 : strlen(m->text),
                            .images = n % 4,
                            .image = m->image,
                            .image_size = m->sizes,
                            .pixels = (const int32_t(*)[2])m->pixels};
    for (int64_t i = 0; i < n % 4; i++) {
        m->sizes[i] = (size_t)(n * 37 + i * 101) % MAX_BYTES;
        m->image[i] = m->bytes[i];
        m->pixels[i][0] = (int32_t)(n + 1);
        m->pixels[i][1] = (int32_t)(i + 7);
        for (size_t k = 0; k < m->sizes[i]; k++) {
            m->bytes[i][k] = (unsigned char)gr_rng_u64((uint64_t)n, (uint64_t)i, k);
        }
    }
    return &m->sample;
}

/// "SCRATCH/NAME", to be freed.
static inline char *scratch_path(const char *name)
{
    char *path = gr_str_format("%s/%s", gr_test_dir(), name);
    GR_CHECK(path != NULL);
    return path;
}

static inline gr_err write_set(const char *dir, int64_t count, int64_t shard_bytes)
{
    gr_err err = GR_OK;
    gr_dataset_writer *writer = NULL;
    made m;
    GR_TRY(gr_dataset_writer_create(dir, shard_bytes, &writer));
    for (int64_t n = 0; n < count; n++) {
        GR_TRY(gr_dataset_writer_add(writer, make(&m, n)));
    }
    GR_TRY(gr_dataset_writer_finish(writer));
done:
    gr_dataset_writer_destroy(&writer);
    return err;
}

static inline bool same_sample(const gr_sample *got, const gr_sample *want)
{
    bool same = strcmp(got->source, want->source) == 0 && strcmp(got->task, want->task) == 0 &&
                got->text_size == want->text_size &&
                memcmp(got->text, want->text, want->text_size) == 0 &&
                got->images == want->images && gr_digest_equal(got->id, gr_sample_id(want));
    for (int64_t i = 0; same && i < want->images; i++) {
        same = got->image_size[i] == want->image_size[i] &&
               memcmp(got->image[i], want->image[i], want->image_size[i]) == 0 &&
               memcmp(got->pixels[i], want->pixels[i], sizeof want->pixels[i]) == 0;
    }
    return same;
}

/// Reads every sample; *same becomes false if one differs from what was written.
static inline gr_err read_set(const char *dir, bool *same)
{
    gr_err err = GR_OK;
    gr_dataset *d = NULL;
    gr_sample *sample = NULL;
    made m;
    GR_TRY(gr_dataset_open(dir, &d));
    for (int64_t n = 0; n < gr_dataset_count(d); n++) {
        GR_TRY(gr_dataset_read(d, n, &sample));
        *same = *same && same_sample(sample, make(&m, n));
        gr_sample_destroy(&sample);
    }
done:
    gr_sample_destroy(&sample);
    gr_dataset_close(&d);
    return err;
}

#endif
