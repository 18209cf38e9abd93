#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/hf.h"
#include "src/formats/safetensors.h"
#include "tests/dir_support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    VISION = 1 << GR_PART_VISION,
    CONNECTOR = 1 << GR_PART_CONNECTOR,
    LANGUAGE = 1 << GR_PART_LANGUAGE,
    MAX_TENSORS = 64,
};

static gr_exec *ex;

static gr_exec *exec_once(void)
{
    if (!ex) {
        GR_CHECK_OK(gr_exec_create_cpu(1, 1 << 24, &ex));
    }
    return ex;
}

/// Odd numbers that no decimal text shorter than theirs gives back.
static gr_model_config tiny(gr_part_set parts, bool tied)
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

static gr_model *make(gr_model_config config)
{
    gr_model *model = NULL;
    if (!GR_CHECK_OK(gr_model_create(&config, exec_once(), &model))) {
        _exit(1);
    }
    return model;
}

/// A different number in every place.
static gr_model *make_filled(gr_part_set parts, bool tied)
{
    gr_model *model = make(tiny(parts, tied));
    for (int p = 0; p < GR_PART_COUNT; p++) {
        for (int64_t i = 0; i < gr_model_get_params(model)->size[p]; i++) {
            gr_model_edit_weights(model, (gr_part)p)[i] = 0.37f * (float)(i + 1) + (float)p;
        }
    }
    return model;
}

static void check_same_weights(gr_model *got, gr_model *want, gr_part_set parts)
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

static bool same_reals(const double *a, const double *b, int n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static void check_same_vision(const gr_vision_config *a, const gr_vision_config *b)
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

static void check_same_language(const gr_language_config *a, const gr_language_config *b)
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
static void replace_text(const char *dir, const char *name, const char *from, const char *to)
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
static void check_loads(const char *dir, gr_model *want, gr_part_set parts)
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

static void test_save_and_load(void)
{
    static const gr_part_set sets[] = {GR_PARTS_ALL, VISION, LANGUAGE};
    for (int tied = 0; tied < 2; tied++) {
        for (size_t i = 0; i < 3; i++) {
            const char *dir = fresh_dir("saved");
            gr_model *model = make_filled(sets[i], tied);
            GR_CHECK_OK(gr_hf_save(dir, model));
            check_loads(dir, model, sets[i]);
            gr_model_destroy(&model);
        }
    }
}

static void test_saved_files(void)
{
    const char *dir = fresh_dir("files");
    gr_model *model = make_filled(GR_PARTS_ALL, true);
    GR_CHECK_OK(gr_hf_save(dir, model));
    const gr_params *params = gr_model_get_params(model);
    static const char *const names[] = {"model-vision.safetensors",
                                        "model-connector.safetensors",
                                        "model-language.safetensors"};
    int64_t total = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        gr_safetensors *file = NULL;
        GR_CHECK_OK(gr_safetensors_open(in_dir(dir, names[p]), &file));
        GR_CHECK_INT(file->count, params->first[p + 1] - params->first[p]);
        for (int64_t i = 0; i < file->count; i++) {
            GR_CHECK_STR(file->items[i].name, params->items[params->first[p] + i].name);
        }
        total += 4 * params->size[p];
        gr_safetensors_close(&file);
    }
    char *index = NULL, want[64];
    size_t size = 0;
    GR_CHECK_OK(gr_file_read(in_dir(dir, "model.safetensors.index.json"), 0, &index, &size));
    snprintf(want, sizeof want, "\"total_size\": %lld", (long long)total);
    GR_CHECK(strstr(index, want) != NULL);
    GR_FREE(index);
    gr_model_destroy(&model);
}

