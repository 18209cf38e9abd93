#ifndef TESTS_REFERENCE_SUPPORT_H
#define TESTS_REFERENCE_SUPPORT_H

/// Models whose loss and gradients PyTorch computed in double precision (tests/reference/make_model_fixture.py), and models of
/// random weights.

#include "src/formats/safetensors.h"
#include "tests/model_support.h"

/// A fixture file with its model: weights loaded, batch borrowed from the file's copy in memory.
typedef struct reference {
    gr_safetensors *file;
    fixture f;
    gr_batch batch;
    void *copies[256]; ///< freed when the reference is closed
    int copied;
} reference;

/// An aligned copy of a tensor's data.
static inline void *data_of(reference *r, const char *name)
{
    const gr_safetensor *t = gr_safetensors_find(r->file, name);
    if (!GR_CHECK(t != NULL)) {
        fprintf(stderr, "no tensor %s\n", name);
        exit(1);
    }
    float *copy = zeros(t->count);
    memcpy(copy, t->data, (size_t)t->count * sizeof *copy);
    GR_ASSERT(r->copied < 256);
    r->copies[r->copied++] = copy;
    return copy;
}

static inline void load_weights(reference *r)
{
    const gr_params *params = gr_model_get_params(r->f.model);
    for (int64_t i = 0; i < params->count; i++) {
        const gr_param *p = &params->items[i];
        const gr_safetensor *t = gr_safetensors_find(r->file, p->name);
        if (!GR_CHECK(t != NULL) || !GR_CHECK_INT(t->count, p->count)) {
            fprintf(stderr, "tensor %s\n", p->name);
            exit(1);
        }
        memcpy(gr_model_edit_weights(r->f.model, p->part) + p->offset, t->data,
               (size_t)p->count * sizeof(float));
    }
}

static inline reference reference_open(const char *name)
{
    reference r = {0};
    gr_doc *doc = NULL;
    gr_model_config config;
    char path[1024];
    const char *root = getenv("GR_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/fixtures/%s/config.json", root ? root : ".", name);
    if (!GR_CHECK_OK(gr_doc_load(path, GR_ERR_DATA, &doc)) ||
        !GR_CHECK_OK(gr_model_config_parse(doc, &config))) {
        exit(1);
    }
    gr_doc_destroy(&doc);
    snprintf(path, sizeof path, "%s/tests/fixtures/%s/model.safetensors", root ? root : ".",
             name);
    if (!GR_CHECK_OK(gr_safetensors_open(path, &r.file))) {
        exit(1);
    }
    r.f = fixture_create(&config, 1);
    load_weights(&r);
    r.batch = (gr_batch){.tokens = 18,
                         .ids = data_of(&r, "input_ids"),
                         .targets = data_of(&r, "targets"),
                         .positions = data_of(&r, "positions"),
                         .sequences = 2,
                         .cu_seqlens = data_of(&r, "cu_seqlens"),
                         .images = 2,
                         .height = 8,
                         .width = 8,
                         .pixels = {.values = data_of(&r, "pixel_values")},
                         .image_rows = data_of(&r, "image_rows")};
    return r;
}

static inline void reference_close(reference *r)
{
    for (int i = 0; i < r->copied; i++) {
        GR_FREE(r->copies[i]);
    }
    gr_safetensors_close(&r->file);
    fixture_destroy(&r->f);
}

/// Wider than a tile in some places, and tame enough that rounding is not blown up.
static inline fixture random_model(int threads)
{
    gr_model_config config = tiny_config(GR_PARTS_ALL);
    config.vision.width = 24;
    config.vision.mlp_width = 150;
    config.language.vocabulary = 300;
    config.language.width = 40;
    config.language.mlp_width = 140;
    config.language.max_positions = 400;
    config.vision.initializer_range = 0.1;
    config.language.initializer_range = 0.1;
    fixture f = fixture_create(&config, threads);
    gr_model_init(f.model, GR_PARTS_ALL, 3);
    return f;
}

/// Free with GR_FREE.
static inline float *copy_of_weights(const gr_model *model, gr_part part)
{
    const int64_t n = gr_model_get_params(model)->size[part];
    float *copy = zeros(n);
    memcpy(copy, gr_model_weights(model, part), (size_t)n * sizeof *copy);
    return copy;
}

static inline void set_weights(gr_model *model, gr_part part, const float *values)
{
    const int64_t n = gr_model_get_params(model)->size[part];
    memcpy(gr_model_edit_weights(model, part), values, (size_t)n * sizeof *values);
}

#endif
