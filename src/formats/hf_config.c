#include "src/base/mem.h"
#include "src/formats/hf_internal.h"

#include <string.h>

/// "tie_word_embeddings true" beside a stored head is common: what is stored counts.
static gr_err look_for_head(const char *dir, bool *tied)
{
    gr_err err = GR_OK;
    gri_hf_files files = {0};
    gri_hf_place place;
    GR_TRY(gri_hf_files_open(dir, &files));
    for (int64_t i = 0; i < files.count; i++) {
        for (int64_t k = 0; k < files.items[i]->count; k++) {
            if (gri_hf_place_of(GR_VISION_AIMV2, files.items[i]->items[k].name, &place) &&
                strcmp(place.parameter, "language_model.lm_head.weight") == 0) {
                *tied = false;
            }
        }
    }
done:
    gri_hf_files_close(&files);
    return err;
}

/// The description, and beside a config.json what its pictures are made by. `dir` is NULL for a YAML file.
static gr_err parse_file(const char *path, const char *dir, gr_model_config *out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    GR_TRY(gr_doc_load(path, GR_ERR_DATA, &doc));
    GR_TRY(gr_model_config_parse(doc, out));
    if (dir && (out->parts & (1u << GR_PART_VISION))) {
        GR_TRY(gri_hf_read_pictures(gr_doc_root(doc), dir, &out->vision));
    }
done:
    gr_doc_destroy(&doc);
    return err;
}

gr_err gr_hf_load_config(const char *path, gr_model_config *out)
{
    gr_err err = GR_OK;
    gr_model_config config = {0};
    char *file = NULL;
    bool dir = gr_dir_exists(path), weights = false;
    if (!dir && !gr_file_exists(path)) {
        GR_FAIL(GR_ERR_MISSING, "%s: no such model directory or YAML file", path);
    }
    GR_TRY(gr_path_join(dir ? path : NULL, dir ? GRI_HF_CONFIG : path, &file));
    GR_TRY(parse_file(file, dir ? path : NULL, &config));
    if (dir) {
        GR_TRY(gri_hf_has_weights(path, &weights));
        if (weights && (config.parts & (1u << GR_PART_LANGUAGE))) {
            GR_TRY(look_for_head(path, &config.language.tied));
        }
    }
    GR_TRY_CONTEXT(gr_model_config_check(&config), "%s", file);
    *out = config;
done:
    GR_FREE(file);
    return err;
}
