/// Model directories of every architecture: saved, exported, read again, and under others' names.

#include "tests/hf_support.h"

static gr_model_config tiny_of(gr_vision_kind vision, gr_language_kind language)
{
    bool norms = vision == GR_VISION_INTERNVIT;
    return (gr_model_config){
        .parts = GR_PARTS_ALL,
        .vision = {.kind = vision,
                   .image_size = 12,
                   .position_size = 8,
                   .patch_size = 2,
                   .channels = 3,
                   .width = 8,
                   .heads = 2,
                   .mlp_width = 12,
                   .blocks = 3,
                   .norm = vision == GR_VISION_AIMV2 ? GR_NORM_RMS : GR_NORM_LAYER,
                   .mlp = vision == GR_VISION_AIMV2       ? GR_MLP_SWIGLU
                          : vision == GR_VISION_INTERNVIT ? GR_MLP_GELU
                                                          : GR_MLP_GELU_TANH,
                   .qkv_bias = vision != GR_VISION_AIMV2,
                   .qk_norm = norms,
                   .norm_eps = 1.1e-5,
                   .drop_path = norms ? 0.1 : 0,
                   .initializer_range = 1.0 / 49,
                   .layer_scale = norms ? 0.3 : 0,
                   .image_mean = {1.0 / 3, 0.25, 0.1},
                   .image_std = {0.3, 1.0, 2.0 / 7}},
        .connector = {.norm_eps = 1e-5, .blocks_left_out = 1, .by_column = true},
        .language = {.kind = language,
                     .vocabulary = 11,
                     .width = 6,
                     .blocks = 2,
                     .heads = 2,
                     .kv_heads = 1,
                     .head_size = 4,
                     .mlp_width = 10,
                     .max_positions = 77,
                     .rope_theta = 12345,
                     .norm_eps = 1e-5,
                     .tied = language != GR_LANGUAGE_LLAMA,
                     .initializer_range = 0.02},
    };
}

static gr_model *make_kind(gr_vision_kind vision, gr_language_kind language)
{
    gr_model *model = make(tiny_of(vision, language));
    fill(model);
    return model;
}

/// The model that the directory holds, with these parts of it the same as `want`'s.
static gr_model *check_kind(const char *dir, gr_model *want, gr_part_set parts)
{
    gr_model_config config;
    if (!GR_CHECK_OK(gr_hf_load_config(dir, &config))) {
        _exit(1);
    }
    GR_CHECK_INT(config.parts, parts);
    gr_model *got = make(config);
    GR_CHECK_OK(gr_hf_load_weights(dir, GR_PARTS_ALL, got));
    check_same_weights(got, want, parts);
    return got;
}

static void check_same_file(const char *a, const char *b)
{
    char *text[2] = {NULL, NULL};
    size_t size[2] = {0, 0};
    GR_CHECK_OK(gr_file_read(a, 0, &text[0], &size[0]));
    GR_CHECK_OK(gr_file_read(b, 0, &text[1], &size[1]));
    if (GR_CHECK_INT((int64_t)size[1], (int64_t)size[0])) {
        GR_CHECK_BYTES(text[1], text[0], size[0]);
    }
    GR_FREE(text[0]);
    GR_FREE(text[1]);
}

/// Saved, loaded and saved again: the same config.json, which says all that is in a config.
static void test_save(void)
{
    for (int v = 0; v < GR_VISION_KINDS; v++) {
        const char *dir = fresh_dir("saved"), *again = fresh_dir("again");
        gr_model *model = make_kind((gr_vision_kind)v, (gr_language_kind)v);
        GR_CHECK_OK(gr_hf_save(dir, model));
        gr_model *got = check_kind(dir, model, GR_PARTS_ALL);
        const gr_model_config *c = gr_model_get_config(got);
        GR_CHECK_INT(c->vision.kind, v);
        GR_CHECK_INT(c->vision.image_size, 12);
        GR_CHECK_INT(c->vision.position_size, 8);
        GR_CHECK(c->vision.drop_path == (v == GR_VISION_INTERNVIT ? 0.1 : 0));
        GR_CHECK_INT(c->language.kind, v);
        GR_CHECK(c->language.rope_theta == 12345 && c->language.norm_eps == 1e-5);
        GR_CHECK(c->connector.blocks_left_out == 1 && c->connector.by_column);
        GR_CHECK(!c->connector.unnormed);
        GR_CHECK_OK(gr_hf_save(again, got));
        check_same_file(in_dir(dir, "config.json"), in_dir(again, "config.json"));
        gr_model_destroy(&got);
        gr_model_destroy(&model);
    }
}

