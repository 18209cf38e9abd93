/// Weights that a directory may hold: other types, and all that is missing, misshapen, twice or unknown.

#include "tests/hf_support.h"

#include <math.h>

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

static void make_too_large(edit *e)
{
    static const double numbers[8] = {1, 1, 1e300, 1, 1, 1, 1, 1};
    gr_safetensor *t = edit_find(e, "rms_norm.weight");
    t->dtype = GR_DTYPE_F64;
    t->data = (const unsigned char *)numbers;
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
        {make_too_large, "tensor rms_norm.weight, element 2 is 1e+300, which fp32 cannot hold"},
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

static const gr_test tests[] = {
    {"bad_weights", test_bad_weights},     {"other_types", test_other_types},
    {"tying_trap", test_tying_trap},       {"index_errors", test_index_errors},
    {"missing_files", test_missing_files}, {"release", test_release},
};
GR_TEST_MAIN("hf: weights", tests)
