#include "stages/plan_cut.h"

#include "src/base/mem.h"
#include "stages/plan_batch.h"

#include <string.h>

enum { MOST_WORDS = 16384 };

gr_err gri_plan_find_row(gr_plan *plan, const gr_plan_stage **stage, const gr_plan_row **row)
{
    gr_err err = GR_OK;
    double most = 0;
    const gr_tally *tally = NULL;
    for (int64_t i = 0; i < plan->recipe->stage_count; i++) {
        const gr_plan_stage *s = &plan->stages[i];
        const gr_plan_row *r = &s->rows[s->worst];
        int64_t memory = 0;
        GR_TRY(gr_setup_enter_stage(plan->setup, s->stage));
        GR_TRY(gr_plan_count_row(plan, s, r, &tally, &memory));
        if (gr_tally_flops(tally) > most) {
            most = gr_tally_flops(tally);
            *stage = s;
            *row = r;
        }
    }
done:
    return err;
}

gr_part_set gri_plan_trains(const gr_plan *plan)
{
    gr_part_set parts = 0;
    for (int64_t i = 0; i < plan->recipe->stage_count; i++) {
        parts |= plan->recipe->stages[i].trains;
    }
    return parts;
}

/// Blocks of a stack when `most` run; dropped paths begin with the second.
static int64_t fewer(int64_t blocks, int64_t most)
{
    return blocks < most ? blocks : most;
}

/// Counts what a pass of the cut model would be.
static gr_err count_cut(const gr_plan *plan, gri_plan_cut *c)
{
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    gr_model *model = NULL;
    gr_tally *tally = NULL;
    gri_plan_batch b = {0};
    float *grads[GR_PART_COUNT] = {NULL};
    double loss = 0;
    GR_ALLOC(tally, 1);
    GR_TRY(gr_exec_create_counting(plan->options.threads, plan->recipe->precision, &ex));
    GR_TRY(gr_model_create(&c->config, ex, &model));
    c->bytes = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        const int64_t bytes = gr_model_get_params(model)->size[p] * (int64_t)sizeof(float);
        grads[p] = gr_arena_addresses(ex->scratch, bytes);
        c->bytes += 2 * bytes;
    }
    GR_TRY(
        gri_plan_batch_fill(&c->config, c->images, c->targets, c->lengths, c->sequences, &b));
    b.batch.pixels = (gr_pixels){.bytes = (const unsigned char *)grads[0],
                                 .table = (const float(*)[256])grads[0]};
    ex->tally = tally;
    GR_TRY(gr_model_loss_grad(model, &b.batch, gri_plan_trains(plan), grads, &loss));
    c->flops = gr_tally_flops(tally);
done:
    gri_plan_batch_fini(&b);
    gr_model_destroy(&model);
    gr_exec_destroy(&ex);
    GR_FREE(tally);
    return err;
}

static int64_t tokens_of(const gri_plan_cut *c)
{
    int64_t tokens = 0;
    for (int64_t i = 0; i < c->sequences; i++) {
        tokens += c->lengths[i];
    }
    return tokens;
}

/// Half the tokens, from the front, with half the pictures and targets; a picture stays, and some text beside it. False: it is as short as
/// that already.
static bool halve_row(gri_plan_cut *c)
{
    enum { FEW = 64 };
    const int64_t before = tokens_of(c);
    c->images = (c->images + 1) / 2;
    const int64_t rows = c->images > 0 ? c->images * gr_image_tokens(&c->config.vision) : 0;
    const int64_t tokens = before / 2 > rows + FEW ? before / 2 : rows + FEW;
    if (tokens >= before) {
        return false;
    }
    c->sequences = 0;
    for (int64_t left = tokens; left > 0;) {
        int64_t *length = &c->lengths[c->sequences++];
        *length = *length < left ? *length : left;
        left -= *length;
    }
    c->targets = (c->targets + 1) / 2;
    c->targets = c->targets < tokens - rows ? c->targets : tokens - rows;
    return true;
}

gr_err gri_plan_choose_cut(gr_plan *plan, const gr_plan_stage *s, const gr_plan_row *row,
                           double rate, double seconds, gri_plan_cut *c)
{
    gr_err err = GR_OK;
    const gr_model_config *whole = gr_model_get_config(plan->setup->model);
    const int64_t least = whole->vision.drop_path > 0 ? 2 : 1;
    const double flops = rate * seconds;
    const int64_t bytes = gr_cpu_get()->memory / 4 / gr_plan_local(&plan->options);
    *c = (gri_plan_cut){.config = *whole,
                        .images = row->images,
                        .targets = row->targets,
                        .sequences = row->sequences};
    GR_ALLOC(c->lengths, row->sequences);
    memcpy(c->lengths, s->lengths + row->first, (size_t)row->sequences * sizeof *c->lengths);
    for (int64_t most = 128; most >= least; most /= 2) {
        gr_vision_config *v = &c->config.vision;
        v->blocks =
            whole->connector.blocks_left_out + fewer(gr_model_vision_blocks(whole), most);
        c->config.language.blocks = fewer(whole->language.blocks, most);
        GR_TRY(count_cut(plan, c));
        if (c->flops <= flops && c->bytes <= bytes) {
            goto done;
        }
        c->config.language.vocabulary = fewer(whole->language.vocabulary, MOST_WORDS);
    }
    while (c->flops > flops && halve_row(c)) {
        GR_TRY(count_cut(plan, c));
    }
done:
    return err;
}
