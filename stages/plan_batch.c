#include "stages/plan_batch.h"

#include "src/base/mem.h"
#include "src/ops/loss.h"

void gri_plan_batch_fini(gri_plan_batch *b)
{
    GR_FREE(b->ids);
    GR_FREE(b->targets);
    GR_FREE(b->positions);
    GR_FREE(b->cu_seqlens);
    GR_FREE(b->image_rows);
    *b = (gri_plan_batch){0};
}

static gr_err reserve(gri_plan_batch *b, int64_t tokens, int64_t sequences, int64_t rows)
{
    gr_err err = GR_OK;
    if (b->ids && tokens <= b->tokens && sequences <= b->sequences && rows <= b->rows) {
        goto done;
    }
    gri_plan_batch_fini(b);
    GR_ALLOC(b->ids, tokens);
    GR_ALLOC(b->targets, tokens);
    GR_ALLOC(b->positions, tokens);
    GR_ALLOC(b->cu_seqlens, sequences + 1);
    GR_ALLOC(b->image_rows, rows);
    b->tokens = tokens;
    b->sequences = sequences;
    b->rows = rows;
done:
    return err;
}

/// Words that take turns, so that a table is looked up as training does.
static int32_t word(const gr_model_config *config, int64_t t)
{
    return (int32_t)(t * 7919 % config->language.vocabulary);
}

gr_err gri_plan_batch_fill(const gr_model_config *config, int64_t images, int64_t targets,
                           const int64_t *lengths, int64_t sequences, gri_plan_batch *b)
{
    gr_err err = GR_OK;
    int64_t tokens = 0;
    const int64_t rows = images > 0 ? images * gr_image_tokens(&config->vision) : 0;
    for (int64_t s = 0; s < sequences; s++) {
        tokens += lengths[s];
    }
    GR_TRY(reserve(b, tokens, sequences, rows));
    for (int64_t s = 0, t = 0; s < sequences; s++) {
        for (int64_t i = 0; i < lengths[s]; i++, t++) {
            b->positions[t] = (int32_t)i;
            b->ids[t] = word(config, t);
            b->targets[t] =
                t >= rows && t >= tokens - targets ? word(config, t + 1) : GR_NO_TARGET;
        }
        b->cu_seqlens[s + 1] = (int32_t)t;
    }
    for (int64_t m = 0; m < rows; m++) {
        b->image_rows[m] = (int32_t)m;
    }
    b->batch = (gr_batch){.tokens = tokens,
                          .ids = b->ids,
                          .targets = b->targets,
                          .positions = b->positions,
                          .sequences = sequences,
                          .cu_seqlens = b->cu_seqlens,
                          .images = images,
                          .image_rows = b->image_rows,
                          .drop_path = true};
done:
    return err;
}
