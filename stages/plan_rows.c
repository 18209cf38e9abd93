/// The rows of a stage, listed and counted.

#include "stages/plan_private.h"

#include "src/base/mem.h"
#include "stages/plan_batch.h"

#include <string.h>

static gr_err add_row(void *stage, const gr_row_shape *shape)
{
    gr_err err = GR_OK;
    gr_plan_stage *s = stage;
    if (shape->tokens == 0) {
        goto done;
    }
    if (s->row_count == s->row_capacity) {
        const int64_t grown = s->row_capacity > 0 ? 2 * s->row_capacity : 256;
        GR_RESIZE(s->rows, s->row_capacity, grown);
        s->row_capacity = grown;
    }
    while (s->length_count + shape->sequences > s->length_capacity) {
        const int64_t grown = s->length_capacity > 0 ? 2 * s->length_capacity : 1024;
        GR_RESIZE(s->lengths, s->length_capacity, grown);
        s->length_capacity = grown;
    }
    s->rows[s->row_count++] = (gr_plan_row){.step = shape->step,
                                            .lane = shape->lane,
                                            .tokens = shape->tokens,
                                            .images = shape->images,
                                            .targets = shape->targets,
                                            .sequences = shape->sequences,
                                            .first = s->length_count};
    memcpy(s->lengths + s->length_count, shape->lengths,
           (size_t)shape->sequences * sizeof *s->lengths);
    s->length_count += shape->sequences;
done:
    return err;
}

/// What the samples of a stage's sources are taken to be, on average: by their weights, or by how many there are.
static gr_err assume(const gr_plan *plan, gr_plan_stage *s, gr_assumed_rows *out)
{
    gr_err err = GR_OK;
    const gr_recipe_stage *stage = s->stage;
    double all = 0;
    *out = (gr_assumed_rows){.global_batch = stage->global_batch,
                             .lanes = plan->recipe->lanes,
                             .window = stage->window,
                             .sequence_length = stage->sequence_length,
                             .max_images = stage->max_images};
    for (int64_t i = 0; i < stage->data.count; i++) {
        const gr_recipe_source *source = &stage->data.items[i];
        const gr_recipe_assumed *a = gr_recipe_assumed_data(plan->recipe, source->path);
        if (!a) {
            GR_FAIL(
                GR_ERR_MISSING,
                "stage %s: %s is not here, and the recipe does not say what to plan with "
                "instead: assume: {data: {%s: {samples: N, tokens: N, targets: N, tiles: N}}}",
                stage->name, source->path, source->path);
        }
        const double samples = (double)a->samples * (source->to - source->from);
        const double share = source->weight > 0 ? source->weight : samples;
        s->samples += (int64_t)(samples + 0.5);
        out->tokens += share * a->tokens;
        out->targets += share * a->targets;
        out->tiles += share * a->tiles;
        all += share;
    }
    out->tokens /= all;
    out->targets /= all;
    out->tiles /= all;
    out->samples = stage->steps > 0 ? stage->steps * stage->global_batch
                                    : (int64_t)(stage->epochs * (double)s->samples + 0.5);
    s->steps = (out->samples + stage->global_batch - 1) / stage->global_batch;
done:
    return err;
}

gr_err gri_plan_list_rows(gr_plan *plan, gr_plan_stage *s)
{
    gr_err err = GR_OK;
    gr_loader *loader = NULL;
    gr_assumed_rows assumed;
    s->assumed = !gr_setup_has_data(plan->setup, &s->stage->data);
    if (s->assumed) {
        GR_TRY(assume(plan, s, &assumed));
        GR_TRY_CONTEXT(
            gr_assumed_rows_list(&assumed, plan->options.steps, add_row, s, &s->seen),
            "stage %s", s->stage->name);
    } else {
        GR_TRY(gr_setup_loader(plan->setup, s->stage, false, &loader));
        s->samples = gr_loader_epoch_size(loader);
        s->steps = gr_loader_steps(loader);
        GR_TRY_CONTEXT(gr_loader_rows(loader, plan->options.steps, add_row, s, &s->seen),
                       "stage %s", s->stage->name);
    }
    if (s->row_count == 0) {
        GR_FAIL(GR_ERR_DATA, "stage %s: none of the first samples can be used", s->stage->name);
    }
done:
    gr_loader_destroy(&loader);
    return err;
}

static gr_err check_positions(const gr_plan *plan, const gr_plan_stage *s,
                              const gr_plan_row *row)
{
    gr_err err = GR_OK;
    const int64_t most = gr_model_get_config(plan->setup->model)->language.max_positions;
    for (int64_t i = row->first; i < row->first + row->sequences; i++) {
        if (s->lengths[i] > most) {
            GR_FAIL(
                GR_ERR_DATA,
                "stage %s: a sample of %lld tokens is longer than the language model's %lld "
                "positions; lower sequence_length to that",
                s->stage->name, (long long)s->lengths[i], (long long)most);
        }
    }
done:
    return err;
}

