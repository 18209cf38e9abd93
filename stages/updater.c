#include "stages/updater.h"

#include "src/base/activity.h"
#include "src/base/mem.h"
#include "src/optim/adamw.h"

#include <math.h>

_Static_assert((int)GR_NORM_BLOCK == (int)GR_RANGE_BLOCK, "a rank sums whole blocks");

int64_t gr_updater_layout(const gr_params *params, gr_part_set trains,
                          gr_range parts[GR_PART_COUNT])
{
    int64_t total = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        int64_t size = trains & (1u << p) ? params->size[p] : 0;
        parts[p] = (gr_range){total, total + size};
        total += gr_range_blocks(size) * GR_RANGE_BLOCK;
    }
    return total;
}

/// Blocks of the rank that has most: the length of one rank's sums.
static int64_t most_blocks(const gr_updater *u)
{
    return gr_range_blocks(gr_range_longest(u->size, u->world->size));
}

gr_err gr_updater_create(const gr_world *world, const gr_params *params, gr_part_set trains,
                         gr_updater **out)
{
    gr_err err = GR_OK;
    gr_updater *u = NULL;
    GR_ALLOC(u, 1);
    u->world = world;
    u->trains = trains;
    u->size = gr_updater_layout(params, trains, u->parts);
    u->own = gr_range_of_rank(u->size, world->rank, world->size);
    GR_ALLOC(u->first, gr_range_count(u->own));
    GR_ALLOC(u->second, gr_range_count(u->own));
    GR_ALLOC(u->mine, most_blocks(u));
    GR_ALLOC(u->sums, most_blocks(u) * world->size);
    GR_TRY(gr_gather_create(world, u->size, &u->gather));
    *out = u;
    u = NULL;
done:
    gr_updater_destroy(&u);
    return err;
}

void gr_updater_destroy(gr_updater **updater)
{
    gr_updater *u = *updater;
    if (u) {
        GR_FREE(u->first);
        GR_FREE(u->second);
        GR_FREE(u->mine);
        GR_FREE(u->sums);
        gr_gather_destroy(&u->gather);
        GR_FREE(*updater);
    }
}

/// Norm of the summed gradient. Collective.
static gr_err gradient_norm(const gr_updater *u, const float *grads, int threads, double *norm)
{
    gr_err err = GR_OK;
    double squares = 0;
    gr_square_sums(gr_range_count(u->own), grads + u->own.begin, u->mine, threads);
    GR_TRY(
        gr_world_gather(u->world, u->mine, (size_t)most_blocks(u) * sizeof *u->mine, u->sums));
    for (int rank = 0; rank < u->world->size; rank++) {
        const double *sums = u->sums + rank * most_blocks(u);
        gr_range range = gr_range_of_rank(u->size, rank, u->world->size);
        for (int64_t i = 0; i < gr_range_blocks(gr_range_count(range)); i++) {
            squares += sums[i];
        }
    }
    *norm = sqrt(squares);
done:
    return err;
}

static gr_err check_norm(const gr_recipe_stage *stage, int64_t step, double norm)
{
    gr_err err = GR_OK;
    if (!isfinite(norm)) {
        GR_FAIL(
            GR_ERR_NONFINITE,
            "stage %s, step %lld: the gradient is not finite (norm %g); parameters are as they "
            "were before this step. Lower the learning rate or look at the step's samples",
            stage->name, (long long)step, norm);
    }
done:
    return err;
}

/// Elements `mine` of the space, the first of whose weights is weights[0].
static void update_tensor(gr_updater *u, const gr_adamw *opt, gr_range mine, float *weights,
                          const float *grads, int threads, const gr_updater_copy *copy)
{
    int64_t at = mine.begin - u->own.begin, count = gr_range_count(mine);
    float *m = u->first + at, *v = u->second + at;
    if (copy) {
        const gr_adamw_copy to = {copy->weights + at, copy->first + at, copy->second + at};
        gr_adamw_update_copied(opt, count, weights, grads + mine.begin, m, v, to, threads);
    } else {
        gr_adamw_update(opt, count, weights, grads + mine.begin, m, v, threads);
    }
}

/// What of the own range lies in this part: tensors are cut at its ends.
static void update_part(gr_updater *u, const gr_params *params, gr_part part, float *weights,
                        gr_adamw opt, double weight_decay, const float *grads, int threads,
                        const gr_updater_copy *copy)
{
    int64_t start = u->parts[part].begin;
    for (int64_t i = params->first[part]; i < params->first[part + 1]; i++) {
        gr_activity_pulse();
        const gr_param *p = &params->items[i];
        gr_range tensor = {start + p->offset, start + p->offset + p->count};
        gr_range mine = gr_range_overlap(tensor, u->own);
        if (gr_range_count(mine) > 0) {
            opt.weight_decay = p->decay ? weight_decay : 0.0;
            update_tensor(u, &opt, mine, weights + (mine.begin - start), grads, threads, copy);
        }
    }
}

gr_err gr_updater_apply(gr_updater *u, gr_model *model, const gr_recipe_stage *stage,
                        const gr_schedule *schedule, int64_t step, const float *grads,
                        int64_t targets, int threads, const gr_updater_copy *copy,
                        gr_update_report *report)
{
    gr_err err = GR_OK;
    const gr_params *params = gr_model_get_params(model);
    double norm = 0;
    GR_ASSERT(targets > 0);
    GR_TRY(gradient_norm(u, grads, threads, &norm));
    norm /= (double)targets;
    GR_TRY(gr_world_alike(u->world, check_norm(stage, step, norm)));
    double clip = stage->clip > 0.0 && norm > stage->clip ? stage->clip / norm : 1.0;
    double factor = gr_schedule_factor(schedule, step);
    u->updates++;
    gr_adamw opt = {.beta1 = stage->beta1,
                    .beta2 = stage->beta2,
                    .eps = stage->eps,
                    .step = u->updates,
                    .grad_scale = clip / (double)targets};
    *report = (gr_update_report){.grad_norm = norm, .scale = opt.grad_scale};
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (u->trains & (1u << p)) {
            float *weights = gr_model_edit_weights(model, (gr_part)p);
            opt.learning_rate = report->learning_rate[p] = factor * stage->learning_rate[p];
            update_part(u, params, (gr_part)p, weights, opt, stage->weight_decay, grads,
                        threads, copy);
            GR_TRY(gr_gather_run(u->gather, u->parts[p], weights));
        }
    }
done:
    return err;
}
