#include "src/base/mem.h"
#include "src/model/forward.h"

#include <math.h>
#include <string.h>

/// The sequence so far. The prompt's image rows stay where they are; new tokens come behind them.
typedef struct text {
    gr_batch batch; ///< a copy of the prompt that grows, over the arrays below
    int32_t *ids, *positions;
    int32_t cu_seqlens[2];
} text;

static gr_err text_init(text *t, const gr_batch *prompt, int64_t max_new)
{
    gr_err err = GR_OK;
    size_t bytes = (size_t)prompt->tokens * sizeof(int32_t);
    GR_ALLOC(t->ids, prompt->tokens + max_new);
    GR_ALLOC(t->positions, prompt->tokens + max_new);
    memcpy(t->ids, prompt->ids, bytes);
    memcpy(t->positions, prompt->positions, bytes);
    t->cu_seqlens[0] = 0;
    t->cu_seqlens[1] = (int32_t)prompt->tokens;
    t->batch = *prompt;
    t->batch.ids = t->ids;
    t->batch.positions = t->positions;
    t->batch.cu_seqlens = t->cu_seqlens;
done:
    return err;
}

static void text_fini(text *t)
{
    GR_FREE(t->ids);
    GR_FREE(t->positions);
}

static void text_append(text *t, int32_t id)
{
    int64_t n = t->batch.tokens;
    t->ids[n] = id;
    t->positions[n] = t->positions[n - 1] + 1;
    t->batch.tokens = n + 1;
    t->cu_seqlens[1] = (int32_t)(n + 1);
}

/// The likeliest next id; of equal ones the smallest.
static gr_err next_id(const gr_model *model, const text *t, gr_tensor outputs, int32_t *out)
{
    gr_err err = GR_OK;
    gr_exec *ex = model->ex;
    const gr_language_config *l = &model->config.language;
    int64_t mark = gr_arena_mark(ex->scratch), T = t->batch.tokens;
    gri_language_input in = gri_language_input_take(model, &t->batch, outputs);
    gr_tensor h = gri_take_matrix(ex, T, l->width);
    gr_tensor logits = gri_take_matrix(ex, 1, l->vocabulary);
    gri_language_fwd(ex, &model->language, &in, h, NULL);
    ex->ops->linear_fwd(ex, gr_tensor_rows(h, T - 1, 1), model->language.head.value,
                        gr_tensor_none(), logits);
    const float *z = gr_tensor_f32(logits, 0);
    int64_t best = 0;
    for (int64_t v = 0; v < l->vocabulary; v++) {
        if (!isfinite(z[v])) {
            GR_FAIL(GR_ERR_NONFINITE, "the logit of id %lld behind %lld tokens is not finite",
                    (long long)v, (long long)T);
        }
        best = z[v] > z[best] ? v : best;
    }
    *out = (int32_t)best;
done:
    gr_arena_reset(ex->scratch, mark);
    return err;
}

static bool stops_at(const int32_t *stop, int64_t stops, int32_t id)
{
    for (int64_t i = 0; i < stops; i++) {
        if (stop[i] == id) {
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

gr_err gr_generate(gr_model *model, const gr_batch *prompt, const int32_t *stop, int64_t stops,
                   int64_t max_new, int32_t *out, int64_t *count)
{
    gr_err err = GR_OK;
    int64_t mark = gr_arena_mark(model->ex->scratch), written = 0;
    gri_images images = {0};
    text t = {0};
    GR_ASSERT(max_new >= 0);
    GR_TRY(check_prompt(model, prompt));
    int64_t room =
        model->config.language.max_positions - 1 - prompt->positions[prompt->tokens - 1];
    int64_t most = max_new < room ? max_new : room;
    GR_TRY(text_init(&t, prompt, most));
    gri_images_fwd(model, prompt, false, false, &images);
    while (written < most) {
        int32_t id = 0;
        GR_TRY(next_id(model, &t, images.outputs, &id));
        if (stops_at(stop, stops, id)) {
            break;
        }
        out[written++] = id;
        text_append(&t, id);
    }
    *count = written;
done:
    text_fini(&t);
    gr_arena_reset(model->ex->scratch, mark);
    return err;
}
