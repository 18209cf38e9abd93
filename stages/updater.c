#include "stages/updater.h"

#include "src/base/activity.h"
#include "src/base/failpoint.h"
#include "src/base/mem.h"
#include "src/optim/adamw.h"
#include "src/optim/finite.h"
#include "stages/apart.h"

#include <math.h>
#include <string.h>

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
    return gr_range_blocks(gr_owned_most(u->size, u->world->size));
}

/// One rank's sums, and its flag behind them.
static int64_t report_size(const gr_updater *u)
{
    return most_blocks(u) + 1;
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
    u->own = gr_owned_of(u->size, world->rank, world->size);
    GR_ALLOC(u->first, gr_owned_count(&u->own));
    GR_ALLOC(u->second, gr_owned_count(&u->own));
    GR_ALLOC(u->mine, report_size(u));
    GR_ALLOC(u->sums, report_size(u) * world->size);
    GR_TRY(gr_gather_create(world, u->size, &u->gather));
    *out = u;
    u = NULL;
done:
    gr_updater_destroy(&u);
    return err;
}

gr_cost gr_updater_cost(const gr_world *world, const gr_params *params, gr_part_set trains,
                        bool bf16, int64_t *given_back)
{
    gr_range parts[GR_PART_COUNT];
    const int64_t size = gr_updater_layout(params, trains, parts);
    const gr_owned own = gr_owned_of(size, world->rank, world->size);
    const int64_t sums = gr_range_blocks(gr_owned_most(size, world->size)) * (world->size + 1);
    gr_cost cost = {0};
    *given_back = 0;
    if (bf16 && world->size > 1) {
        cost = gri_apart_cost(world, params, trains, given_back);
    } else {
        for (int p = 0; p < GR_PART_COUNT; p++) {
            const int64_t mine =
                gr_owned_place(&own, parts[p].end) - gr_owned_place(&own, parts[p].begin);
            cost.sent += mine * (world->size - 1) * (int64_t)sizeof(float);
        }
    }
    cost.memory +=
        2 * gr_owned_count(&own) * (int64_t)sizeof(float) + sums * (int64_t)sizeof(double);
    return cost;
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
        gri_apart_destroy(&u->apart);
        GR_FREE(*updater);
    }
}

enum { WEIGHTS, FIRST, SECOND, STATES };

/// The last tensor of which this rank owns something that is not finite in `values`: packed, a moment; else the part's weights.
static int64_t last_bad_tensor(const gr_updater *u, const gr_params *params, gr_part part,
                               const float *values, bool packed, int threads)
{
    const int64_t start = u->parts[part].begin;
    int64_t tensor = -1;
    for (gr_range mine = {start, start}; gr_owned_next(&u->own, u->parts[part], &mine);) {
        int64_t at = packed ? gr_owned_place(&u->own, mine.begin) : mine.begin - start;
        int64_t bad = gr_last_nonfinite(gr_range_count(mine), values + at, threads);
        for (int64_t i = params->first[part]; bad >= 0 && i < params->first[part + 1]; i++) {
            if (params->items[i].offset <= mine.begin - start + bad) {
                tensor = i;
            }
        }
    }
    return tensor;
}

void gr_updater_check_own(const gr_updater *u, const gr_model *model, int threads,
                          const char **what, const char **tensor)
{
    static const char *const names[STATES] = {"weights", "AdamW's first moments",
                                              "AdamW's second moments"};
    const gr_params *params = gr_model_get_params(model);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        const float *values[STATES] = {gr_model_weights(model, (gr_part)p), u->first,
                                       u->second};
        for (int k = 0; k < STATES && u->trains & (1u << p); k++) {
            int64_t bad =
                last_bad_tensor(u, params, (gr_part)p, values[k], k != WEIGHTS, threads);
            if (bad >= 0) {
                *what = names[k];
                *tensor = params->items[bad].name;
                return;
            }
        }
    }
}

static double own_flag(const gr_updater *u, const gr_model *model, int threads)
{
    const char *what = NULL, *tensor = NULL;
    gr_updater_check_own(u, model, threads, &what, &tensor);
    return what ? 1 : 0;
}

/// Norm of the summed gradient, by what the ranks told.
static double add_norm(const gr_updater *u)
{
    double squares = 0;
    for (gr_range run = {0}; run.end < u->size;) {
        int rank = gr_owned_owner(&u->own, run.end, &run);
        gr_owned owned = gr_owned_by(&u->own, rank);
        const double *sums = u->sums + rank * report_size(u) +
                             gr_owned_place(&owned, run.begin) / GR_RANGE_BLOCK;
        for (int64_t i = 0; i < gr_range_blocks(gr_range_count(run)); i++) {
            squares += sums[i];
        }
    }
    return sqrt(squares);
}