/// One part out of a full directory, into a model that has no more.
static void test_parts(void)
{
    static const gr_part_set sets[] = {VISION, LANGUAGE};
    const char *dir = fresh_dir("parts");
    gr_model *full = make_filled(GR_PARTS_ALL, false);
    GR_CHECK_OK(gr_hf_save(dir, full));
    for (size_t i = 0; i < 2; i++) {
        gr_model *one = make(tiny(sets[i], false));
        GR_CHECK_OK(gr_hf_load_weights(dir, sets[i], one));
        check_same_weights(one, full, sets[i]);
        gr_model_destroy(&one);
    }
    gr_model *other = make(tiny(GR_PARTS_ALL, false));
    GR_CHECK_OK(gr_hf_load_weights(dir, VISION | CONNECTOR, other));
    check_same_weights(other, full, VISION | CONNECTOR);
    GR_CHECK(gr_model_weights(other, GR_PART_LANGUAGE)[0] == 0);
    gr_model_destroy(&other);
    gr_model_destroy(&full);
}

static void test_export_vision(void)
{
    static const gr_hf_layout layouts[] = {GR_HF_LAYOUT_SAILVIT, GR_HF_LAYOUT_TRANSFORMERS};
    static const char *const one_name[] = {"trunk.blocks.1.attn.qkv.weight",
                                           "encoder.layers.1.attention.k_proj.weight"};
    gr_model *full = make_filled(GR_PARTS_ALL, true);
    for (size_t i = 0; i < 2; i++) {
        const char *dir = fresh_dir("vision");
        GR_CHECK_OK(gr_hf_export_vision(dir, layouts[i], GR_DTYPE_F32, full));
        check_loads(dir, full, VISION);
        gr_model *into = make(tiny(GR_PARTS_ALL, true));
        GR_CHECK_OK(gr_hf_load_weights(dir, VISION, into));
        check_same_weights(into, full, VISION);
        GR_CHECK_ERR(gr_hf_load_weights(dir, GR_PARTS_ALL, into), GR_ERR_DATA,
                     "missing tensor mlp1.0.weight");
        gr_model_destroy(&into);
        gr_safetensors *file = NULL;
        GR_CHECK_OK(gr_safetensors_open(in_dir(dir, "model.safetensors"), &file));
        const gr_safetensor *t = gr_safetensors_find(file, one_name[i]);
        if (GR_CHECK(t != NULL)) {
            GR_CHECK_INT(t->ndim, 2);
            GR_CHECK_INT(t->shape[0], i == 0 ? 24 : 8);
            GR_CHECK_INT(t->shape[1], 8);
        }
        gr_safetensors_close(&file);
    }
    gr_model_destroy(&full);
}

/// transformers keeps q, k and v apart and the position table without its leading 1.
static void test_transformers_pieces(void)
{
    const char *dir = fresh_dir("pieces");
    gr_model *model = make_filled(VISION, true);
    GR_CHECK_OK(gr_hf_export_vision(dir, GR_HF_LAYOUT_TRANSFORMERS, GR_DTYPE_F32, model));
    gr_safetensors *file = NULL;
    GR_CHECK_OK(gr_safetensors_open(in_dir(dir, "model.safetensors"), &file));
    const gr_param *qkv = gr_params_find(gr_model_get_params(model),
                                         "vision_model.trunk.blocks.0.attn.qkv.weight");
    const float *rows = gr_model_weights(model, GR_PART_VISION) + qkv->offset;
    static const char *const names[] = {"encoder.layers.0.attention.q_proj.weight",
                                        "encoder.layers.0.attention.k_proj.weight",
                                        "encoder.layers.0.attention.v_proj.weight"};
    for (size_t i = 0; i < 3; i++) {
        const gr_safetensor *t = gr_safetensors_find(file, names[i]);
        if (GR_CHECK(t != NULL)) {
            GR_CHECK_BYTES(t->data, rows + i * 64, 64 * sizeof(float));
        }
    }
    const gr_safetensor *table =
        gr_safetensors_find(file, "embeddings.position_embedding.weight");
    GR_CHECK(table && table->ndim == 2 && table->shape[0] == 16 && table->shape[1] == 8);
    gr_safetensors_close(&file);
    gr_model_destroy(&model);
}

