#include "stages/ranks_bench.h"

#include "mpi/lanes.h"
#include "mpi/messages.h"
#include "mpi/yardstick.h"
#include "src/base/log.h"
#include "src/base/median.h"
#include "src/base/mem.h"
#include "src/model/random_batch.h"
#include "src/optim/adamw.h"
#include "stages/updater.h"

#include <math.h>
#include <string.h>

/// How a step is made.
typedef enum step_kind {
    ALONE,
    COMPUTE,
    SERIAL,
    OVERLAP,
    ALLREDUCE,
    SCATTERED,
    KINDS
} step_kind;

enum { HIDDEN = KINDS, DETERMINISM, EFFICIENCY, FIGURES };

/// Seconds a step of one round, and the ratios.
typedef struct figures {
    double of[FIGURES];
} figures;

typedef struct bench {
    const gr_world *world;
    const gr_bench_ranks_options *options;
    gr_model *model;
    gr_random_batch random;
    gr_recipe_stage stage;
    gr_schedule schedule;
    gr_updater *updater;
    gr_lanes *lanes;
    /// of the library's kinds: the rank's gradient, the sum, moments of everything, [share * ranks]
    float *gradient, *sum, *first, *second;
    double *squares;
    int64_t
        share; ///< elements of a rank's contiguous share, the last ones' perhaps beyond the end
    bool letting_go;
    int64_t step;
    figures *rounds;
} bench;

static void reads(void *data, gr_part part, int64_t end)
{
    gr_updater_wait(((bench *)data)->updater, part, end);
}

static void made(void *data, gr_part part, int64_t begin)
{
    bench *b = data;
    if (b->letting_go) {
        gr_lanes_ready(b->lanes, b->updater->parts[part].begin + begin);
    }
}

/// Forward and backward of this rank's lane, added to `gradient`.
static gr_err compute(const bench *b, float *gradient)
{
    double loss = 0;
    float *grads[GR_PART_COUNT] = {NULL};
    for (int p = 0; p < GR_PART_COUNT; p++) {
        grads[p] = b->options->train >> p & 1 ? gradient + b->updater->parts[p].begin : NULL;
    }
    return gr_model_loss_grad(b->model, &b->random.batch, b->options->train, grads, &loss);
}

/// AdamW on elements `range` of the space, whose gradient is `sum`.
static void update(bench *b, gr_range range, const float *sum)
{
    const gr_params *params = gr_model_get_params(b->model);
    gr_adamw opt = {.learning_rate = 1e-6,
                    .beta1 = b->stage.beta1,
                    .beta2 = b->stage.beta2,
                    .eps = b->stage.eps,
                    .weight_decay = b->stage.weight_decay,
                    .step = b->step,
                    .grad_scale = 1 / (double)b->random.targets};
    for (int64_t i = 0; i < params->count; i++) {
        const gr_param *p = &params->items[i];
        gr_range part = b->updater->parts[p->part];
        int64_t start = part.begin + p->offset;
        gr_range mine = gr_range_overlap((gr_range){start, start + p->count}, range);
        if (b->options->train >> p->part & 1 && gr_range_count(mine) > 0) {
            float *weights = gr_model_edit_weights(b->model, p->part);
            gr_adamw_update(&opt, gr_range_count(mine), weights + (mine.begin - part.begin),
                            sum + (mine.begin - range.begin), b->first + mine.begin,
                            b->second + mine.begin, b->options->threads);
        }
    }
}

/// What clipping needs, of elements that others sum up too; its result is not used.
static gr_err norm(bench *b, const float *sum, int64_t count, bool shared)
{
    gr_err err = GR_OK;
    double mine = 0, *all = b->squares + gr_range_blocks(b->updater->size);
    gr_square_sums(count, sum, b->squares, b->options->threads);
    for (int64_t i = 0; i < gr_range_blocks(count); i++) {
        mine += b->squares[i];
    }
    if (shared) {
        GR_TRY(gr_world_gather(b->world, &mine, sizeof mine, all));
    }
done:
    return err;
}

static gr_range share_of(const bench *b, int rank)
{
    gr_range share = {rank * b->share, (rank + 1) * b->share};
    return gr_range_overlap(share, (gr_range){0, b->updater->size});
}

