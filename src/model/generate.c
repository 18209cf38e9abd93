#include "src/model/forward.h"

#include <math.h>

/// The likeliest id that may be chosen behind the last row of h.
static gr_err likeliest(const gr_model *model, gr_tensor h, const gr_generation *how,
                        int32_t *out)
{
    gr_err err = GR_OK;
    gr_exec *ex = model->ex;
    const int64_t rows = model->config.language.vocabulary;
    const int64_t ids = how->ids > 0 && how->ids < rows ? how->ids : rows;
    gr_tensor logits = gri_take_matrix(ex, 1, ids);
    gr_tensor head = gr_tensor_rows(model->language.head.factor, 0, ids);
    ex->ops->linear_fwd(ex, gr_tensor_rows(h, h.shape[0] - 1, 1), head, gr_tensor_none(),
                        logits);
    const float *z = gr_tensor_f32(logits, 0);
    int64_t best = -1;
    for (int64_t v = 0; v < ids; v++) {
        if (!isfinite(z[v])) {
            GR_FAIL(GR_ERR_NONFINITE, "the logit of id %lld is not finite", (long long)v);
        }
        bool usable = !how->usable || how->usable[v];
        best = usable && (best < 0 || z[v] > z[best]) ? v : best;
    }
    if (best < 0) {
        GR_FAIL(GR_ERR_DATA, "none of %lld ids may be chosen", (long long)ids);
    }
    *out = (int32_t)best;
done:
    return err;
}

/// Runs the next rows of the sequence and gives the likeliest id behind them.
static gr_err next_id(const gr_model *model, const gri_language_input *in,
                      const gr_generation *how, int32_t *out)
{
    gr_exec *ex = model->ex;
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor h = gri_take_matrix(ex, in->ids.shape[0], model->config.language.width);
    gri_language_fwd(ex, &model->language, in, h, NULL);
    gr_err err = likeliest(model, h, how, out);
    gr_arena_reset(ex->scratch, mark);
    return err;
}

/// The prompt: its images and all its rows.
static gr_err first_id(const gr_model *model, const gr_batch *prompt, gri_memory *memory,
                       const gr_generation *how, int32_t *out)
{
    gr_exec *ex = model->ex;
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_images images = {0};
    gri_images_fwd(model, prompt, false, false, &images);
    gri_language_input in = gri_language_input_take(model, prompt, images.outputs);
    in.memory = memory;
    gr_err err = next_id(model, &in, how, out);
    gr_arena_reset(ex->scratch, mark);
    return err;
}

/// One more row, at this position.
static gr_err following_id(const gr_model *model, int32_t id, int32_t position,
                           gri_memory *memory, const gr_generation *how, int32_t *out)
{
    static const int32_t row[] = {0, 1};
    const gri_language_input in = {
        .ids = gr_tensor_i32(&id, 1),
        .seq = {.cu_seqlens = gr_tensor_i32(row, 2), .positions = gr_tensor_i32(&position, 1)},
        .memory = memory,
    };
    return next_id(model, &in, how, out);
}

static bool stops_at(const gr_generation *how, int32_t id)
{
    for (int64_t i = 0; i < how->stops; i++) {
        if (how->stop[i] == id) {
            return true;
        }
    }
    return false;
}

static gr_err check_prompt(const gr_model *model, const gr_batch *prompt)
{
    gr_err err = GR_OK;
    if (!gri_has_part(model, GR_PART_LANGUAGE)) {
        GR_FAIL(GR_ERR_DATA, "generation needs a language model, and the model has none");
    }
    if (prompt->sequences != 1 || prompt->tokens < 1) {
        GR_FAIL(GR_ERR_DATA, "generation continues one sequence, got %lld with %lld tokens",
                (long long)prompt->sequences, (long long)prompt->tokens);
    }
    GR_TRY(gri_batch_check(model, prompt, false));
done:
    return err;
}

gr_err gr_generate(gr_model *model, const gr_batch *prompt, const gr_generation *how,
                   int32_t *out, int64_t *count, gr_generation_end *end)
{
    gr_err err = GR_OK;
    const gr_language_config *l = &model->config.language;
    int64_t mark = gr_arena_mark(model->ex->scratch), written = 0;
    if (how->most < 0) {
        GR_FAIL(GR_ERR_USAGE, "%lld new ids, expected 0 or more", (long long)how->most);
    }
    GR_TRY(gri_model_check(model));
    GR_TRY(check_prompt(model, prompt));
    int32_t position = prompt->positions[prompt->tokens - 1];
    int64_t room = l->max_positions - 1 - position;
    int64_t most = how->most < room ? how->most : room;
    gri_memory *memory =
        gri_memory_take(model->ex, &model->language.stack, prompt->tokens + most);
    *end = most < how->most ? GR_GENERATION_POSITIONS : GR_GENERATION_LENGTH;
    while (written < most) {
        int32_t id = 0;
        if (written == 0) {
            GR_TRY(first_id(model, prompt, memory, how, &id));
        } else {
            GR_TRY(following_id(model, out[written - 1], ++position, memory, how, &id));
        }
        if (stops_at(how, id)) {
            *end = GR_GENERATION_STOPPED;
            break;
        }
        out[written++] = id;
    }
    *count = written;
done:
    if (err != GR_OK) {
        gr_err_context("behind %lld tokens", (long long)(prompt->tokens + written));
    }
    gr_arena_reset(model->ex->scratch, mark);
    return err;
}
