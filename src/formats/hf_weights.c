#include "src/base/mem.h"
#include "src/formats/hf_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// A parameter is whole when these thirds of its rows were read.
enum { WHOLE = 7 };

typedef struct loader {
    const char *dir;
    gr_part_set parts;
    gr_model *model;
    const gr_params *params;
    unsigned char *seen; ///< per parameter: the thirds of its rows read so far
} loader;

/// "[2, 3]" for messages.
static const char *shape_text(const int64_t *shape, int ndim, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < ndim && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "[",
                                 (long long)shape[i]);
    }
    if (used < size) {
        snprintf(text + used, size - used, ndim ? "]" : "[]");
    }
    return text;
}

/// The tensor must have the parameter's shape, or that of one piece of its rows.
static gr_err check_shape(const gr_safetensors *file, const gr_safetensor *tensor,
                          const gr_param *param, int pieces)
{
    gr_err err = GR_OK;
    int64_t want[GR_MAX_DIMS];
    int ndim = param->ndim;
    memcpy(want, param->shape, sizeof want);
    want[0] /= pieces;
    if (ndim == 3 && want[0] == 1 && tensor->ndim == 2) {
        ndim = 2; // transformers stores the position table [1, N, D] as [N, D]
        want[0] = want[1];
        want[1] = want[2];
    }
    if (tensor->ndim != ndim ||
        memcmp(tensor->shape, want, (size_t)ndim * sizeof want[0]) != 0) {
        char a[128], b[128];
        GR_FAIL(GR_ERR_DATA,
                "%s: tensor %s: shape %s, expected %s; config.json and the weights do not "
                "belong together",
                file->path, tensor->name, shape_text(tensor->shape, tensor->ndim, a, sizeof a),
                shape_text(want, ndim, b, sizeof b));
    }
done:
    return err;
}

static gr_err mark_seen(loader *l, const gr_safetensors *file, const gr_safetensor *tensor,
                        const gr_param *param, const gri_hf_place *place)
{
    gr_err err = GR_OK;
    unsigned thirds = place->pieces == 1 ? WHOLE : 1u << place->piece;
    unsigned char *seen = &l->seen[param - l->params->items];
    if (*seen & thirds) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor %s: parameter %s is stored twice, under two names",
                file->path, tensor->name, param->name);
    }
    *seen = (unsigned char)(*seen | thirds);
done:
    return err;
}

/// A finite F64 that fp32 has no number for would become infinite.
static gr_err check_range(const gr_safetensors *file, const gr_safetensor *tensor,
                          const float *out)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; tensor->dtype == GR_DTYPE_F64 && i < tensor->count; i++) {
        double value = 0;
        memcpy(&value, tensor->data + (size_t)i * sizeof value, sizeof value);
        if (isinf(out[i]) && isfinite(value)) {
            GR_FAIL(GR_ERR_DATA, "%s: tensor %s, element %lld is %g, which fp32 cannot hold",
                    file->path, tensor->name, (long long)i, value);
        }
    }
done:
    return err;
}

static gr_err load_tensor(loader *l, const gr_safetensors *file, const gr_safetensor *tensor)
{
    gr_err err = GR_OK;
    gri_hf_place place;
    const gr_param *param = NULL;
    const gr_model_config *config = gr_model_get_config(l->model);
    if (gri_hf_ignored(config, tensor->name)) {
        return GR_OK;
    }
    bool known = gri_hf_place_of(config->vision.kind, tensor->name, &place);
    if (known && !(l->parts & (1u << place.part))) {
        return GR_OK; // of a part that nobody asked for
    }
    if (known) {
        param = gr_params_find(l->params, place.parameter);
    }
    if (!param) {
        GR_FAIL(GR_ERR_DATA,
                "%s: unknown tensor %s: the model that config.json describes has no such "
                "parameter",
                file->path, tensor->name);
    }
    GR_TRY(check_shape(file, tensor, param, place.pieces));
    GR_TRY(mark_seen(l, file, tensor, param, &place));
    float *out = gr_model_edit_weights(l->model, param->part) + param->offset +
                 param->count / place.pieces * place.piece;
    if (!gr_convert_to_f32(tensor->dtype, tensor->data, tensor->count, out)) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor %s: dtype %s, expected F32, F16, BF16 or F64",
                file->path, tensor->name, gr_dtype_name(tensor->dtype));
    }
    GR_TRY(check_range(file, tensor, out));
done:
    return err;
}

