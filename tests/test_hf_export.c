/// Parts exported alone, in each layout and type, as others read them.

#include "tests/hf_support.h"

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

static const gr_test tests[] = {
    {"export_vision", test_export_vision},
    {"transformers_pieces", test_transformers_pieces},
    {"export_language", test_export_language},
    {"export_of_an_absent_part", test_export_of_an_absent_part},
    {"export_types", test_export_types},
    {"token_ids", test_token_ids},
    {"release", test_release},
};
GR_TEST_MAIN("hf: export", tests)