static void test_export_language(void)
{
    for (int tied = 0; tied < 2; tied++) {
        const char *dir = fresh_dir("language");
        gr_model *full = make_filled(GR_PARTS_ALL, tied);
        GR_CHECK_OK(gr_hf_export_language(dir, NULL, GR_DTYPE_F32, full));
        check_loads(dir, full, LANGUAGE);
        gr_safetensors *file = NULL;
        GR_CHECK_OK(gr_safetensors_open(in_dir(dir, "model.safetensors"), &file));
        GR_CHECK(gr_safetensors_find(file, "model.embed_tokens.weight") != NULL);
        GR_CHECK((gr_safetensors_find(file, "lm_head.weight") == NULL) == (tied != 0));
        gr_safetensors_close(&file);
        gr_model_destroy(&full);
    }
}

static void check_line(const char *dir, const char *name, const char *part)
{
    char *text = NULL;
    size_t size = 0;
    GR_CHECK_OK(gr_file_read(in_dir(dir, name), 0, &text, &size));
    if (!GR_CHECK(strstr(text, part) != NULL)) {
        printf("  %s has no %s: %s\n", name, part, text);
    }
    GR_FREE(text);
}

/// Which tokens end a text: as the source's config.json says, else by its tokenizer, else nothing.
static void test_token_ids(void)
{
    const char *from = fresh_dir("from"), *dir = fresh_dir("to");
    gr_model *model = make_filled(GR_PARTS_ALL, true);
    GR_CHECK_OK(gr_hf_save(from, model));
    GR_CHECK_OK(gr_hf_export_language(dir, from, GR_DTYPE_F32, model));
    check_line(dir, "generation_config.json", "\"eos_token_id\": null");
    check_line(dir, "config.json", "\"bos_token_id\": null");
    write_text(
        from, "tokenizer.json",
        "{\"added_tokens\": [{\"id\": 5, \"content\": \"<|im_end|>\", \"special\": true}, "
        "{\"id\": 6, \"content\": \"<s>\", \"special\": true}], "
        "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
        "\"use_regex\": true}, \"decoder\": {\"type\": \"ByteLevel\"}, "
        "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}}");
    GR_CHECK_OK(gr_hf_export_language(dir, from, GR_DTYPE_F32, model));
    check_line(dir, "generation_config.json", "\"eos_token_id\": 5");
    write_text(
        from, "tokenizer_config.json",
        "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"<s>\", \"pad_token\": null}");
    GR_CHECK_OK(gr_hf_export_language(dir, from, GR_DTYPE_F32, model));
    check_line(dir, "config.json", "\"eos_token_id\": 6");
    check_line(dir, "config.json", "\"bos_token_id\": 6");
    check_line(dir, "config.json", "\"pad_token_id\": null");
    replace_text(from, "config.json", "\"llm_config\": {",
                 "\"llm_config\": {\"eos_token_id\": [7, 5],");
    GR_CHECK_OK(gr_hf_export_language(dir, from, GR_DTYPE_F32, model));
    check_line(dir, "generation_config.json", "\"eos_token_id\": [\n    7,\n    5");
    check_line(dir, "generation_config.json", "\"bos_token_id\": 6");
    write_text(from, "generation_config.json", "{\"eos_token_id\": 9, \"top_k\": 3}");
    GR_CHECK_OK(gr_hf_export_language(dir, from, GR_DTYPE_F32, model));
    check_line(dir, "generation_config.json", "\"top_k\": 3");
    gr_model_destroy(&model);
}

static void test_export_of_an_absent_part(void)
{
    const char *dir = fresh_dir("absent");
    gr_model *vision = make_filled(VISION, true), *language = make_filled(LANGUAGE, true);
    GR_CHECK_ERR(gr_hf_export_language(dir, NULL, GR_DTYPE_F32, vision), GR_ERR_DATA,
                 "no language part");
    GR_CHECK_ERR(gr_hf_export_vision(dir, GR_HF_LAYOUT_SAILVIT, GR_DTYPE_F32, language),
                 GR_ERR_DATA, "no vision part");
    gr_model_destroy(&vision);
    gr_model_destroy(&language);
}

/// Tensors of a single-file directory, changed by a test and written back.
typedef struct edit {
    const char *dir;
    gr_safetensors *file;
    gr_safetensor items[MAX_TENSORS];
    int64_t count;
} edit;

