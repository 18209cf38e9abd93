#include "src/base/mem.h"
#include "src/formats/hf_internal.h"

#include <string.h>

static gr_err add_tensor(const gr_param *param, gri_hf_names names, gr_vision_kind kind,
                         int piece, float *data, gri_hf_tensors *out, int *pieces)
{
    gr_err err = GR_OK;
    char name[GRI_HF_NAME];
    *pieces = gri_hf_name_of(names, kind, param->name, piece, name);
    gr_safetensor t = {.dtype = GR_DTYPE_F32,
                       .ndim = param->ndim,
                       .count = param->count / *pieces,
                       .data = (const unsigned char *)(data + param->count / *pieces * piece)};
    memcpy(t.shape, param->shape, sizeof param->shape);
    t.shape[0] /= *pieces;
    if (names == GRI_HF_NAMES_TRANSFORMERS && kind == GR_VISION_AIMV2 && param->ndim == 3) {
        t.ndim = 2; // the position table, without its leading 1
        memmove(t.shape, t.shape + 1, 2 * sizeof t.shape[0]);
    }
    GR_STRDUP(t.name, name);
    out->items[out->count++] = t;
    out->bytes += t.count * (int64_t)sizeof(float);
done:
    return err;
}

gr_err gri_hf_tensors_create(gr_model *model, gr_part part, gri_hf_names names,
                             gri_hf_tensors *out)
{
    enum { MOST_PIECES = 3 };
    gr_err err = GR_OK;
    gri_hf_tensors tensors = {0};
    const gr_params *params = gr_model_get_params(model);
    gr_vision_kind kind = gr_model_get_config(model)->vision.kind;
    GR_ALLOC(tensors.items, (params->first[part + 1] - params->first[part]) * MOST_PIECES);
    for (int64_t i = params->first[part]; i < params->first[part + 1]; i++) {
        const gr_param *param = &params->items[i];
        float *data = gr_model_weights(model, part) + param->offset;
        int pieces = 1;
        for (int piece = 0; piece < pieces; piece++) {
            GR_TRY(add_tensor(param, names, kind, piece, data, &tensors, &pieces));
        }
    }
    *out = tensors;
    tensors = (gri_hf_tensors){0};
done:
    gri_hf_tensors_fini(&tensors);
    return err;
}

void gri_hf_tensors_fini(gri_hf_tensors *tensors)
{
    for (int64_t i = 0; i < tensors->count; i++) {
        GR_FREE(tensors->items[i].name);
    }
    GR_FREE(tensors->items);
    *tensors = (gri_hf_tensors){0};
}

/// Writes the part's file and adds its tensors to the index's weight_map.
static gr_err save_part(const char *dir, gr_model *model, gr_part part, gri_hf_names names,
                        gr_json *weight_map, int64_t *total)
{
    gr_err err = GR_OK;
    gri_hf_tensors tensors = {0};
    char *path = NULL, *file = gr_str_format("model-%s.safetensors", gr_part_name(part));
    if (!file) {
        GR_TRY(GR_ERR_MEMORY);
    }
    GR_TRY(gr_path_join(dir, file, &path));
    GR_TRY(gri_hf_tensors_create(model, part, names, &tensors));
    GR_TRY(gr_safetensors_write(path, tensors.items, tensors.count));
    for (int64_t i = 0; i < tensors.count; i++) {
        gr_json_string(weight_map, tensors.items[i].name, file);
    }
    *total += tensors.bytes;
done:
    gri_hf_tensors_fini(&tensors);
    GR_FREE(path);
    GR_FREE(file);
    return err;
}

static gr_err save_weights(const char *dir, gr_model *model, gri_hf_names names)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    int64_t total = 0;
    gr_json_map_begin(&j, NULL);
    gr_json_map_begin(&j, "weight_map");
    for (int part = 0; part < GR_PART_COUNT; part++) {
        if (gr_model_get_config(model)->parts & (1u << part)) {
            GR_TRY(save_part(dir, model, (gr_part)part, names, &j, &total));
        }
    }
    gr_json_map_end(&j);
    gr_json_map_begin(&j, "metadata");
    gr_json_int(&j, "total_size", total);
    gr_json_map_end(&j);
    gr_json_map_end(&j);
    GR_TRY(gri_hf_write_json(dir, GRI_HF_INDEX, &j));
done:
    gr_json_fini(&j);
    return err;
}

gr_err gr_hf_save(const char *dir, gr_model *model)
{
    gr_err err = GR_OK;
    const gr_model_config *config = gr_model_get_config(model);
    bool vision = config->parts & (1u << GR_PART_VISION);
    bool language = config->parts & (1u << GR_PART_LANGUAGE);
    bool full = vision && language;
    GR_TRY(save_weights(dir, model, full ? GRI_HF_NAMES_FULL : GRI_HF_NAMES_ALONE));
    if (full) {
        GR_TRY(gri_hf_write_full_config(dir, config));
    } else if (vision) {
        GR_TRY(gri_hf_write_vision_config(dir, GR_HF_LAYOUT_SAILVIT, &config->vision));
    } else {
        GR_TRY(gri_hf_write_language_config(dir, &config->language));
    }
    if (vision) {
        GR_TRY(gri_hf_write_preprocessor(dir, &config->vision));
    }
done:
    return err;
}
