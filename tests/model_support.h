#ifndef TESTS_MODEL_SUPPORT_H
#define TESTS_MODEL_SUPPORT_H

/// What the tests of the model share: small models and batches.

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/model/forward.h"
#include "tests/bf16_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUPPORT_ARENA = 256 << 20 };

/// A model and what it runs in. Stops the program when it cannot be made: no test can go on.
typedef struct fixture {
    gr_exec *ex;
    gr_model *model;
} fixture;

/// What fixtures are made in.
static gr_precision fixture_precision = GR_PRECISION_FP32;

static inline fixture fixture_create(const gr_model_config *config, int threads)
{
    fixture f = {0};
    if (!GR_CHECK_OK(gr_exec_create_cpu(threads, SUPPORT_ARENA, &f.ex)) ||
        !GR_CHECK_OK(gr_exec_set_precision(f.ex, fixture_precision)) ||
        !GR_CHECK_OK(gr_model_create(config, f.ex, &f.model))) {
        exit(1);
    }
    return f;
}

static inline void fixture_destroy(fixture *f)
{
    gr_model_destroy(&f->model);
    gr_exec_destroy(&f->ex);
}

/// Runs a test with fixtures in bf16; for tests with bf16_missing.
static inline void with_bf16_fixtures(void test(void))
{
    fixture_precision = GR_PRECISION_BF16;
    test();
    fixture_precision = GR_PRECISION_FP32;
}

static inline gr_model_config tiny_config(gr_part_set parts)
{
    return (gr_model_config){
        .parts = parts,
        .vision = {.image_size = 8,
                   .patch_size = 2,
                   .channels = 3,
                   .width = 8,
                   .heads = 2,
                   .mlp_width = 12,
                   .blocks = 2,
                   .norm_eps = 1e-5,
                   .initializer_range = 0.3,
                   .image_std = {1, 1, 1}},
        .connector = {.norm_eps = 1e-5},
        .language = {.vocabulary = 24,
                     .width = 12,
                     .blocks = 2,
                     .heads = 4,
                     .kv_heads = 2,
                     .head_size = 4,
                     .mlp_width = 20,
                     .max_positions = 64,
                     .rope_theta = 1e6,
                     .norm_eps = 1e-6,
                     .tied = true,
                     .initializer_range = 0.3},
    };
}

/// A zeroed array of n numbers; free with GR_FREE.
static inline float *zeros(int64_t n)
{
    float *x = gr_mem_alloc((size_t)n, sizeof *x);
    if (!x) {
        exit(1);
    }
    return x;
}

/// Gradient buffers for all parts of a model.
typedef struct gradients {
    float *part[GR_PART_COUNT];
} gradients;

static inline gradients gradients_create(const gr_model *model)
{
    gradients g = {0};
    for (int p = 0; p < GR_PART_COUNT; p++) {
        g.part[p] = zeros(gr_model_get_params(model)->size[p]);
    }
    return g;
}

static inline void gradients_destroy(gradients *g)
{
    for (int p = 0; p < GR_PART_COUNT; p++) {
        GR_FREE(g->part[p]);
    }
}

/// A batch that owns its arrays.
typedef struct own_batch {
    gr_batch batch;
    int32_t *ids, *targets, *positions, *cu_seqlens, *image_rows;
    float *pixels;
} own_batch;

static inline int32_t *integers(int64_t n)
{
    int32_t *x = gr_mem_alloc((size_t)n, sizeof *x);
    if (!x) {
        exit(1);
    }
    return x;
}

/// One sequence for each entry of `images`: that many images, each with its rows behind one token, then `text`
/// tokens that all have targets but the last. A pure function of its arguments: sequence s
/// of a batch that starts at `first` is the same as sequence 0 of one that starts at first + s.
static inline own_batch batch_create(const gr_model_config *config, const int *images,
                                     int sequences, int64_t text, uint64_t first)
{
    int64_t per_image = config->vision.patch_size ? gr_image_tokens(&config->vision) : 0;
    int64_t size = config->vision.image_size, pixels = 3 * size * size;
    int64_t T = 0, M = 0, tile = 0, t = 0, m = 0;
    for (int s = 0; s < sequences; s++) {
        T += images[s] * (per_image + 1) + text;
        M += images[s];
    }
    own_batch b = {.ids = integers(T),
                   .targets = integers(T),
                   .positions = integers(T),
                   .cu_seqlens = integers(sequences + 1),
                   .image_rows = integers(M * per_image),
                   .pixels = zeros(M * pixels)};
    for (int s = 0; s < sequences; s++) {
        uint64_t stream = first + (uint64_t)s, draw = 0;
        for (int i = 0; i < images[s]; i++, tile++) {
            t++;
            for (int64_t k = 0; k < per_image; k++) {
                b.image_rows[m++] = (int32_t)t++;
            }
            for (int64_t k = 0; k < pixels; k++) {
                b.pixels[tile * pixels + k] =
                    (float)gr_rng_normal(7, stream, (uint64_t)(i * pixels + k));
            }
        }
        t += text;
        b.cu_seqlens[s + 1] = (int32_t)t;
        for (int64_t k = b.cu_seqlens[s]; k < t; k++) {
            b.ids[k] = (int32_t)(gr_rng_u64(8, stream, draw++) %
                                 (uint64_t)config->language.vocabulary);
            b.positions[k] = (int32_t)(k - b.cu_seqlens[s]);
            b.targets[k] = -100;
        }
        for (int64_t k = t - text; k < t - 1; k++) {
            b.targets[k] = b.ids[k + 1];
        }
    }
    b.batch = (gr_batch){.tokens = T,
                         .ids = b.ids,
                         .targets = b.targets,
                         .positions = b.positions,
                         .sequences = sequences,
                         .cu_seqlens = b.cu_seqlens,
                         .images = M,
                         .pixels = {.values = b.pixels},
                         .image_rows = b.image_rows};
    return b;
}

static inline void batch_destroy(own_batch *b)
{
    GR_FREE(b->ids);
    GR_FREE(b->targets);
    GR_FREE(b->positions);
    GR_FREE(b->cu_seqlens);
    GR_FREE(b->image_rows);
    GR_FREE(b->pixels);
}

#endif
