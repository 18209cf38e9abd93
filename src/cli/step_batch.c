#include "src/cli/step_batch.h"

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/nearest.h"
#include "src/base/str.h"
#include "src/formats/safetensors.h"
#include "src/ops/loss.h"
#include "src/optim/finite.h"

#include <string.h>

static gr_err add_shape(gr_str *s, int ndim, const int64_t *shape)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(s, "["));
    for (int d = 0; d < ndim; d++) {
        const char *comma = d ? ", " : "";
        if (shape[d] < 0) {
            GR_TRY(gr_str_addf(s, "%sany", comma));
        } else {
            GR_TRY(gr_str_addf(s, "%s%lld", comma, (long long)shape[d]));
        }
    }
    GR_TRY(gr_str_add(s, "]"));
done:
    return err;
}

static gr_err wrong_tensor(const char *path, const gr_safetensor *t, gr_dtype dtype, int ndim,
                           const int64_t *shape)
{
    gr_err err = GR_OK;
    gr_str want = {0}, got = {0};
    GR_TRY(add_shape(&want, ndim, shape));
    GR_TRY(add_shape(&got, t->ndim, t->shape));
    GR_FAIL(GR_ERR_DATA, "%s: tensor \"%s\": expected %s %s, got %s %s", path, t->name,
            gr_dtype_name(dtype), want.data, gr_dtype_name(t->dtype), got.data);
done:
    gr_str_fini(&want);
    gr_str_fini(&got);
    return err;
}

// The tensor of this name, NULL when absent; -1 in `shape` stands for any size.
static gr_err get(const gr_safetensors *file, const char *name, gr_dtype dtype, int ndim,
                  const int64_t *shape, const gr_safetensor **out)
{
    gr_err err = GR_OK;
    const gr_safetensor *t = gr_safetensors_find(file, name);
    bool fits = !t || (t->dtype == dtype && t->ndim == ndim);
    for (int d = 0; t && fits && d < ndim; d++) {
        fits = shape[d] < 0 || t->shape[d] == shape[d];
    }
    if (!fits) {
        GR_TRY(wrong_tensor(file->path, t, dtype, ndim, shape));
    }
    *out = t;
done:
    return err;
}

static gr_err get_needed(const gr_safetensors *file, const char *name, gr_dtype dtype, int ndim,
                         const int64_t *shape, const gr_safetensor **out)
{
    gr_err err = GR_OK;
    GR_TRY(get(file, name, dtype, ndim, shape, out));
    if (!*out) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor \"%s\" is missing", file->path, name);
    }
done:
    return err;
}

// int64 values of [0, limit), or `none`, as int32.
static gr_err copy_ids(const gr_safetensors *file, const gr_safetensor *t, int64_t limit,
                       int64_t none, int32_t *out)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < t->count; i++) {
        int64_t id = 0;
        memcpy(&id, t->data + (size_t)i * sizeof id, sizeof id); // perhaps unaligned
        if (id != none && (id < 0 || id >= limit)) {
            GR_FAIL(GR_ERR_DATA,
                    "%s: tensor \"%s\": position %lld: expected an id from 0 to %lld, got %lld",
                    file->path, t->name, (long long)i, (long long)limit - 1, (long long)id);
        }
        out[i] = (int32_t)id;
    }
done:
    return err;
}

// One sequence over all tokens when the file has no cu_seqlens.
static gr_err read_sequences(const gr_safetensors *file, gri_step_batch *b)
{
    gr_err err = GR_OK;
    const gr_safetensor *t = NULL;
    gr_batch *batch = &b->batch;
    GR_TRY(get(file, "cu_seqlens", GR_DTYPE_I32, 1, (int64_t[]){-1}, &t));
    batch->sequences = !t ? 1 : t->count - 1;
    if (batch->sequences < 0) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor \"cu_seqlens\" is empty: expected [sequences + 1]",
                file->path);
    }
    GR_ALLOC(b->cu_seqlens, batch->sequences + 1);
    if (t) {
        memcpy(b->cu_seqlens, t->data, (size_t)t->count * sizeof *b->cu_seqlens);
    } else {
        b->cu_seqlens[1] = (int32_t)batch->tokens;
    }
    bool ordered = b->cu_seqlens[0] == 0 && b->cu_seqlens[batch->sequences] == batch->tokens;
    for (int64_t s = 0; ordered && s < batch->sequences; s++) {
        ordered = b->cu_seqlens[s] <= b->cu_seqlens[s + 1];
    }
    if (!ordered) {
        GR_FAIL(GR_ERR_DATA,
                "%s: tensor \"cu_seqlens\": expected borders that rise from 0 to %lld (tokens)",
                file->path, (long long)batch->tokens);
    }
    batch->cu_seqlens = b->cu_seqlens;