static edit edit_begin(const char *dir)
{
    edit e = {.dir = dir};
    GR_CHECK_OK(gr_safetensors_open(in_dir(dir, "model.safetensors"), &e.file));
    GR_CHECK(e.file->count < MAX_TENSORS);
    e.count = e.file->count;
    memcpy(e.items, e.file->items, (size_t)e.count * sizeof *e.items);
    return e;
}

static gr_safetensor *edit_find(edit *e, const char *name)
{
    for (int64_t i = 0; i < e->count; i++) {
        if (strcmp(e->items[i].name, name) == 0) {
            return &e->items[i];
        }
    }
    GR_CHECK(!"tensor to edit");
    return &e->items[0];
}

static void edit_add(edit *e, const char *name, const gr_safetensor *like)
{
    e->items[e->count] = *like;
    e->items[e->count++].name = (char *)name;
}

static void edit_drop(edit *e, const char *name)
{
    *edit_find(e, name) = e->items[e->count - 1];
    e->count--;
}

/// Writes the directory back; its mapped tensors stay readable until the old file is closed.
static void edit_end(edit *e)
{
    GR_CHECK_OK(gr_safetensors_write(in_dir(e->dir, "model.safetensors"), e->items, e->count));
    gr_safetensors_close(&e->file);
}

typedef struct bad_weights {
    void (*change)(edit *e);
    const char *part;
} bad_weights;

static void drop_norm(edit *e)
{
    edit_drop(e, "encoder.layers.1.rms_norm2.weight");
}
static void drop_k(edit *e)
{
    edit_drop(e, "encoder.layers.0.attention.k_proj.weight");
}
static void drop_v(edit *e)
{
    edit_drop(e, "encoder.layers.0.attention.v_proj.weight");
}
static void add_unknown(edit *e)
{
    edit_add(e, "head.cls_token", &e->items[0]);
}
static void add_block(edit *e)
{
    edit_add(e, "encoder.layers.2.rms_norm1.weight", edit_find(e, "rms_norm.weight"));
}
static void add_odd_number(edit *e)
{
    edit_add(e, "encoder.layers.00.rms_norm1.weight", edit_find(e, "rms_norm.weight"));
}
static void add_long_name(edit *e)
{
    static char name[3000];
    memset(name, 'x', sizeof name - 1);
    memcpy(name, "trunk.", 6);
    edit_add(e, name, &e->items[0]);
}
static void add_twice(edit *e)
{
    edit_add(e, "trunk.post_trunk_norm.weight", edit_find(e, "rms_norm.weight"));
}
static void add_packed(edit *e)
{
    gr_safetensor *q = edit_find(e, "encoder.layers.0.attention.q_proj.weight");
    gr_safetensor packed = *q; // q, k and v lie end to end in our own files
    packed.shape[0] *= 3;
    packed.count *= 3;
    edit_add(e, "vision_model.trunk.blocks.0.attn.qkv.weight", &packed);
}
static void transpose(edit *e)
{
    gr_safetensor *t = edit_find(e, "encoder.layers.0.ffn.up_proj.weight");
    t->shape[0] = 8;
    t->shape[1] = 12;
}
static void flatten(edit *e)
{
    gr_safetensor *t = edit_find(e, "encoder.layers.0.attention.v_proj.weight");
    t->ndim = 1;
    t->shape[0] = 64;
}
static void shorten(edit *e)
{
    gr_safetensor *t = edit_find(e, "embeddings.position_embedding.weight");
    t->shape[0] = 9;
    t->count = 72;
}
static void make_integer(edit *e)
{
    edit_find(e, "rms_norm.weight")->dtype = GR_DTYPE_I32;
}