static bool holds(const char *dir, const char *tensor)
{
    gr_safetensors *file = NULL;
    GR_CHECK_OK(gr_safetensors_open(in_dir(dir, "model.safetensors"), &file));
    bool there = gr_safetensors_find(file, tensor) != NULL;
    gr_safetensors_close(&file);
    return there;
}

/// Both layouts of each encoder, and each language model, alone.
static void test_export(void)
{
    static const char *const names[GR_VISION_KINDS][2] = {
        {"trunk.blocks.1.attn.qkv.weight", "encoder.layers.1.attention.k_proj.weight"},
        {"encoder.layers.1.ls2", "encoder.layer.1.lambda_2"},
        {"vision_model.encoder.layers.1.self_attn.k_proj.bias",
         "vision_model.encoder.layers.1.self_attn.k_proj.bias"},
    };
    for (int v = 0; v < GR_VISION_KINDS; v++) {
        gr_model *model = make_kind((gr_vision_kind)v, (gr_language_kind)v), *got = NULL;
        for (int layout = 0; layout < 2; layout++) {
            const char *dir = fresh_dir("vision");
            GR_CHECK_OK(gr_hf_export_vision(dir, (gr_hf_layout)layout, GR_DTYPE_F32, model));
            GR_CHECK(holds(dir, names[v][layout]));
            got = check_kind(dir, model, VISION);
            GR_CHECK_INT(gr_model_get_config(got)->vision.image_size, 12);
            gr_model_destroy(&got);
        }
        const char *dir = fresh_dir("language");
        GR_CHECK_OK(gr_hf_export_language(dir, NULL, GR_DTYPE_F32, model));
        got = check_kind(dir, model, LANGUAGE);
        GR_CHECK_INT(gr_model_get_config(got)->language.kind, v);
        gr_model_destroy(&got);
        gr_model_destroy(&model);
    }
}

/// Tensors of several files under new names, in one file.
typedef struct collection {
    gr_safetensor items[MAX_TENSORS];
    int64_t count;
    gr_safetensors *files[3];
} collection;

static void collect(collection *c, int file, const char *path, const char *from, const char *to)
{
    if (!GR_CHECK_OK(gr_safetensors_open(path, &c->files[file]))) {
        _exit(1);
    }
    for (int64_t i = 0; i < c->files[file]->count; i++) {
        gr_safetensor t = c->files[file]->items[i];
        bool fits = strncmp(t.name, from, strlen(from)) == 0;
        t.name = fits ? gr_str_format("%s%s", to, t.name + strlen(from))
                      : gr_str_format("%s", t.name);
        c->items[c->count++] = t;
    }
}

static void rename_tensors(collection *c, const char *from, const char *to)
{
    for (int64_t i = 0; i < c->count; i++) {
        size_t n = strlen(from);
        if (strncmp(c->items[i].name, from, n) == 0) {
            char *name = gr_str_format("%s%s", to, c->items[i].name + n);
            GR_FREE(c->items[i].name);
            c->items[i].name = name;
        }
    }
}

static void collection_end(collection *c, const char *path)
{
    GR_CHECK_OK(gr_safetensors_write(path, c->items, c->count));
    for (int64_t i = 0; i < c->count; i++) {
        GR_FREE(c->items[i].name);
    }
    for (int i = 0; i < 3; i++) {
        gr_safetensors_close(&c->files[i]);
    }
}