static bool alike(const gr_plan_stage *s, const gr_plan_row *a, const gr_plan_row *b)
{
    return a->images == b->images && a->targets == b->targets && a->sequences == b->sequences &&
           memcmp(s->lengths + a->first, s->lengths + b->first,
                  (size_t)a->sequences * sizeof *s->lengths) == 0;
}

static gr_err count_anew(gr_plan *plan, const gr_plan_stage *s, const gr_plan_row *row,
                         gr_plan_counted *out)
{
    gr_err err = GR_OK;
    gr_model *model = plan->setup->model;
    gr_exec *ex = plan->setup->exec;
    gri_plan_batch b = {0};
    double loss = 0;
    *out = (gr_plan_counted){0};
    GR_TRY(check_positions(plan, s, row));
    GR_TRY(gri_plan_batch_fill(gr_model_get_config(model), row->images, row->targets,
                               s->lengths + row->first, row->sequences, &b));
    b.batch.pixels = (gr_pixels){.bytes = (const unsigned char *)plan->nowhere,
                                 .table = (const float(*)[256])plan->nowhere};
    gr_model_refresh(model);
    gr_arena_forget_peak(ex->scratch);
    ex->tally = &out->tally;
    err = gr_model_loss_grad(model, &b.batch, s->stage->trains, plan->grads, &loss);
    ex->tally = NULL;
    GR_TRY(err);
    out->memory = gr_arena_peak(ex->scratch);
    out->stage = s;
    out->row = row;
done:
    gri_plan_batch_fini(&b);
    return err;
}

gr_err gr_plan_count_row(gr_plan *plan, const gr_plan_stage *s, const gr_plan_row *row,
                         const gr_tally **tally, int64_t *memory)
{
    gr_err err = GR_OK;
    gr_plan_counted *last = plan->last;
    if (last->stage != s || !alike(s, last->row, row)) {
        GR_TRY(count_anew(plan, s, row, last));
    }
    *tally = &last->tally;
    *memory = last->memory;
done:
    return err;
}

gr_err gri_plan_count_full_row(gr_plan *plan, gr_plan_stage *s)
{
    gr_err err = GR_OK;
    const gr_model_config *config = gr_model_get_config(plan->setup->model);
    const bool sees = config->parts >> GR_PART_VISION & 1;
    const int64_t most = config->language.max_positions,
                  image = sees ? gr_image_tokens(&config->vision) : 1;
    const int64_t tokens = s->stage->sequence_length;
    int64_t images = sees ? tokens / image : 0;
    images = s->stage->max_images > 0 && s->stage->max_images < images ? s->stage->max_images
                                                                       : images;
    gr_plan_stage one = {.stage = s->stage};
    int64_t *lengths = NULL;
    const int64_t sequences = (tokens + most - 1) / most;
    GR_ALLOC(lengths, sequences);
    for (int64_t i = 0; i < sequences; i++) {
        lengths[i] = i < sequences - 1 ? most : tokens - (sequences - 1) * most;
    }
    one.lengths = lengths;
    const gr_plan_row row = {.tokens = tokens,
                             .images = images,
                             .targets = tokens - images * (sees ? image : 0),
                             .sequences = sequences};
    const gr_tally *tally = NULL;
    GR_TRY(gr_plan_count_row(plan, &one, &row, &tally, &s->activations_full));
done:
    plan->last->stage = NULL; // it is gone
    GR_FREE(lengths);
    return err;
}

gr_err gri_plan_count_rows(gr_plan *plan, gr_plan_stage *s)
{
    gr_err err = GR_OK;
    double *ranks = NULL, most = 0, of_step = 0;
    const gr_tally *tally = NULL;
    GR_ALLOC(ranks, plan->options.ranks);
    for (int64_t i = 0; i < s->row_count; i++) {
        const gr_plan_row *row = &s->rows[i];
        int64_t memory = 0;
        GR_TRY(gr_plan_count_row(plan, s, row, &tally, &memory));
        if (memory > s->memory.activations) {
            s->memory.activations = memory;
            s->worst = i;
        }
        const double flops = gr_tally_flops(tally);
        double *of_rank = &ranks[gr_plan_rank_of(plan, row->lane)];
        *of_rank += flops;
        of_step = *of_rank > of_step ? *of_rank : of_step;
        s->flops += flops;
        s->tokens += (double)row->tokens;
        s->targets += (double)row->targets;
        s->images += (double)row->images;
        if (i == s->row_count - 1 || s->rows[i + 1].step != row->step) {
            most += of_step;
            of_step = 0;
            memset(ranks, 0, (size_t)plan->options.ranks * sizeof *ranks);
        }
    }
    const double steps = (double)s->seen;
    s->flops /= steps;
    s->flops_of_rank = most / steps;
    s->tokens /= steps;
    s->targets /= steps;
    s->images /= steps;
done:
    GR_FREE(ranks);
    return err;
}