static void test_bad_weights(void)
{
    static const bad_weights cases[] = {
        {drop_norm, "missing tensor vision_model.trunk.blocks.1.norm_2.weight (part vision, "
                    "expected shape [8])"},
        {drop_k, "missing tensor vision_model.trunk.blocks.0.attn.qkv.weight, its rows of k"},
        {drop_v, "missing tensor vision_model.trunk.blocks.0.attn.qkv.weight, its rows of v"},
        {add_unknown, "unknown tensor head.cls_token"},
        {add_block, "unknown tensor encoder.layers.2.rms_norm1.weight"},
        {add_odd_number, "unknown tensor encoder.layers.00.rms_norm1.weight"},
        {add_long_name, "unknown tensor trunk.xxx"},
        {add_twice, "parameter vision_model.trunk.post_trunk_norm.weight is stored twice"},
        {add_packed, "parameter vision_model.trunk.blocks.0.attn.qkv.weight is stored twice"},
        {transpose, "ffn.up_proj.weight: shape [8, 12], expected [12, 8]"},
        {flatten, "encoder.layers.0.attention.v_proj.weight: shape [64], expected [8, 8]"},
        {shorten, "position_embedding.weight: shape [9, 8], expected [16, 8]"},
        {make_integer, "tensor rms_norm.weight: dtype I32, expected F32, F16, BF16 or F64"},
    };
    gr_model *model = make_filled(VISION, true), *into = make(tiny(VISION, true));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *dir = fresh_dir("bad");
        GR_CHECK_OK(gr_hf_export_vision(dir, GR_HF_LAYOUT_TRANSFORMERS, GR_DTYPE_F32, model));
        edit e = edit_begin(dir);
        cases[i].change(&e);
        edit_end(&e);
        GR_CHECK_ERR(gr_hf_load_weights(dir, VISION, into), GR_ERR_DATA, cases[i].part);
        GR_CHECK(strstr(gr_err_message(), "/bad") != NULL);
    }
    gr_model_destroy(&model);
    gr_model_destroy(&into);
}

/// Value of an IEEE half, by its definition.
static float half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return (float)(bits >> 15 ? -value : value);
}

/// Weights of other types, each tensor at an odd address.
static void test_other_types(void)
{
    static const gr_dtype dtypes[] = {GR_DTYPE_F16, GR_DTYPE_BF16, GR_DTYPE_F64};
    static unsigned char data[1 << 14];
    gr_model *model = make_filled(LANGUAGE, true);
    for (size_t d = 0; d < 3; d++) {
        const char *dir = fresh_dir("types");
        GR_CHECK_OK(gr_hf_export_language(dir, NULL, GR_DTYPE_F32, model));
        edit e = edit_begin(dir);
        gr_safetensor one = {"mlp1.pad", GR_DTYPE_U8, 0, {0}, 1, data};
        memmove(e.items + 1, e.items, (size_t)e.count++ * sizeof *e.items);
        e.items[0] = one; // of a part that is not asked for; moves the rest to odd addresses
        size_t used = 0;
        float *want = gr_model_edit_weights(model, GR_PART_LANGUAGE);
        for (int64_t i = 1; i < e.count; i++) {
            gr_safetensor *t = &e.items[i];
            t->dtype = dtypes[d];
            t->data = data + used;
            for (int64_t k = 0; k < t->count; k++) {
                uint16_t half = (uint16_t)(used * 7 % 31743 + (k % 2 ? 32768 : 0));
                uint32_t wide = (uint32_t)half << 16;
                float value = half_value(half);
                double real = value;
                if (dtypes[d] == GR_DTYPE_BF16) {
                    memcpy(&value, &wide, sizeof value);
                }
                *want++ = value;
                GR_CHECK(used + 8 <= sizeof data);
                memcpy(data + used, dtypes[d] == GR_DTYPE_F64 ? (void *)&real : (void *)&half,
                       gr_dtype_size(dtypes[d]));
                used += gr_dtype_size(dtypes[d]);
            }
        }
        edit_end(&e);
        gr_model *into = make(tiny(LANGUAGE, true));
        GR_CHECK_OK(gr_hf_load_weights(dir, LANGUAGE, into));
        check_same_weights(into, model, LANGUAGE);
        gr_model_destroy(&into);
    }
    gr_model_destroy(&model);
}

static void check_dtype(const char *dir, gr_part part, gr_dtype want, const char *word)
{
    char *text = NULL, said[64];
    size_t size = 0;
    gr_dtype got = GR_DTYPE_COUNT;
    snprintf(said, sizeof said, "\"torch_dtype\": \"%s\"", word);
    GR_CHECK_OK(gr_hf_stored_dtype(dir, part, &got));
    GR_CHECK_INT(got, want);
    GR_CHECK_OK(gr_file_read(in_dir(dir, "config.json"), 0, &text, &size));
    GR_CHECK(strstr(text, said) != NULL);
    GR_FREE(text);
}