static gr_err check_complete(const loader *l)
{
    static const char *const projections[] = {"q", "k", "v"};
    gr_err err = GR_OK;
    for (int64_t i = 0; i < l->params->count; i++) {
        const gr_param *param = &l->params->items[i];
        unsigned seen = l->seen[i];
        if (!(l->parts & (1u << param->part)) || seen == WHOLE) {
            continue;
        }
        char shape[128];
        int piece = seen & 1u ? (seen & 2u ? 2 : 1) : 0;
        GR_FAIL(
            GR_ERR_DATA,
            "%s: missing tensor %s%s%s (part %s, expected shape %s): config.json describes a "
            "model that has it",
            l->dir, param->name, seen ? ", its rows of " : "", seen ? projections[piece] : "",
            gr_part_name(param->part),
            shape_text(param->shape, param->ndim, shape, sizeof shape));
    }
done:
    return err;
}

gr_err gr_hf_load_weights(const char *dir, gr_part_set parts, gr_model *model)
{
    gr_err err = GR_OK;
    gri_hf_files files = {0};
    loader l = {.dir = dir,
                .parts = parts & gr_model_get_config(model)->parts,
                .model = model,
                .params = gr_model_get_params(model)};
    GR_ALLOC(l.seen, l.params->count);
    GR_TRY(gri_hf_files_open(dir, &files));
    for (int64_t i = 0; i < files.count; i++) {
        for (int64_t k = 0; k < files.items[i]->count; k++) {
            const gr_safetensor *t = &files.items[i]->items[k];
            GR_TRY(load_tensor(&l, files.items[i], t));
            gr_file_map_drop(&files.items[i]->map, t->data,
                             (size_t)t->count * gr_dtype_size(t->dtype));
        }
    }
    GR_TRY(check_complete(&l));
done:
    gri_hf_files_close(&files);
    GR_FREE(l.seen);
    return err;
}

static int by_offset(const void *a, const void *b)
{
    const gr_hf_stored *x = a, *y = b;
    return x->part != y->part ? (x->part > y->part) - (x->part < y->part)
                              : (x->offset > y->offset) - (x->offset < y->offset);
}

/// Appends what the tensor holds of these parts; there is room.
static gr_err list_tensor(const gr_safetensor *tensor, gr_part_set parts, const gr_model *model,
                          gr_hf_stored *list, int64_t *count)
{
    gr_err err = GR_OK;
    gri_hf_place place;
    const gr_model_config *config = gr_model_get_config(model);
    const gr_param *param = NULL;
    if (!gri_hf_ignored(config, tensor->name) &&
        gri_hf_place_of(config->vision.kind, tensor->name, &place) && parts >> place.part & 1) {
        param = gr_params_find(gr_model_get_params(model), place.parameter);
    }
    if (!param) {
        goto done;
    }
    gr_hf_stored *s = &list[*count];
    *s = (gr_hf_stored){.part = param->part, .ndim = tensor->ndim};
    s->count = param->count / place.pieces;
    s->offset = param->offset + s->count * place.piece;
    memcpy(s->shape, tensor->shape, (size_t)tensor->ndim * sizeof *s->shape);
    GR_STRDUP(s->name, tensor->name);
    *count += 1;
done:
    return err;
}

gr_err gr_hf_list_stored(const char *dir, gr_part_set parts, const gr_model *model,
                         gr_hf_stored **out, int64_t *count)
{
    gr_err err = GR_OK;
    gri_hf_files files = {0};
    gr_hf_stored *list = NULL;
    int64_t all = 0, n = 0;
    GR_TRY(gri_hf_files_open(dir, &files));
    for (int64_t i = 0; i < files.count; i++) {
        all += files.items[i]->count;
    }
    GR_ALLOC(list, all);
    for (int64_t i = 0; i < files.count; i++) {
        for (int64_t k = 0; k < files.items[i]->count; k++) {
            GR_TRY(list_tensor(&files.items[i]->items[k], parts, model, list, &n));
        }
    }
    qsort(list, (size_t)n, sizeof *list, by_offset);
    *out = list;
    *count = n;
    list = NULL;
done:
    gr_hf_stored_free(&list, n);
    gri_hf_files_close(&files);
    return err;
}

void gr_hf_stored_free(gr_hf_stored **list, int64_t count)
{
    for (int64_t i = 0; *list && i < count; i++) {
        GR_FREE((*list)[i].name);
    }
    GR_FREE(*list);
}