/// Each rank updates a contiguous share, the library sums and gathers.
static gr_err scattered(bench *b, const float *gradient)
{
    gr_err err = GR_OK;
    gr_range mine = share_of(b, b->world->rank);
    GR_TRY(gr_yardstick_reduce_scatter(b->world, gradient, b->sum, b->share));
    GR_TRY(norm(b, b->sum, gr_range_count(mine), true));
    update(b, mine, b->sum);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (b->options->train >> p & 1) {
            GR_TRY(gr_yardstick_gather(b->world, b->share, b->updater->parts[p],
                                       gr_model_edit_weights(b->model, (gr_part)p)));
        }
    }
done:
    return err;
}

static gr_err library_step(bench *b, step_kind kind)
{
    gr_err err = GR_OK;
    float *gradient = b->gradient;
    const gr_range all = {0, b->updater->size};
    memset(gradient, 0, (size_t)b->updater->size * sizeof *gradient);
    GR_TRY(compute(b, gradient));
    b->step++;
    if (kind == SCATTERED) {
        GR_TRY(scattered(b, gradient));
    } else if (kind == COMPUTE) {
        gr_range mine = share_of(b, b->world->rank);
        GR_TRY(norm(b, gradient + mine.begin, gr_range_count(mine), false));
        update(b, mine, gradient + mine.begin);
    } else {
        if (kind == ALLREDUCE) {
            GR_TRY(gr_yardstick_allreduce(b->world, gradient, b->sum, b->updater->size));
            gradient = b->sum;
        }
        GR_TRY(norm(b, gradient, b->updater->size, false));
        update(b, all, gradient);
    }
done:
    return err;
}

static gr_err our_step(bench *b, bool overlap)
{
    gr_err err = GR_OK;
    float *sum = NULL;
    gr_update_report report;
    b->step++;
    GR_TRY(gr_updater_gather_start(b->updater, b->model));
    gr_lanes_begin(b->lanes);
    float *gradient = gr_lanes_next(b->lanes);
    if (overlap) {
        GR_TRY(gr_lanes_start(b->lanes));
    }
    b->letting_go = overlap;
    err = compute(b, gradient);
    b->letting_go = false;
    GR_TRY(err);
    GR_TRY(gr_lanes_reduce(b->lanes, &sum));
    GR_TRY((overlap ? gr_updater_apply_own : gr_updater_apply)(
        b->updater, b->model, &b->stage, &b->schedule, 0, sum,
        b->world->size * b->random.targets, b->options->threads, NULL, &report));
done:
    return err;
}

static gr_err one(bench *b, step_kind kind)
{
    return kind == SERIAL || kind == OVERLAP ? our_step(b, kind == OVERLAP)
                                             : library_step(b, kind);
}

/// Seconds a step of the slowest rank. What an overlapping step leaves to the next, the first one finds too.
static gr_err measure(bench *b, step_kind kind, double *seconds)
{
    gr_err err = GR_OK;
    int64_t most = 0;
    const bool takes_part = kind != ALONE || b->world->rank == 0;
    if (kind == OVERLAP) {
        GR_TRY(one(b, kind));
    }
    GR_TRY(gr_world_barrier(b->world));
    double start = gr_clock();
    for (int64_t i = 0; takes_part && i < b->options->steps; i++) {
        GR_TRY(one(b, kind));
    }
    double mine = takes_part ? gr_clock() - start : 0;
    GR_TRY(gr_world_max(b->world, (int64_t)(mine * 1e9), &most));
    *seconds = (double)most * 1e-9 / (double)b->options->steps;
    if (kind == OVERLAP) {
        GR_TRY(gr_updater_gather_start(b->updater, b->model));
        for (int p = 0; p < GR_PART_COUNT; p++) {
            gr_updater_wait(b->updater, (gr_part)p, gr_range_count(b->updater->parts[p]));
        }
    }
done:
    return err;
}