/// Written in each type, read, and written in that type again: the same files.
static void test_export_types(void)
{
    static const gr_dtype dtypes[] = {GR_DTYPE_F32, GR_DTYPE_BF16, GR_DTYPE_F16};
    static const char *const words[] = {"float32", "bfloat16", "float16"};
    gr_model *model = make_filled(GR_PARTS_ALL, true), *half = make(tiny(GR_PARTS_ALL, true));
    for (size_t d = 0; d < 3; d++) {
        const char *vision = fresh_dir("vision"), *language = fresh_dir("language"),
                   *again = fresh_dir("again");
        GR_CHECK_OK(gr_hf_export_vision(vision, GR_HF_LAYOUT_TRANSFORMERS, dtypes[d], model));
        GR_CHECK_OK(gr_hf_export_language(language, NULL, dtypes[d], model));
        check_dtype(vision, GR_PART_VISION, dtypes[d], words[d]);
        check_dtype(language, GR_PART_LANGUAGE, dtypes[d], words[d]);
        GR_CHECK_OK(gr_hf_load_weights(vision, VISION, half));
        GR_CHECK_NORM(gr_model_weights(half, GR_PART_VISION),
                      gr_model_weights(model, GR_PART_VISION),
                      gr_model_get_params(model)->size[GR_PART_VISION],
                      dtypes[d] == GR_DTYPE_F32 ? 0 : 0x1p-8, 0);
        GR_CHECK_OK(gr_hf_export_vision(again, GR_HF_LAYOUT_TRANSFORMERS, dtypes[d], half));
        char *text[2] = {NULL, NULL};
        size_t size[2] = {0, 0};
        GR_CHECK_OK(gr_file_read(in_dir(vision, "model.safetensors"), 0, &text[0], &size[0]));
        GR_CHECK_OK(gr_file_read(in_dir(again, "model.safetensors"), 0, &text[1], &size[1]));
        if (GR_CHECK_INT((int64_t)size[1], (int64_t)size[0])) {
            GR_CHECK_BYTES(text[1], text[0], size[0]);
        }
        GR_FREE(text[0]);
        GR_FREE(text[1]);
    }
    const char *dir = fresh_dir("mixed");
    GR_CHECK_OK(gr_hf_export_vision(dir, GR_HF_LAYOUT_TRANSFORMERS, GR_DTYPE_BF16, model));
    edit e = edit_begin(dir);
    static const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    gr_safetensor *norm = edit_find(&e, "rms_norm.weight");
    norm->dtype = GR_DTYPE_F32;
    norm->data = (const unsigned char *)ones;
    edit_end(&e);
    gr_dtype mixed = GR_DTYPE_COUNT;
    GR_CHECK_OK(gr_hf_stored_dtype(dir, GR_PART_VISION, &mixed));
    GR_CHECK_INT(mixed, GR_DTYPE_F32);
    GR_CHECK_ERR(gr_hf_export_vision(dir, GR_HF_LAYOUT_TRANSFORMERS, GR_DTYPE_I8, model),
                 GR_ERR_USAGE, "cannot write weights as I8");
    gr_model_destroy(&model);
    gr_model_destroy(&half);
}