done:
    return err;
}

// labels[t] is predicted at t - 1: shift left, and nothing is predicted across a border.
static void shift_labels(gri_step_batch *b, const int32_t *labels)
{
    for (int64_t s = 0; s < b->batch.sequences; s++) {
        int64_t first = b->cu_seqlens[s], end = b->cu_seqlens[s + 1];
        for (int64_t t = first; t < end; t++) {
            b->positions[t] = (int32_t)(t - first);
            b->target_ids[t] = t + 1 < end ? labels[t + 1] : GR_NO_TARGET;
            b->targets += b->target_ids[t] >= 0;
        }
    }
    b->batch.positions = b->positions;
    b->batch.targets = b->target_ids;
}

static gr_err read_text(const gr_safetensors *file, const gr_language_config *l,
                        gri_step_batch *b)
{
    gr_err err = GR_OK;
    const gr_safetensor *ids = NULL, *labels = NULL;
    int32_t *label_ids = NULL;
    GR_TRY(get_needed(file, "input_ids", GR_DTYPE_I64, 1, (int64_t[]){-1}, &ids));
    GR_TRY(get_needed(file, "labels", GR_DTYPE_I64, 1, (int64_t[]){ids->count}, &labels));
    if (ids->count > INT32_MAX) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor \"input_ids\": %lld tokens are too many", file->path,
                (long long)ids->count);
    }
    b->batch.tokens = ids->count;
    GR_ALLOC(b->ids, ids->count);
    GR_ALLOC(b->target_ids, ids->count);
    GR_ALLOC(b->positions, ids->count);
    GR_ALLOC(label_ids, ids->count);
    GR_TRY(copy_ids(file, ids, l->vocabulary, 0, b->ids));
    GR_TRY(copy_ids(file, labels, l->vocabulary, GR_NO_TARGET, label_ids));
    GR_TRY(read_sequences(file, b));
    shift_labels(b, label_ids);
    b->batch.ids = b->ids;
done:
    GR_FREE(label_ids);
    return err;
}

// One value that is not finite makes everything behind it so, which says nothing of the model.
static gr_err check_finite(const gr_safetensors *file, const gr_safetensor *t,
                           const float *values)
{
    gr_err err = GR_OK;
    const int64_t at = gr_last_nonfinite(t->count, values, 1);
    if (at >= 0) {
        const int64_t each = t->count / t->shape[0];
        GR_FAIL(
            GR_ERR_DATA,
            "%s: tensor \"%s\": image %lld, value %lld of it is %g: expected finite numbers, "
            "normalised pixels",
            file->path, t->name, (long long)(at / each), (long long)(at % each),
            (double)values[at]);
    }
done:
    return err;
}

static gr_err read_images(const gr_safetensors *file, const gr_vision_config *v,
                          gri_step_batch *b)
{
    gr_err err = GR_OK;
    const gr_safetensor *t = NULL;
    const int64_t shape[] = {-1, v->channels, -1, -1};
    GR_TRY(get(file, "pixel_values", GR_DTYPE_F32, 4, shape, &t));
    if (t) {
        for (int d = 2; d < 4; d++) {
            GR_TRY_CONTEXT(gr_vision_check_side(v, d == 2 ? "height" : "width", t->shape[d]),
                           "%s: tensor \"pixel_values\"", file->path);
        }
        GR_ALLOC(b->pixels, t->count);
        memcpy(b->pixels, t->data, (size_t)t->count * sizeof *b->pixels);
        GR_TRY(check_finite(file, t, b->pixels));
        b->batch.images = t->shape[0];
        b->batch.height = t->shape[2];
        b->batch.width = t->shape[3];
        b->batch.pixels = (gr_pixels){.values = b->pixels};
    }
done:
    return err;
}

// Without pictures these are ids as others, which transformers takes, too; seldom is it what was meant.
static void warn_no_pictures(const char *path, int64_t image_token, const gr_batch *batch)
{
    int64_t found = 0;
    for (int64_t t = 0; t < batch->tokens; t++) {
        found += image_token >= 0 && batch->ids[t] == image_token;
    }
    if (found > 0) {
        gr_log_warn(
            "%s: %lld image token%s (id %lld), but no \"pixel_values\": the token's own "
            "embedding stands there",
            path, (long long)found, GR_PLURAL(found), (long long)image_token);
    }
}