/// The first rank that told of its weights or moments; -1: none.
static int first_flag(const gr_updater *u)
{
    for (int r = 0; r < u->world->size; r++) {
        if (u->sums[r * report_size(u) + most_blocks(u)] > 0) {
            return r;
        }
    }
    return -1;
}

gr_err gr_updater_look(gr_updater *u, const gr_model *model, const gr_recipe_stage *stage,
                       const float *grads, int64_t targets, int threads)
{
    // A larger gradient has a square beyond fp32: AdamW's second moment would be infinite for ever.
    static const double largest = 0x1p63;
    gr_err err = GR_OK;
    const gr_range all = {0, u->size};
    GR_ASSERT(targets > 0 && !u->owed);
    u->looked = false;
    GR_TRY(gr_gather_finish(u->gather));
    for (gr_range piece = {0}; gr_owned_next(&u->own, all, &piece);) {
        gr_square_sums(gr_range_count(piece), grads + piece.begin,
                       u->mine + gr_owned_place(&u->own, piece.begin) / GR_RANGE_BLOCK,
                       threads);
    }
    u->mine[most_blocks(u)] = own_flag(u, model, threads);
    GR_TRY(
        gr_world_gather(u->world, u->mine, (size_t)report_size(u) * sizeof *u->mine, u->sums));
    const double norm = add_norm(u) / (double)targets;
    u->view.bad_rank = first_flag(u);
    u->view.norm = norm;
    u->view.fits = isfinite(norm) && u->view.bad_rank < 0 &&
                   (norm < largest || (stage->clip > 0.0 && stage->clip < largest));
    u->looked = true;
done:
    return err;
}

/// For callers that do not look first.
static gr_err check_view(const gr_updater *u, const gr_recipe_stage *stage, int64_t step)
{
    gr_err err = GR_OK;
    if (!u->view.fits) {
        GR_FAIL(
            GR_ERR_NONFINITE,
            "stage %s, step %lld: the gradient is not finite (norm %g), or weights or moments are not; parameters are "
            "as they were before this step",
            stage->name, (long long)step + 1, u->view.norm);
    }
done:
    return err;
}

/// Elements `mine` of the space, the first of whose weights is weights[0].
static void update_tensor(gr_updater *u, const gr_adamw *opt, gr_range mine, float *weights,
                          const float *grads, int threads, const gr_updater_copy *copy)
{
    int64_t at = gr_owned_place(&u->own, mine.begin), count = gr_range_count(mine);
    float *m = u->first + at, *v = u->second + at;
    if (copy) {
        const gr_adamw_copy to = {copy->weights + at, copy->first + at, copy->second + at};
        gr_adamw_update_copied(opt, count, weights, grads + mine.begin, m, v, to, threads);
    } else {
        gr_adamw_update(opt, count, weights, grads + mine.begin, m, v, threads);
    }
}

/// What is owned of this part: tensors are cut at its ends.
static void update_part(gr_updater *u, const gr_params *params, gr_part part, float *weights,
                        gr_adamw opt, double weight_decay, const float *grads, int threads,
                        const gr_updater_copy *copy)
{
    int64_t start = u->parts[part].begin;
    for (int64_t i = params->first[part]; i < params->first[part + 1]; i++) {
        gr_activity_pulse();
        const gr_param *p = &params->items[i];
        gr_range tensor = {start + p->offset, start + p->offset + p->count};
        opt.weight_decay = p->decay ? weight_decay : 0.0;
        for (gr_range mine = {tensor.begin, tensor.begin};
             gr_owned_next(&u->own, tensor, &mine);) {
            update_tensor(u, &opt, mine, weights + (mine.begin - start), grads, threads, copy);
        }
    }
}

gr_err gr_updater_apply_own(gr_updater *u, gr_model *model, const gr_recipe_stage *stage,
                            const gr_schedule *schedule, int64_t step, const float *grads,
                            int64_t targets, int threads, const gr_updater_copy *copy,
                            gr_update_report *report)
{
    gr_err err = GR_OK;
    const gr_params *params = gr_model_get_params(model);
    if (!u->looked) {
        GR_TRY(gr_updater_look(u, model, stage, grads, targets, threads));
    }
    u->looked = false;
    GR_TRY(gr_world_alike(u->world, check_view(u, stage, step)));
    const double norm = u->view.norm;
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
            if (u->apart) {
                gri_apart_round(u, model, (gr_part)p);
            }
            gr_failpoint(GR_AT_STEP_PART_UPDATED);
        }
    }
    u->owed = true;
