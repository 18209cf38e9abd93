#ifndef TESTS_HF_SUPPORT_H
#define TESTS_HF_SUPPORT_H

/// What the tests of model directories share: small models with a different number in every place, and directories
/// that a test changes tensor by tensor.

#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/hf.h"
#include "src/formats/safetensors.h"
#include "tests/dir_support.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    VISION = 1 << GR_PART_VISION,
    CONNECTOR = 1 << GR_PART_CONNECTOR,
    LANGUAGE = 1 << GR_PART_LANGUAGE,
    MAX_TENSORS = 128,
};

static gr_exec *ex;

static inline gr_exec *exec_once(void)
{
    if (!ex) {
        GR_CHECK_OK(gr_exec_create_cpu(1, 1 << 24, &ex));
    }
    return ex;
}

/// Odd numbers that no decimal text shorter than theirs gives back.
static inline gr_model_config tiny(gr_part_set parts, bool tied)
{
    return (gr_model_config){
        .parts = parts,
        .vision = {.kind = GR_VISION_AIMV2,
                   .image_size = 8,
                   .patch_size = 2,
                   .channels = 3,
                   .width = 8,
                   .heads = 2,
                   .mlp_width = 12,
                   .blocks = 2,
                   .norm_eps = 1.1e-5,
                   .initializer_range = 1.0 / 49,
                   .image_mean = {1.0 / 3, 0.25, 0.1},
                   .image_std = {0.3, 1.0, 2.0 / 7}},
        .connector = {.norm_eps = 1e-5},
        .language = {.kind = GR_LANGUAGE_QWEN2,
                     .vocabulary = 11,
                     .width = 6,
                     .blocks = 2,
                     .heads = 2,
                     .kv_heads = 1,
                     .head_size = 4,
                     .mlp_width = 10,
                     .max_positions = 77,
                     .rope_theta = 1000000,
                     .norm_eps = 1e-6,
                     .tied = tied,
                     .initializer_range = 0.02},
    };
}

static inline gr_model *make(gr_model_config config)
{
    gr_model *model = NULL;
    if (!GR_CHECK_OK(gr_model_create(&config, exec_once(), &model))) {
        _exit(1);
    }
    return model;
}

/// A different number in every place.
static inline void fill(gr_model *model)
{
    for (int p = 0; p < GR_PART_COUNT; p++) {
        for (int64_t i = 0; i < gr_model_get_params(model)->size[p]; i++) {
            gr_model_edit_weights(model, (gr_part)p)[i] = 0.37f * (float)(i + 1) + (float)p;
        }
    }
}

static inline gr_model *make_filled(gr_part_set parts, bool tied)
{
    gr_model *model = make(tiny(parts, tied));
    fill(model);
    return model;
}

static inline void check_same_weights(gr_model *got, gr_model *want, gr_part_set parts)
{
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (parts & (1u << p)) {
            int64_t n = gr_model_get_params(want)->size[p];
            GR_CHECK(n > 0);
            if (GR_CHECK_INT(gr_model_get_params(got)->size[p], n)) {
                GR_CHECK_BYTES(gr_model_weights(got, (gr_part)p),
                               gr_model_weights(want, (gr_part)p), (size_t)n * sizeof(float));
            }
        }
    }
}

