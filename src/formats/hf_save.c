#include "src/base/mem.h"
#include "src/formats/hf_internal.h"

#include <math.h>
#include <string.h>

/// One parameter, or a piece of it; `data` are its numbers as they are written.
static gr_err add_tensor(const gr_param *param, gri_hf_names names, gr_vision_kind kind,
                         int piece, const unsigned char *data, gri_hf_tensors *out, int *pieces)
{
    gr_err err = GR_OK;
    char name[GRI_HF_NAME];
    *pieces = gri_hf_name_of(names, kind, param->name, piece, name);
    const int64_t size = (int64_t)gr_dtype_size(out->dtype), count = param->count / *pieces;
    gr_safetensor t = {.dtype = out->dtype,
                       .ndim = param->ndim,
                       .count = count,
                       .data = data + count * piece * size};
    memcpy(t.shape, param->shape, sizeof param->shape);
    t.shape[0] /= *pieces;
    if (names == GRI_HF_NAMES_TRANSFORMERS && kind == GR_VISION_AIMV2 && param->ndim == 3) {
        t.ndim = 2; // the position table, without its leading 1
        memmove(t.shape, t.shape + 1, 2 * sizeof t.shape[0]);
    }
    GR_STRDUP(t.name, name);
    out->items[out->count++] = t;
    out->bytes += count * size;
done:
    return err;
}

/// A finite weight that the type has no number for would become infinite.
static gr_err check_range(const gr_params *params, gr_part part, const float *weights,
                          gr_dtype dtype)
{
    // The smallest numbers that round to infinity: half a last place above the largest of each type.
    const float limit = dtype == GR_DTYPE_F16 ? 65520.0F : 0x1.FFp127F;
    gr_err err = GR_OK;
    for (int64_t k = params->first[part]; k < params->first[part + 1]; k++) {
        const gr_param *p = &params->items[k];
        for (int64_t i = 0; i < p->count; i++) {
            const float w = weights[p->offset + i];
            if (isfinite(w) && fabsf(w) >= limit) {
                GR_FAIL(
                    GR_ERR_DATA,
                    "tensor %s, element %lld is %g, which %s cannot hold (largest: %g): write "
                    "it as fp32 or bf16",
                    p->name, (long long)i, (double)w, gr_dtype_name(dtype),
                    dtype == GR_DTYPE_F16 ? 65504.0 : 0x1.FEp127);
            }
        }
    }
done:
    return err;
}

/// The part's numbers in another type than fp32.
static gr_err convert(const float *weights, int64_t count, gri_hf_tensors *out)
{
    gr_err err = GR_OK;
    GR_ALLOC(out->converted, count);
    switch (out->dtype) {
    case GR_DTYPE_BF16:
        gr_convert_f32_to_bf16(weights, count, out->converted);
        break;
    case GR_DTYPE_F16:
        gr_convert_f32_to_f16(weights, count, out->converted);
        break;
    default:
        GR_FAIL(GR_ERR_USAGE, "cannot write weights as %s: expected F32, BF16 or F16",
                gr_dtype_name(out->dtype));
    }
done:
    return err;
}

