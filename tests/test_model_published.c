/// configs/models: every published size has the published number of parameters.

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/formats/hf.h"
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct published {
    const char *name;
    int64_t vision, connector, language;
} published;

/// Sources: the specification's tables; of SigLIP base, AIMv2 base and InternViT-6B the same count by
/// transformers' classes (tests/reference/check_counts.py).
static const published models[] = {
    {"aimv2-base-224", 85603584, 0, 0},
    {"aimv2-large-224", 309197824, 0, 0},
    {"aimv2-large-336", 309525504, 0, 0},
    {"aimv2-large-448", 309984256, 0, 0},
    {"aimv2-huge-224", 680851968, 0, 0},
    {"aimv2-huge-336", 681343488, 0, 0},
    {"aimv2-huge-448", 682031616, 0, 0},
    {"aimv2-1b-224", 1234958336, 0, 0},
    {"aimv2-1b-336", 1235613696, 0, 0},
    {"aimv2-1b-448", 1236531200, 0, 0},
    {"aimv2-3b-224", 2720658432, 0, 0},
    {"aimv2-3b-336", 2721641472, 0, 0},
    {"aimv2-3b-448", 2723017728, 0, 0},
    {"internvit-300m-448", 304012288, 0, 0},
    {"internvit-6b-448", 5536496000, 0, 0},
    {"siglip-base-224", 85797120, 0, 0},
    {"siglip-so400m-384", 412987248, 0, 0},
    {"qwen2.5-0.5b", 0, 0, 494032768},
    {"qwen2.5-1.5b", 0, 0, 1543714304},
    {"qwen2.5-3b", 0, 0, 3085938688},
    {"qwen2.5-7b", 0, 0, 7615616512},
    {"qwen3-0.6b", 0, 0, 596049920},
    {"qwen3-1.7b", 0, 0, 1720574976},
    {"qwen3-4b", 0, 0, 4022468096},
    {"qwen3-8b", 0, 0, 8190735360},
    {"smollm2-135m", 0, 0, 134515008},
    {"smollm2-360m", 0, 0, 361821120},
    {"sailvit-large-qwen2.5-0.5b", 309984256, 4482816, 494032768},
    {"sail-vl-1d5-2b", 682031616, 11811840, 1543714304},
    {"sail-vl-1d6-8b", 682031616, 34884608, 7615616512},
    // The published index counts 5,461,130,240 bytes of bf16: a head of its own.
    {"sail-vl2-2b", 682031616, 16793600, 2031739904},
    {"sail-vl2-8b", 682031616, 41963520, 8190735360},
};
enum { MODELS = sizeof models / sizeof models[0] };

static const char *folder(void)
{
    static char path[1024];
    const char *root = getenv("GR_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/configs/models", root ? root : ".");
    return path;
}

static void check_model(const published *m)
{
    gr_model_config config;
    gr_params *params = NULL;
    char path[1200];
    snprintf(path, sizeof path, "%s/%s.yaml", folder(), m->name);
    if (GR_CHECK_OK(gr_hf_load_config(path, &config)) &&
        GR_CHECK_OK(gr_params_create(&config, &params))) {
        GR_CHECK_INT(params->size[GR_PART_VISION], m->vision);
        GR_CHECK_INT(params->size[GR_PART_CONNECTOR], m->connector);
        GR_CHECK_INT(params->size[GR_PART_LANGUAGE], m->language);
    }
    gr_params_destroy(&params);
}

static void test_counts(void)
{
    for (int i = 0; i < MODELS; i++) {
        check_model(&models[i]);
    }
}

/// No file of the folder is left out of the table.
static void test_all_there(void)
{
    char **names = NULL;
    int64_t count = 0, yaml = 0;
    GR_CHECK_OK(gr_dir_list(folder(), &names, &count));
    for (int64_t i = 0; i < count; i++) {
        yaml += strstr(names[i], ".yaml") != NULL;
    }
    GR_CHECK_INT(yaml, MODELS);
    gr_dir_list_free(&names, count);
}

static const gr_test tests[] = {{"counts", test_counts}, {"all_there", test_all_there}};
GR_TEST_MAIN("model_published", tests)