static gr_err run_round(bench *b, figures *r)
{
    gr_err err = GR_OK;
    double *s = r->of;
    for (int w = 0; w < KINDS; w++) {
        GR_TRY(measure(b, (step_kind)w, &s[w]));
    }
    const bool overlaps = gr_messages_of(b->world).overlap == GR_OVERLAP_ALWAYS;
    const double ours = overlaps ? s[OVERLAP] : s[SERIAL];
    s[HIDDEN] = (s[SERIAL] - s[OVERLAP]) / (s[SERIAL] - s[COMPUTE]);
    s[DETERMINISM] = ours / fmin(s[ALLREDUCE], s[SCATTERED]);
    s[EFFICIENCY] = s[ALONE] / ours;
done:
    return err;
}

static gr_err summarise(const bench *b, gr_bench_ranks *out)
{
    gr_err err = GR_OK;
    const int64_t n = b->options->rounds;
    double *room = NULL, median[FIGURES];
    GR_ALLOC(room, n);
    for (int f = 0; f < FIGURES; f++) {
        for (int64_t i = 0; i < n; i++) {
            room[i] = b->rounds[i].of[f];
        }
        median[f] = gr_median(room, n);
    }
    *out = (gr_bench_ranks){.elements = b->updater->size,
                            .alone = median[ALONE],
                            .compute = median[COMPUTE],
                            .serial = median[SERIAL],
                            .overlap = median[OVERLAP],
                            .allreduce = median[ALLREDUCE],
                            .scattered = median[SCATTERED],
                            .hidden = median[HIDDEN],
                            .overlaps = gr_messages_of(b->world).overlap == GR_OVERLAP_ALWAYS,
                            .determinism = median[DETERMINISM],
                            .efficiency = median[EFFICIENCY]};
done:
    GR_FREE(room);
    return err;
}

static gr_err open_bench(bench *b)
{
    gr_err err = GR_OK;
    const gr_bench_ranks_options *o = b->options;
    const int ranks = b->world->size;
    b->stage = (gr_recipe_stage){.name = "bench",
                                 .beta1 = 0.9,
                                 .beta2 = 0.999,
                                 .eps = 1e-8,
                                 .weight_decay = 0.01,
                                 .clip = 1};
    b->schedule = (gr_schedule){.steps = 1, .final_fraction = 1, .scale = 1};
    for (int p = 0; p < GR_PART_COUNT; p++) {
        b->stage.learning_rate[p] = 1e-6;
    }
    GR_TRY(gr_random_batch_create(gr_model_get_config(b->model), o->images, o->tokens,
                                  &b->random));
    GR_TRY(gr_updater_create(b->world, gr_model_get_params(b->model), o->train, &b->updater));
    b->share = (b->updater->size + ranks - 1) / ranks;
    b->share = gr_range_blocks(b->share) * GR_RANGE_BLOCK;
    GR_ALLOC(b->gradient, b->share * ranks);
    GR_ALLOC(b->sum, b->share * ranks);
    GR_ALLOC(b->first, b->share * ranks);
    GR_ALLOC(b->second, b->share * ranks);
    GR_ALLOC(b->squares, gr_range_blocks(b->updater->size) + ranks);
    GR_ALLOC(b->rounds, o->rounds);
    gr_model_set_watch(b->model, (gr_model_watch){b, reads, made});
done:
    return err;
}

static void close_bench(bench *b)
{
    gr_model_set_watch(b->model, (gr_model_watch){0});
    gr_lanes_destroy(&b->lanes);
    gr_updater_destroy(&b->updater);
    gr_random_batch_fini(&b->random);
    GR_FREE(b->gradient);
    GR_FREE(b->sum);
    GR_FREE(b->first);
    GR_FREE(b->second);
    GR_FREE(b->squares);
    GR_FREE(b->rounds);
}

gr_err gr_bench_ranks_run(const gr_world *world, gr_model *model,
                          const gr_bench_ranks_options *options, gr_bench_ranks *out)
{
    gr_err err = GR_OK;
    bench b = {.world = world, .options = options, .model = model};
    figures warm;
    GR_ASSERT(world->size > 1);
    GR_TRY(gr_world_agree(world, open_bench(&b)));
    GR_TRY(gr_lanes_create(world, world->size, b.updater->size, &b.lanes));
    GR_TRY(run_round(&b, &warm));
    for (int64_t i = 0; i < options->rounds; i++) {
        GR_TRY(run_round(&b, &b.rounds[i]));
    }
    GR_TRY(gr_world_agree(world, summarise(&b, out)));
done:
    close_bench(&b);
    return err;
}