/// The config says tied, but a head of its own is stored: it counts, and is written back.
static void test_tying_trap(void)
{
    const char *dir = fresh_dir("tied"), *again = fresh_dir("again");
    gr_model_config config = {0};
    gr_model *model = make_filled(LANGUAGE, false);
    GR_CHECK_OK(gr_hf_export_language(dir, NULL, GR_DTYPE_F32, model));
    replace_text(dir, "config.json", "\"tie_word_embeddings\": false",
                 "\"tie_word_embeddings\": true");
    check_loads(dir, model, LANGUAGE);
    GR_CHECK_OK(gr_hf_save(again, model));
    check_loads(again, model, LANGUAGE);

    edit e = edit_begin(dir);
    edit_drop(&e, "lm_head.weight");
    edit_end(&e);
    GR_CHECK_OK(gr_hf_load_config(dir, &config));
    GR_CHECK(config.language.tied);

    replace_text(dir, "config.json", "\"tie_word_embeddings\": true",
                 "\"tie_word_embeddings\": false");
    GR_CHECK_OK(gr_hf_load_config(dir, &config));
    GR_CHECK(!config.language.tied);
    GR_CHECK_ERR(gr_hf_load_weights(dir, LANGUAGE, model), GR_ERR_DATA,
                 "missing tensor language_model.lm_head.weight");
    gr_model_destroy(&model);
}

static void test_index_errors(void)
{
    static const struct {
        const char *from, *to, *part;
        gr_err code;
    } cases[] = {
        {"model-connector.safetensors", "model-gone.safetensors", "model-gone.safetensors",
         GR_ERR_MISSING},
        {"model-connector.safetensors", "model-language.safetensors",
         "tensor mlp1.0.weight is not in ", GR_ERR_DATA},
        {"model-connector.safetensors", "../other.safetensors", "a file in the same folder",
         GR_ERR_DATA},
        {"\"model-connector.safetensors\"", "3", "mlp1.0.weight", GR_ERR_DATA},
        {"\"mlp1.0.weight\": \"model-connector.safetensors\",", "",
         "tensor mlp1.0.weight is in this file, but ", GR_ERR_DATA},
        {"\"mlp1.0.weight\"", "\"mlp1.9.weight\"", "tensor mlp1.9.weight is not in ",
         GR_ERR_DATA},
        {"\"weight_map\"", "\"weights\"", "weight_map", GR_ERR_DATA},
        {"{", "[", "model.safetensors.index.json", GR_ERR_DATA},
    };
    gr_model *model = make_filled(GR_PARTS_ALL, true);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *dir = fresh_dir("index");
        GR_CHECK_OK(gr_hf_save(dir, model));
        replace_text(dir, "model.safetensors.index.json", cases[i].from, cases[i].to);
        GR_CHECK_ERR(gr_hf_load_weights(dir, GR_PARTS_ALL, model), cases[i].code,
                     cases[i].part);
    }
    gr_model_destroy(&model);
}

static void test_missing_files(void)
{
    gr_model_config config = {0};
    const char *dir = fresh_dir("empty");
    gr_model *model = make_filled(VISION, true);
    GR_CHECK_ERR(gr_hf_load_config(in_dir(dir, "nowhere"), &config), GR_ERR_MISSING, "nowhere");
    GR_CHECK_ERR(gr_hf_load_config(dir, &config), GR_ERR_MISSING, "config.json");
    GR_CHECK_ERR(gr_hf_load_weights(dir, VISION, model), GR_ERR_MISSING, "no weights");
    GR_CHECK_ERR(gr_hf_save(in_dir(dir, "nowhere"), model), GR_ERR_IO, "nowhere");
    gr_model_destroy(&model);
}

/// A directory with a config and no weights yet, and a YAML file beside it.
static void test_config_alone(void)
{
    gr_model_config config = {0};
    const char *dir = fresh_dir("config");
    gr_model *model = make_filled(LANGUAGE, true);
    GR_CHECK_OK(gr_hf_export_language(dir, NULL, GR_DTYPE_F32, model));
    GR_CHECK(unlink(in_dir(dir, "model.safetensors")) == 0);
    GR_CHECK_OK(gr_hf_load_config(dir, &config));
    check_same_language(&config.language, &gr_model_get_config(model)->language);
    gr_model_destroy(&model);

    write_text(
        dir, "model.yaml",
        "vision: {model_type: sailvit, hidden_size: 8, intermediate_size: 12,\n"
        "  num_hidden_layers: 1, num_attention_heads: 2, image_size: 8, patch_size: 2}\n");
    GR_CHECK_OK(gr_hf_load_config(in_dir(dir, "model.yaml"), &config));
    GR_CHECK_INT(config.parts, VISION);
    GR_CHECK_INT(config.vision.width, 8);
}

