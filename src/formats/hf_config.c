#include "src/base/file.h"
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

/// The folder in `dir` that holds a model: "final" of a run, or the last by name, as the newest checkpoint. NULL: none.
static gr_err find_model(const char *dir, char **out)
{
    gr_err err = GR_OK;
    char **names = NULL, *path = NULL, *file = NULL;
    int64_t count = 0;
    GR_TRY(gr_dir_list(dir, &names, &count));
    for (int64_t i = 0; i < count && !(*out && strcmp(gr_path_base(*out), "final") == 0); i++) {
        GR_TRY(gr_path_join(dir, names[i], &path));
        GR_TRY(gr_path_join(path, GRI_HF_CONFIG, &file));
        if (gr_file_exists(file) &&
            (!*out || strcmp(names[i], "final") == 0 || strcmp(path, *out) > 0)) {
            GR_FREE(*out);
            *out = path;
            path = NULL;
        }
        GR_FREE(file);
        GR_FREE(path);
    }
done:
    GR_FREE(file);
    GR_FREE(path);
    gr_dir_list_free(&names, count);
    return err;
}

/// A folder without config.json is no model, but a run's folder has some.
static gr_err check_folder(const char *dir, const char *file)
{
    gr_err err = GR_OK;
    char *model = NULL, *checkpoints = NULL;
    if (gr_file_exists(file)) {
        goto done;
    }
    GR_TRY(gr_path_join(dir, "checkpoints", &checkpoints));
    GR_TRY(find_model(dir, &model));
    if (!model && gr_dir_exists(checkpoints)) {
        GR_TRY(find_model(checkpoints, &model));
    }
    GR_FAIL(GR_ERR_MISSING, "%s is no model directory: it holds no " GRI_HF_CONFIG "%s%s", dir,
            model ? "; one of a model is inside: " : "", model ? model : "");
done:
    GR_FREE(model);
    GR_FREE(checkpoints);
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
    if (dir) {
        GR_TRY(check_folder(path, file));
    }
    GR_TRY(parse_file(file, dir ? path : NULL, &config));
    if (dir) {
        GR_TRY(gri_hf_has_weights(path, &weights));
        if (weights && (config.parts & (1u << GR_PART_LANGUAGE))) {
            GR_TRY(look_for_head(path, &config.language.tied));
        }
    }
    GR_TRY_CONTEXT(gr_model_config_check_parts(&config), "%s", file);
    *out = config;
done:
    GR_FREE(file);
    return err;
}