// The rows that images replace: as many as the pictures have tokens.
static gr_err find_image_rows(const char *path, int64_t image_token, int64_t image_tokens,
                              gri_step_batch *b)
{
    gr_err err = GR_OK;
    const gr_batch *batch = &b->batch;
    int64_t found = 0, want = batch->images * image_tokens;
    if (batch->images == 0) {
        warn_no_pictures(path, image_token, batch);
        goto done;
    }
    if (image_token < 0) {
        GR_FAIL(GR_ERR_DATA,
                "%s: there are pictures, but the model directory has no tokenizer that knows "
                "<IMG_CONTEXT>: give --image-token ID",
                path);
    }
    GR_ALLOC(b->image_rows, want);
    for (int64_t t = 0; t < batch->tokens; t++) {
        if (batch->ids[t] == image_token) {
            if (found < want) {
                b->image_rows[found] = (int32_t)t;
            }
            found++;
        }
    }
    if (found != want) {
        GR_FAIL(GR_ERR_DATA,
                "%s: tensor \"input_ids\": expected %lld image tokens (id %lld) for %lld "
                "pictures, got %lld",
                path, (long long)want, (long long)image_token, (long long)batch->images,
                (long long)found);
    }
    b->batch.image_rows = b->image_rows;
done:
    return err;
}

// A misspelt tensor would silently mean another batch.
static gr_err check_names(const gr_safetensors *file)
{
    static const char *const known[] = {"input_ids", "labels", "cu_seqlens", "pixel_values"};
    enum { KNOWN = sizeof known / sizeof known[0] };
    gr_err err = GR_OK;
    for (int64_t i = 0; i < file->count; i++) {
        const char *name = file->items[i].name;
        bool found = false;
        for (int k = 0; k < KNOWN; k++) {
            found = found || strcmp(name, known[k]) == 0;
        }
        const char *near = found ? NULL : gr_nearest(name, known, KNOWN);
        if (near) {
            GR_FAIL(GR_ERR_DATA, "%s: tensor \"%s\" is not known; did you mean \"%s\"?",
                    file->path, name, near);
        }
        if (!found) {
            GR_FAIL(GR_ERR_DATA,
                    "%s: tensor \"%s\" is not known; expected input_ids, labels, cu_seqlens, "
                    "pixel_values",
                    file->path, name);
        }
    }
done:
    return err;
}

static gr_err read_all(const gr_safetensors *file, const gr_model_config *config,
                       int64_t image_token, gri_step_batch *b)
{
    gr_err err = GR_OK;
    bool vision = config->parts & 1u << GR_PART_VISION;
    bool language = config->parts & 1u << GR_PART_LANGUAGE;
    if (vision) {
        GR_TRY(read_images(file, &config->vision, b));
    } else if (gr_safetensors_find(file, "pixel_values")) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor \"pixel_values\": the model has no vision part",
                file->path);
    }
    if (language) {
        GR_TRY(read_text(file, &config->language, b));
    } else if (gr_safetensors_find(file, "labels")) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: tensor \"labels\": the model has no language part, so there is no loss: leave "
            "labels out for vision_features alone, or give a whole model",
            file->path);
    } else if (b->batch.images == 0) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: tensor \"pixel_values\" is missing: a vision part alone computes nothing else",
            file->path);
    } else {
        GR_ALLOC(b->cu_seqlens, 1);
        b->batch.cu_seqlens = b->cu_seqlens;
    }
    if (vision && language) {
        gr_grid grid = gr_vision_grid(&config->vision, b->batch.height, b->batch.width);
        GR_TRY(find_image_rows(file->path, image_token, grid.rows * grid.columns / 4, b));
    }
done:
    return err;
}

gr_err gri_step_batch_read(const char *path, const gr_model_config *config, int64_t image_token,
                           gri_step_batch *out)
{
    gr_err err = GR_OK;
    gr_safetensors *file = NULL;
    gri_step_batch b = {0};
    GR_TRY(gr_safetensors_open(path, &file));
    GR_TRY(check_names(file));
    GR_TRY(read_all(file, config, image_token, &b));
    *out = b;
    b = (gri_step_batch){0};
done:
    gr_safetensors_close(&file);
    gri_step_batch_fini(&b);
    return err;
}

void gri_step_batch_fini(gri_step_batch *b)
{
    GR_FREE(b->ids);
    GR_FREE(b->target_ids);
    GR_FREE(b->positions);
    GR_FREE(b->cu_seqlens);
    GR_FREE(b->image_rows);
    GR_FREE(b->pixels);
}