/// Every tensor of the file is listed, with its shape and the place in the model where its numbers are.
static void check_stored(const char *dir, const gr_model *model)
{
    gr_hf_stored *list = NULL;
    gr_safetensors *file = NULL;
    int64_t count = 0;
    if (!GR_CHECK_OK(gr_safetensors_open(in_dir(dir, "model.safetensors"), &file)) ||
        !GR_CHECK_OK(gr_hf_list_stored(dir, GR_PARTS_ALL, model, &list, &count))) {
        _exit(1);
    }
    GR_CHECK_INT(count, file->count);
    for (int64_t i = 0; i < count; i++) {
        const gr_safetensor *t = gr_safetensors_find(file, list[i].name);
        if (GR_CHECK(t && t->ndim == list[i].ndim && t->count == list[i].count)) {
            GR_CHECK_BYTES(t->shape, list[i].shape, (size_t)t->ndim * sizeof *t->shape);
            GR_CHECK_BYTES(t->data, gr_model_weights(model, list[i].part) + list[i].offset,
                           (size_t)t->count * sizeof(float));
        }
    }
    gr_hf_stored_free(&list, count);
    GR_CHECK_OK(gr_hf_list_stored(dir, 1u << GR_PART_CONNECTOR, model, &list, &count));
    GR_CHECK_INT(count, 6);
    GR_CHECK_STR(list[2].name, "model.multi_modal_projector.linear_1.weight");
    gr_hf_stored_free(&list, count);
    gr_safetensors_close(&file);
}

/// transformers' own InternVL: other prefixes, the head at the top, connector by words.
static void test_transformers_internvl(void)
{
    static const char *const config =
        "{\"model_type\": \"internvl\", \"tie_word_embeddings\": true, \"vision_config\": {"
        "\"model_type\": \"internvl_vision\", \"image_size\": [8, 8], \"patch_size\": [2, 2], "
        "\"hidden_size\": 8, \"num_attention_heads\": 2, \"intermediate_size\": 12, "
        "\"num_hidden_layers\": 3, \"attention_bias\": true, \"use_qk_norm\": true}, "
        "\"text_config\": {\"model_type\": \"llama\", \"vocab_size\": 11, \"hidden_size\": 6, "
        "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"num_key_value_heads\": 1, "
        "\"head_dim\": 4, \"intermediate_size\": 10, \"rope_parameters\": {\"rope_theta\": 1e4, "
        "\"rope_type\": \"default\"}, \"dtype\": \"float32\"}}";
    const char *saved = fresh_dir("full"), *vision = fresh_dir("encoder"),
               *dir = fresh_dir("hf");
    static collection c;
    gr_model *model = make_kind(GR_VISION_INTERNVIT, GR_LANGUAGE_LLAMA);
    GR_CHECK_OK(gr_hf_save(saved, model));
    GR_CHECK_OK(gr_hf_export_vision(vision, GR_HF_LAYOUT_TRANSFORMERS, GR_DTYPE_F32, model));
    collect(&c, 0, in_dir(vision, "model.safetensors"), "", "model.vision_tower.");
    collect(&c, 1, in_dir(saved, "model-connector.safetensors"), "mlp1.0.",
            "model.multi_modal_projector.layer_norm.");
    rename_tensors(&c, "mlp1.1.", "model.multi_modal_projector.linear_1.");
    rename_tensors(&c, "mlp1.3.", "model.multi_modal_projector.linear_2.");
    collect(&c, 2, in_dir(saved, "model-language.safetensors"), "language_model.model.",
            "model.language_model.");
    rename_tensors(&c, "language_model.lm_head.", "lm_head.");
    collection_end(&c, in_dir(dir, "model.safetensors"));
    GR_CHECK_OK(gr_file_write(in_dir(dir, "config.json"), config, strlen(config)));
    gr_model *got = check_kind(dir, model, GR_PARTS_ALL);
    GR_CHECK(!gr_model_get_config(got)->language.tied); // a head is stored
    check_stored(dir, got);
    gr_model_destroy(&got);
    gr_model_destroy(&model);
}