done:
    return err;
}

/// The training parts with all their weights.
static int whole_parts(const gr_updater *u, gr_model *model, gr_gather_part out[GR_PART_COUNT])
{
    int count = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (u->trains & (1u << p)) {
            out[count++] = (gr_gather_part){u->parts[p],
                                            .values = gr_model_edit_weights(model, (gr_part)p)};
        }
    }
    return count;
}

static gr_err gather_now(gr_updater *u, const gr_gather_part *parts, int count)
{
    gr_err err = GR_OK;
    for (int i = 0; i < count; i++) {
        GR_TRY(gr_gather_run(u->gather, &parts[i]));
    }
done:
    return err;
}

gr_err gr_updater_part(gr_updater *u, gr_model *model)
{
    gr_err err = GR_OK;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        bool can = u->world->size > 1 && gr_model_rounded(model, (gr_part)p);
        if (u->trains & (1u << p) && !can) {
            return GR_OK;
        }
    }
    GR_TRY(gr_world_agree(u->world, gri_apart_create(u, model, &u->apart)));
done:
    return err;
}

gr_err gr_updater_unite(gr_updater *u, gr_model *model)
{
    gr_err err = GR_OK;
    gr_gather_part parts[GR_PART_COUNT];
    if (!u->apart) {
        goto done;
    }
    GR_ASSERT(!u->owed);
    GR_TRY(gr_gather_finish(u->gather));
    GR_TRY(gather_now(u, parts, whole_parts(u, model, parts)));
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (u->trains & (1u << p)) {
            gr_model_set_apart(model, (gr_part)p, false);
        }
    }
    gri_apart_destroy(&u->apart);
done:
    return err;
}

/// All ranks get what the owners of all training parts have. Collective.
static gr_err gather_all(gr_updater *u, gr_model *model)
{
    gr_err err = GR_OK;
    gr_gather_part parts[GR_PART_COUNT];
    if (u->apart) {
        GR_TRY(gr_gather_few_run(u->apart->few));
        GR_TRY(gather_now(u, u->apart->parts, u->apart->count));
    } else {
        GR_TRY(gather_now(u, parts, whole_parts(u, model, parts)));
    }
done:
    return err;
}

gr_err gr_updater_apply(gr_updater *u, gr_model *model, const gr_recipe_stage *stage,
                        const gr_schedule *schedule, int64_t step, const float *grads,
                        int64_t targets, int threads, const gr_updater_copy *copy,
                        gr_update_report *report)
{
    gr_err err = GR_OK;
    GR_TRY(gr_updater_apply_own(u, model, stage, schedule, step, grads, targets, threads, copy,
                                report));
    u->owed = false;
    GR_TRY(gather_all(u, model));
done:
    return err;
}

/// The owned weights of a part from the copy.
static void put_back_part(gr_updater *u, gr_model *model, gr_part part, const float *from)
{
    const gr_range place = u->parts[part];
    float *weights = gr_model_edit_weights(model, part);
    for (gr_range mine = {place.begin, place.begin}; gr_owned_next(&u->own, place, &mine);) {
        memcpy(weights + (mine.begin - place.begin), from + gr_owned_place(&u->own, mine.begin),
               (size_t)gr_range_count(mine) * sizeof *weights);
    }
    if (u->apart) {
        gri_apart_round(u, model, part);
    }
}

gr_err gr_updater_put_back(gr_updater *u, gr_model *model, const gr_updater_copy *from,
                           int64_t updates)
{
    const size_t size = (size_t)gr_owned_count(&u->own) * sizeof *u->first;
    GR_ASSERT(!u->owed);
    memcpy(u->first, from->first, size);
    memcpy(u->second, from->second, size);
    u->updates = updates;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (u->trains & (1u << p)) {
            put_back_part(u, model, (gr_part)p, from->weights);
        }
    }
    return gather_all(u, model);
}

gr_err gr_updater_gather_start(gr_updater *u, gr_model *model)
{
    gr_gather_part parts[GR_PART_COUNT];
    if (!u->owed) {
        return GR_OK;
    }
    u->owed = false;
    if (u->apart) {
        return gr_gather_start(u->gather, u->apart->few, u->apart->parts, u->apart->count);
    }
    return gr_gather_start(u->gather, NULL, parts, whole_parts(u, model, parts));
}

void gr_updater_wait(gr_updater *u, gr_part part, int64_t end)
{
    if (u->trains & (1u << part) && end > 0) {
        GR_ASSERT(!u->owed);
        gr_gather_wait(u->gather, u->parts[part].begin + end);
    }
}