static void test_preprocessor(void)
{
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"[]", "preprocessor_config.json"},
        {"{\"image_mean\": 0.5}", "image_mean"},
        {"{\"image_mean\": [0.5, 0.5]}", "3 numbers"},
        {"{\"image_mean\": [0.5, 0.5, \"a\"]}", "image_mean"},
        {"{\"image_std\": [0.5, 0.5, 0]}", "image_std"},
    };
    gr_model_config config = {0};
    const char *dir = fresh_dir("preprocessor");
    gr_model *model = make_filled(VISION, true);
    GR_CHECK_OK(gr_hf_export_vision(dir, GR_HF_LAYOUT_TRANSFORMERS, GR_DTYPE_F32, model));
    write_text(dir, "preprocessor_config.json", "{\"image_mean\": [1, 0.5, 0.25]}");
    GR_CHECK_OK(gr_hf_load_config(dir, &config));
    GR_CHECK(same_reals(config.vision.image_mean, (double[3]){1, 0.5, 0.25}, 3));
    GR_CHECK(same_reals(config.vision.image_std, (double[3]){0.229, 0.224, 0.225}, 3));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_text(dir, "preprocessor_config.json", bad[i].text);
        GR_CHECK_ERR(gr_hf_load_config(dir, &config), GR_ERR_DATA, bad[i].part);
    }
    gr_model_destroy(&model);
}

/// Every call that writes or reads a directory, on one model.
static gr_err all_ways(const char *saved, const char *vision, const char *language,
                       gr_model *model)
{
    gr_err err = GR_OK;
    gr_model_config config = {0};
    GR_TRY(gr_hf_save(saved, model));
    GR_TRY(gr_hf_export_vision(vision, GR_HF_LAYOUT_TRANSFORMERS, GR_DTYPE_F32, model));
    GR_TRY(gr_hf_export_language(language, NULL, GR_DTYPE_F32, model));
    GR_TRY(gr_hf_load_config(saved, &config));
    GR_TRY(gr_hf_load_weights(saved, GR_PARTS_ALL, model));
done:
    return err;
}

/// Each request of the whole way fails once (each third, as every one of them syncs its files).
static void test_allocation_failures(void)
{
    const char *saved = fresh_dir("a"), *vision = fresh_dir("b"), *language = fresh_dir("c");
    gr_model *model = make_filled(GR_PARTS_ALL, true), *want = make_filled(GR_PARTS_ALL, true);
    int64_t used = gr_mem_used(), before = gr_mem_requests();
    GR_CHECK_OK(all_ways(saved, vision, language, model));
    int64_t requests = gr_mem_requests() - before;
    GR_CHECK(requests > 300);
    for (int64_t n = 1; n <= requests; n += 3) {
        gr_mem_fail_at(n);
        gr_err err = all_ways(saved, vision, language, model);
        gr_mem_fail_at(0);
        GR_CHECK_INT(err, GR_ERR_MEMORY);
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_OK(all_ways(saved, vision, language, model));
    check_same_weights(model, want, GR_PARTS_ALL);
    gr_model_destroy(&model);
    gr_model_destroy(&want);
}

static void test_release(void)
{
    gr_exec_destroy(&ex);
    GR_CHECK(ex == NULL);
}

static const gr_test tests[] = {
    {"save_and_load", test_save_and_load},
    {"saved_files", test_saved_files},
    {"parts", test_parts},
    {"export_vision", test_export_vision},
    {"transformers_pieces", test_transformers_pieces},
    {"export_language", test_export_language},
    {"export_of_an_absent_part", test_export_of_an_absent_part},
    {"export_types", test_export_types},
    {"token_ids", test_token_ids},
    {"bad_weights", test_bad_weights},
    {"other_types", test_other_types},
    {"tying_trap", test_tying_trap},
    {"index_errors", test_index_errors},
    {"missing_files", test_missing_files},
    {"config_alone", test_config_alone},
    {"preprocessor", test_preprocessor},
    {"allocation_failures", test_allocation_failures},
    {"release", test_release},
};
GR_TEST_MAIN("hf", tests)
