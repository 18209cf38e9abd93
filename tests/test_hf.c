/// Model directories: saved and read, whole and in parts, their config and picture settings.

#include "tests/hf_support.h"

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

static const gr_test tests[] = {
    {"save_and_load", test_save_and_load},
    {"saved_files", test_saved_files},
    {"parts", test_parts},
    {"config_alone", test_config_alone},
    {"preprocessor", test_preprocessor},
    {"allocation_failures", test_allocation_failures},
    {"release", test_release},
};
GR_TEST_MAIN("hf", tests)