static inline bool same_reals(const double *a, const double *b, int n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static inline void check_same_vision(const gr_vision_config *a, const gr_vision_config *b)
{
    GR_CHECK_INT(a->image_size, b->image_size);
    GR_CHECK_INT(a->patch_size, b->patch_size);
    GR_CHECK_INT(a->channels, b->channels);
    GR_CHECK_INT(a->width, b->width);
    GR_CHECK_INT(a->heads, b->heads);
    GR_CHECK_INT(a->mlp_width, b->mlp_width);
    GR_CHECK_INT(a->blocks, b->blocks);
    GR_CHECK(same_reals(&a->norm_eps, &b->norm_eps, 1));
    GR_CHECK(same_reals(&a->initializer_range, &b->initializer_range, 1));
    GR_CHECK(same_reals(a->image_mean, b->image_mean, 3));
    GR_CHECK(same_reals(a->image_std, b->image_std, 3));
}

static inline void check_same_language(const gr_language_config *a, const gr_language_config *b)
{
    GR_CHECK_INT(a->vocabulary, b->vocabulary);
    GR_CHECK_INT(a->width, b->width);
    GR_CHECK_INT(a->blocks, b->blocks);
    GR_CHECK_INT(a->heads, b->heads);
    GR_CHECK_INT(a->kv_heads, b->kv_heads);
    GR_CHECK_INT(a->head_size, b->head_size);
    GR_CHECK_INT(a->mlp_width, b->mlp_width);
    GR_CHECK_INT(a->max_positions, b->max_positions);
    GR_CHECK(same_reals(&a->rope_theta, &b->rope_theta, 1));
    GR_CHECK(same_reals(&a->norm_eps, &b->norm_eps, 1));
    GR_CHECK(same_reals(&a->initializer_range, &b->initializer_range, 1));
    GR_CHECK_INT(a->tied, b->tied);
}

/// The file with its first `from` replaced by `to`.
static inline void replace_text(const char *dir, const char *name, const char *from,
                                const char *to)
{
    char *text = NULL;
    size_t size = 0;
    gr_str s = {0};
    GR_CHECK_OK(gr_file_read(in_dir(dir, name), 0, &text, &size));
    char *at = strstr(text, from);
    if (GR_CHECK(at != NULL)) {
        GR_CHECK_OK(gr_str_add_bytes(&s, text, (size_t)(at - text)));
        GR_CHECK_OK(gr_str_add(&s, to));
        GR_CHECK_OK(gr_str_add(&s, at + strlen(from)));
        write_text(dir, name, s.data);
    }
    gr_str_fini(&s);
    GR_FREE(text);
}

/// Config and weights of the directory give this model back.
static inline void check_loads(const char *dir, gr_model *want, gr_part_set parts)
{
    gr_model_config config = {0};
    if (!GR_CHECK_OK(gr_hf_load_config(dir, &config))) {
        return;
    }
    GR_CHECK_INT(config.parts, parts);
    if (parts & VISION) {
        check_same_vision(&config.vision, &gr_model_get_config(want)->vision);
    }
    if (parts & LANGUAGE) {
        check_same_language(&config.language, &gr_model_get_config(want)->language);
    }
    gr_model *got = make(config);
    GR_CHECK_OK(gr_hf_load_weights(dir, GR_PARTS_ALL, got));
    check_same_weights(got, want, parts);
    gr_model_destroy(&got);
}

/// Tensors of a single-file directory, changed by a test and written back.
typedef struct edit {
    const char *dir;
    gr_safetensors *file;
    gr_safetensor items[MAX_TENSORS];
    int64_t count;
} edit;

static inline edit edit_begin(const char *dir)
{
    edit e = {.dir = dir};
    GR_CHECK_OK(gr_safetensors_open(in_dir(dir, "model.safetensors"), &e.file));
    GR_CHECK(e.file->count < MAX_TENSORS);
    e.count = e.file->count;
    memcpy(e.items, e.file->items, (size_t)e.count * sizeof *e.items);
    return e;
}

static inline gr_safetensor *edit_find(edit *e, const char *name)
{
    for (int64_t i = 0; i < e->count; i++) {
        if (strcmp(e->items[i].name, name) == 0) {
            return &e->items[i];
        }
    }
    GR_CHECK(!"tensor to edit");
    return &e->items[0];
}

static inline void edit_add(edit *e, const char *name, const gr_safetensor *like)
{
    e->items[e->count] = *like;
    e->items[e->count++].name = (char *)name;
}

static inline void edit_drop(edit *e, const char *name)
{
    *edit_find(e, name) = e->items[e->count - 1];
    e->count--;
}

/// Writes the directory back; its mapped tensors stay readable until the old file is closed.
static inline void edit_end(edit *e)
{
    GR_CHECK_OK(gr_safetensors_write(in_dir(e->dir, "model.safetensors"), e->items, e->count));
    gr_safetensors_close(&e->file);
}

/// The last test of each program: for the leak checker.
static inline void test_release(void)
{
    gr_exec_destroy(&ex);
    GR_CHECK(ex == NULL);
}

#endif
