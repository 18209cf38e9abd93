#include "src/model/forward.h"

#include "src/ops/loss.h"

#include <string.h>

static gr_err check_sequences(const gr_batch *batch)
{
    gr_err err = GR_OK;
    const int32_t *cu = batch->cu_seqlens;
    if (batch->sequences < 0 || batch->sequences > INT32_MAX || !cu || cu[0] != 0) {
        GR_FAIL(GR_ERR_DATA, "cu_seqlens[0]: expected 0, got %lld for %lld sequences",
                cu ? (long long)cu[0] : -1LL, (long long)batch->sequences);
    }
    for (int64_t s = 1; s <= batch->sequences; s++) {
        if (cu[s] < cu[s - 1] || cu[s] > batch->tokens) {
            GR_FAIL(GR_ERR_DATA, "cu_seqlens[%lld]: expected %d to %lld, got %d", (long long)s,
                    cu[s - 1], (long long)batch->tokens, cu[s]);
        }
    }
    if (cu[batch->sequences] != batch->tokens) {
        GR_FAIL(GR_ERR_DATA, "cu_seqlens[%lld]: expected %lld (all tokens), got %d",
                (long long)batch->sequences, (long long)batch->tokens, cu[batch->sequences]);
    }
done:
    return err;
}

/// Marks in image[T] the rows that hold images.
static gr_err check_image_rows(const gr_batch *batch, int64_t count, unsigned char *image)
{
    gr_err err = GR_OK;
    memset(image, 0, (size_t)batch->tokens);
    for (int64_t m = 0; m < count; m++) {
        int32_t row = batch->image_rows[m];
        if (row < 0 || row >= batch->tokens) {
            GR_FAIL(GR_ERR_DATA, "image_rows[%lld]: expected 0 to %lld, got %d", (long long)m,
                    (long long)batch->tokens - 1, row);
        }
        if (image[row]) {
            GR_FAIL(GR_ERR_DATA, "image_rows[%lld]: row %d stands there twice", (long long)m,
                    row);
        }
        image[row] = 1;
    }
done:
    return err;
}

static gr_err check_tokens(const gr_language_config *l, const gr_batch *batch,
                           const unsigned char *image, bool with_targets)
{
    gr_err err = GR_OK;
    for (int64_t t = 0; t < batch->tokens; t++) {
        if (!image[t] && (batch->ids[t] < 0 || batch->ids[t] >= l->vocabulary)) {
            GR_FAIL(GR_ERR_DATA, "ids[%lld]: expected 0 to %lld, got %d", (long long)t,
                    (long long)l->vocabulary - 1, batch->ids[t]);
        }
        if (batch->positions[t] < 0 || batch->positions[t] >= l->max_positions) {
            GR_FAIL(
                GR_ERR_DATA,
                "positions[%lld]: expected 0 to %lld, got %d: a sequence is longer than the "
                "model's max_position_embeddings",
                (long long)t, (long long)l->max_positions - 1, batch->positions[t]);
        }
        int32_t target = with_targets ? batch->targets[t] : GR_NO_TARGET;
        if (target != GR_NO_TARGET && (target < 0 || target >= l->vocabulary)) {
            GR_FAIL(GR_ERR_DATA, "targets[%lld]: expected 0 to %lld or -100, got %d",
                    (long long)t, (long long)l->vocabulary - 1, target);
        }
    }
done:
    return err;
}

static gr_err check_language_batch(const gr_model *model, const gr_batch *batch,
                                   bool with_targets)
{
    gr_err err = GR_OK;
    gr_arena *arena = model->ex->scratch;
    int64_t mark = gr_arena_mark(arena);
    gr_grid grid = batch->images ? gri_batch_grid(model, batch) : (gr_grid){0};
    int64_t rows = batch->images * (grid.rows * grid.columns / 4);
    if (rows > batch->tokens) {
        GR_FAIL(GR_ERR_DATA, "%lld images need %lld rows, but the batch has %lld tokens",
                (long long)batch->images, (long long)rows, (long long)batch->tokens);
    }
    unsigned char *image = gr_arena_take(arena, batch->tokens);
    GR_TRY(check_sequences(batch));
    GR_TRY(check_image_rows(batch, rows, image));
    GR_TRY(check_tokens(&model->config.language, batch, image, with_targets));
done:
    gr_arena_reset(arena, mark);
    return err;
}

/// Sizes of the pictures that are not the model's own.
static gr_err check_picture_size(const gr_model *model, const gr_batch *batch)
{
    gr_err err = GR_OK;
    const gr_vision_config *v = &model->config.vision;
    int64_t side[2] = {0}, patch = v->patch_size;
    bool merged = gri_has_part(model, GR_PART_CONNECTOR);
    gri_picture_size(model, batch, &side[0], &side[1]);
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "height" : "width";
        GR_TRY(gr_vision_check_side(v, name, side[i]));
        if (merged && side[i] / patch % 2 != 0) {
            GR_FAIL(GR_ERR_DATA,
                    "images of %s %lld: %lld patches are odd, but the connector merges 2 x 2",
                    name, (long long)side[i], (long long)(side[i] / patch));
        }
    }
done:
    return err;
}

gr_err gri_batch_check(const gr_model *model, const gr_batch *batch, bool with_targets)
{
    gr_err err = GR_OK;
    if (batch->tokens < 0 || batch->tokens > INT32_MAX) {
        GR_FAIL(GR_ERR_DATA, "%lld tokens, expected 0 to %d", (long long)batch->tokens,
                INT32_MAX);
    }
    int64_t most = INT32_MAX;
    if (gri_has_part(model, GR_PART_VISION)) {
        GR_TRY(check_picture_size(model, batch));
        gr_grid grid = gri_batch_grid(model, batch);
        most = INT32_MAX / (grid.rows * grid.columns + 1);
    }
    if (batch->images < 0 || batch->images > most) {
        GR_FAIL(GR_ERR_DATA, "%lld images, expected 0 to %lld", (long long)batch->images,
                (long long)most);
    }
    if (batch->images > 0 && !gri_has_part(model, GR_PART_VISION)) {
        GR_FAIL(GR_ERR_DATA, "the batch has %lld images, but the model no vision part",
                (long long)batch->images);
    }
    if (gri_has_part(model, GR_PART_LANGUAGE)) {
        GR_TRY(check_language_batch(model, batch, with_targets));
    } else if (batch->tokens > 0) {
        GR_FAIL(GR_ERR_DATA, "the batch has %lld tokens, but the model no language part",
                (long long)batch->tokens);
    }
done:
    return err;
}

gri_language_input gri_language_input_take(const gr_model *model, const gr_batch *batch,
                                           gr_tensor outputs)
{
    int64_t T = batch->tokens;
    int32_t *ids = gr_arena_take(model->ex->scratch, T * (int64_t)sizeof *ids);
    memcpy(ids, batch->ids, (size_t)T * sizeof *ids);
    gri_language_input in = {
        .ids = gr_tensor_i32(ids, T),
        .seq = {.cu_seqlens = gr_tensor_i32(batch->cu_seqlens, batch->sequences + 1),
                .positions = gr_tensor_i32(batch->positions, T)},
        .images = outputs,
    };
    if (gr_tensor_present(outputs)) {
        in.image_rows = gr_tensor_i32(batch->image_rows, outputs.shape[0]);
        for (int64_t m = 0; m < outputs.shape[0]; m++) {
            ids[batch->image_rows[m]] = -1;
        }
    }
    return in;
}
