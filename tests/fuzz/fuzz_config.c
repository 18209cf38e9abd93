// Model configurations, as JSON and as YAML: what is accepted has sizes that can be computed with.
#include "src/base/mem.h"
#include "src/model/config.h"
#include "tests/fuzz/fuzz.h"

static void try_config(const gr_doc *doc)
{
    gr_model_config config;
    gr_err err = gr_model_config_parse(doc, &config);
    GR_ASSERT(err == GR_OK || err == GR_ERR_DATA);
    if (err != GR_OK || gr_model_config_check(&config) != GR_OK) {
        return;
    }
    GR_ASSERT(config.parts != 0 && (config.parts & ~(gr_part_set)GR_PARTS_ALL) == 0);
    if (config.parts & 1u << GR_PART_VISION) {
        GR_ASSERT(gr_vision_tokens(&config.vision) >= 1);
    }
    if (config.parts & 1u << GR_PART_CONNECTOR) {
        GR_ASSERT(gr_image_tokens(&config.vision) >= 1);
    }
    if (config.parts & 1u << GR_PART_LANGUAGE) {
        GR_ASSERT(config.language.heads % config.language.kv_heads == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t used = gr_mem_used();
    for (int yaml = 0; yaml < 2; yaml++) {
        gr_doc *doc = NULL;
        const char *text = (const char *)data;
        gr_err err = yaml ? gr_doc_parse_yaml("fuzz.yaml", text, size, GR_ERR_DATA, &doc)
                          : gr_doc_parse_json("fuzz.json", text, size, GR_ERR_DATA, &doc);
        GR_ASSERT((err == GR_OK) == (doc != NULL));
        GR_ASSERT(err == GR_OK || err == GR_ERR_DATA);
        if (doc) {
            try_config(doc);
        }
        gr_doc_destroy(&doc);
    }
    GR_ASSERT(gr_mem_used() == used);
    return 0;
}