/// A pair of SigLIP: text half, scales and pooling head are passed over, anything else is not.
static void test_siglip_pair(void)
{
    static const char *const config =
        "{\"model_type\": \"siglip\", \"text_config\": {\"vocab_size\": 5}, \"vision_config\": {"
        "\"model_type\": \"siglip_vision_model\", \"image_size\": 8, \"patch_size\": 2, "
        "\"hidden_size\": 8, \"num_attention_heads\": 2, \"intermediate_size\": 12, "
        "\"num_hidden_layers\": 3}}";
    static const char *const others[] = {"text_model.embeddings.token_embedding.weight",
                                         "logit_scale", "logit_bias", "vision_model.head.probe",
                                         "vision_model.embeddings.position_ids"};
    static const float zeros[4] = {0};
    const char *vision = fresh_dir("tower"), *dir = fresh_dir("pair");
    static collection c;
    gr_model_config read;
    gr_model *model = make_kind(GR_VISION_SIGLIP, GR_LANGUAGE_QWEN2);
    GR_CHECK_OK(gr_hf_export_vision(vision, GR_HF_LAYOUT_SAILVIT, GR_DTYPE_F32, model));
    for (int strange = 0; strange < 2; strange++) {
        memset(&c, 0, sizeof c);
        collect(&c, 0, in_dir(vision, "model.safetensors"), "", "");
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            c.items[c.count++] = (gr_safetensor){.name = gr_str_format("%s", others[i]),
                                                 .dtype = GR_DTYPE_F32,
                                                 .ndim = 1,
                                                 .shape = {4},
                                                 .count = 4,
                                                 .data = (const unsigned char *)zeros};
        }
        if (strange) {
            rename_tensors(&c, "logit_scale", "vision_model.tail.weight");
        }
        collection_end(&c, in_dir(dir, "model.safetensors"));
        GR_CHECK_OK(gr_file_write(in_dir(dir, "config.json"), config, strlen(config)));
        if (strange) {
            GR_CHECK_OK(gr_hf_load_config(dir, &read));
            gr_model *got = make(read);
            GR_CHECK_ERR(gr_hf_load_weights(dir, VISION, got), GR_ERR_DATA,
                         "unknown tensor vision_model.tail.weight");
            gr_model_destroy(&got);
        } else {
            gr_model *got = check_kind(dir, model, VISION);
            gr_model_destroy(&got);
        }
    }
    gr_model_destroy(&model);
}

/// A tensor that is not there, and one of another size, by their names.
static void test_bad_tensors(void)
{
    static const struct {
        gr_vision_kind kind;
        const char *from, *to, *part;
    } cases[] = {
        {GR_VISION_INTERNVIT, "encoder.layer.2.lambda_1", "encoder.layer.9.lambda_1",
         "unknown tensor encoder.layer.9.lambda_1"},
        {GR_VISION_INTERNVIT, "encoder.layer.2.attention.k_proj.bias", "lm_head.weight",
         "its rows of k"},
        {GR_VISION_INTERNVIT, "encoder.layer.0.mlp.fc1.bias", "encoder.layer.0.mlp.fc2.bias",
         "shape [12], expected [8]"},
        {GR_VISION_SIGLIP, "vision_model.post_layernorm.bias", "logit_bias",
         "missing tensor vision_model.post_layernorm.bias"},
        {GR_VISION_AIMV2, "rms_norm.weight", "lm_head.weight",
         "missing tensor vision_model.trunk.post_trunk_norm.weight"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *from = fresh_dir("good"), *dir = fresh_dir("bad");
        static collection c;
        gr_model_config config;
        gr_model *model = make_kind(cases[i].kind, GR_LANGUAGE_QWEN2), *got = NULL;
        memset(&c, 0, sizeof c);
        GR_CHECK_OK(gr_hf_export_vision(from, GR_HF_LAYOUT_TRANSFORMERS, GR_DTYPE_F32, model));
        GR_CHECK_OK(gr_hf_export_vision(dir, GR_HF_LAYOUT_TRANSFORMERS, GR_DTYPE_F32, model));
        collect(&c, 0, in_dir(from, "model.safetensors"), "", "");
        if (strstr(cases[i].part, "shape")) {
            rename_tensors(&c, cases[i].to, "head.gone"); // its name is free for another
        }
        rename_tensors(&c, cases[i].from, cases[i].to);
        collection_end(&c, in_dir(dir, "model.safetensors"));
        GR_CHECK_OK(gr_hf_load_config(dir, &config));
        got = make(config);
        GR_CHECK_ERR(gr_hf_load_weights(dir, VISION, got), GR_ERR_DATA, cases[i].part);
        gr_model_destroy(&got);
        gr_model_destroy(&model);
    }
}

static const gr_test tests[] = {
    {"save", test_save},
    {"export", test_export},
    {"transformers_internvl", test_transformers_internvl},
    {"siglip_pair", test_siglip_pair},
    {"bad_tensors", test_bad_tensors},
    {"release", test_release},
};
GR_TEST_MAIN("hf_kinds", tests)
