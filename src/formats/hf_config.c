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

static gr_err read_statistics(const gr_node *root, const char *key, double out[3])
{
    gr_err err = GR_OK;
    const gr_node *list = gr_node_find(root, key);
    if (!list) {
        return GR_OK;
    }
    GR_TRY(gr_node_expect(list, GR_DOC_LIST));
    if (list->u.list.count != 3) {
        GR_TRY(gr_node_error(list, "expected 3 numbers, one a channel, got %lld",
                             (long long)list->u.list.count));
    }
    double values[3];
    for (int i = 0; i < 3; i++) {
        const gr_node *item = &list->u.list.items[i];
        if (item->type != GR_DOC_INT) {
            GR_TRY(gr_node_expect(item, GR_DOC_REAL));
        }
        values[i] = item->type == GR_DOC_INT ? (double)item->u.integer : item->u.real;
    }
    memcpy(out, values, sizeof values);
done:
    return err;
}

/// The statistics that the model's pictures were normalised with belong to the model, but Hugging Face
/// keeps them in a file of their own.
static gr_err read_preprocessor(const char *dir, gr_vision_config *v)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_doc *doc = NULL;
    GR_TRY(gr_path_join(dir, GRI_HF_PREPROCESSOR, &path));
    if (gr_file_exists(path)) {
        GR_TRY(gr_doc_load(path, GR_ERR_DATA, &doc));
        GR_TRY(gr_node_expect(gr_doc_root(doc), GR_DOC_MAP));
        GR_TRY(read_statistics(gr_doc_root(doc), "image_mean", v->image_mean));
        GR_TRY(read_statistics(gr_doc_root(doc), "image_std", v->image_std));
    }
done:
    gr_doc_destroy(&doc);
    GR_FREE(path);
    return err;
}

static gr_err parse_file(const char *path, gr_model_config *out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    GR_TRY(gr_doc_load(path, GR_ERR_DATA, &doc));
    GR_TRY(gr_model_config_parse(doc, out));
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
    GR_TRY(parse_file(file, &config));
    if (dir) {
        if (config.parts & (1u << GR_PART_VISION)) {
            GR_TRY(read_preprocessor(path, &config.vision));
        }
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