gr_err gri_hf_tensors_create(gr_model *model, gr_part part, gri_hf_names names, gr_dtype dtype,
                             gri_hf_tensors *out)
{
    enum { MOST_PIECES = 3 };
    gr_err err = GR_OK;
    gri_hf_tensors tensors = {.dtype = dtype};
    const float *weights = gr_model_weights(model, part);
    const unsigned char *data = (const unsigned char *)weights;
    const gr_params *params = gr_model_get_params(model);
    gr_vision_kind kind = gr_model_get_config(model)->vision.kind;
    if (dtype != GR_DTYPE_F32) {
        GR_TRY(check_range(params, part, weights, dtype));
        GR_TRY(convert(weights, params->size[part], &tensors));
        data = (const unsigned char *)tensors.converted;
    }
    GR_ALLOC(tensors.items, (params->first[part + 1] - params->first[part]) * MOST_PIECES);
    for (int64_t i = params->first[part]; i < params->first[part + 1]; i++) {
        const gr_param *param = &params->items[i];
        const unsigned char *at = data + param->offset * (int64_t)gr_dtype_size(dtype);
        int pieces = 1;
        for (int piece = 0; piece < pieces; piece++) {
            GR_TRY(add_tensor(param, names, kind, piece, at, &tensors, &pieces));
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
    GR_FREE(tensors->converted);
    *tensors = (gri_hf_tensors){0};
}

static gri_hf_names names_of(const gr_model_config *config)
{
    bool vision = config->parts & (1u << GR_PART_VISION);
    bool language = config->parts & (1u << GR_PART_LANGUAGE);
    return vision && language ? GRI_HF_NAMES_FULL : GRI_HF_NAMES_ALONE;
}

const char *gr_hf_part_file(gr_part part)
{
    static const char *const names[GR_PART_COUNT] = {
        [GR_PART_VISION] = "model-vision.safetensors",
        [GR_PART_CONNECTOR] = "model-connector.safetensors",
        [GR_PART_LANGUAGE] = "model-language.safetensors",
    };
    return names[part];
}

/// The tensors of the part's file.
static gr_err part_tensors(gr_model *model, gr_part part, gri_hf_tensors *tensors)
{
    return gri_hf_tensors_create(model, part, names_of(gr_model_get_config(model)),
                                 GR_DTYPE_F32, tensors);
}

gr_err gr_hf_part_head(gr_model *model, gr_part part, gr_str *head)
{
    gr_err err = GR_OK;
    gri_hf_tensors tensors = {0};
    const unsigned char *end = (const unsigned char *)gr_model_weights(model, part);
    GR_TRY(part_tensors(model, part, &tensors));
    for (int64_t i = 0; i < tensors.count; i++) {
        GR_ASSERT(tensors.items[i].data == end); // the file's data are the flat space
        end += tensors.items[i].count * (int64_t)sizeof(float);
    }
    GR_TRY(gr_safetensors_head(gr_hf_part_file(part), tensors.items, tensors.count, head));
done:
    gri_hf_tensors_fini(&tensors);
    return err;
}

static gr_err save_part(const char *dir, gr_model *model, gr_part part)
{
    gr_err err = GR_OK;
    gri_hf_tensors tensors = {0};
    char *path = NULL;
    GR_TRY(part_tensors(model, part, &tensors));
    GR_TRY(gr_path_join(dir, gr_hf_part_file(part), &path));
    GR_TRY(gr_safetensors_write(path, tensors.items, tensors.count));
done:
    gri_hf_tensors_fini(&tensors);
    GR_FREE(path);
    return err;
}

/// Adds the part's tensors to the index's weight_map.
static gr_err index_part(gr_model *model, gr_part part, gr_json *weight_map, int64_t *total)
{
    gr_err err = GR_OK;
    gri_hf_tensors tensors = {0};
    GR_TRY(part_tensors(model, part, &tensors));
    for (int64_t i = 0; i < tensors.count; i++) {
        gr_json_string(weight_map, tensors.items[i].name, gr_hf_part_file(part));
    }
    *total += tensors.bytes;
done:
    gri_hf_tensors_fini(&tensors);
    return err;
}

static gr_err save_index(const char *dir, gr_model *model)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    int64_t total = 0;
    gr_json_map_begin(&j, NULL);
    gr_json_map_begin(&j, "weight_map");
    for (int part = 0; part < GR_PART_COUNT; part++) {
        if (gr_model_get_config(model)->parts & (1u << part)) {
            GR_TRY(index_part(model, (gr_part)part, &j, &total));
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

gr_err gr_hf_save_description(const char *dir, gr_model *model)
{
    gr_err err = GR_OK;
    const gr_model_config *config = gr_model_get_config(model);
    bool vision = config->parts & (1u << GR_PART_VISION);
    GR_TRY(save_index(dir, model));
    if (vision) { // before config.json, which makes the folder a model
        GR_TRY(gri_hf_write_preprocessor(dir, &config->vision));
    }
    if (names_of(config) == GRI_HF_NAMES_FULL) {
        GR_TRY(gri_hf_write_full_config(dir, config));
    } else if (vision) {
        GR_TRY(gri_hf_write_vision_config(dir, GR_HF_LAYOUT_SAILVIT, GR_DTYPE_F32,
                                          &config->vision));
    } else {
        GR_TRY(gri_hf_write_language_config(dir, GR_DTYPE_F32, NULL, &config->language));
    }
done:
    return err;
}

gr_err gr_hf_save(const char *dir, gr_model *model)
{
    gr_err err = GR_OK;
    for (int part = 0; part < GR_PART_COUNT; part++) {
        if (gr_model_get_config(model)->parts & (1u << part)) {
            GR_TRY(save_part(dir, model, (gr_part)part));
        }
    }
    GR_TRY(gr_hf_save_description(dir, model));
done:
    return err;
}
