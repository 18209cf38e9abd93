#include "stages/checkpoint_bench.h"

#include "mpi/lanes.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/median.h"
#include "src/base/mem.h"
#include "src/model/random_batch.h"
#include "stages/saver.h"

#include <string.h>

/// Seconds of one round.
typedef struct round {
    double copy, stall, write, plain, with, step_beside;
} round;

typedef struct bench {
    const gr_world *world;
    const gr_bench_checkpoint_options *options;
    gr_model *model;
    gr_recipe recipe;
    gr_setup setup;
    gr_identity identity;
    gr_recipe_stage stage;
    gr_schedule schedule;
    gr_progress progress;
    gr_updater *updater;
    gr_lanes *lanes;
    gr_saver *saver;
    float *copy;
    gr_random_batch random;
    double *updates; ///< seconds, [steps]
    round *rounds;
} bench;

static gr_err since(const bench *b, double start, double *seconds)
{
    gr_err err = GR_OK;
    int64_t most = 0;
    GR_TRY(gr_world_max(b->world, (int64_t)((gr_clock() - start) * 1e9), &most));
    *seconds = (double)most * 1e-9;
done:
    return err;
}

/// `copy`: as gr_updater_apply takes it. *update: seconds of the update.
static gr_err step(bench *b, const gr_updater_copy *copy, double *update)
{
    gr_err err = GR_OK;
    float *grads[GR_PART_COUNT] = {NULL}, *sum = NULL;
    double loss = 0;
    gr_update_report report;
    gr_lanes_begin(b->lanes);
    float *gradient = gr_lanes_next(b->lanes);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        grads[p] = b->options->train & (1u << p) ? gradient + b->updater->parts[p].begin : NULL;
    }
    GR_TRY(gr_world_agree(b->world, gr_model_loss_grad(b->model, &b->random.batch,
                                                       b->options->train, grads, &loss)));
    GR_TRY(gr_lanes_reduce(b->lanes, &sum));
    double start = gr_clock();
    GR_TRY(gr_updater_apply(b->updater, b->model, &b->stage, &b->schedule, b->progress.step,
                            sum, b->world->size * b->random.targets, b->options->threads, copy,
                            &report));
    GR_TRY(since(b, start, update));
    gr_saver_changed(b->saver, b->options->train);
    b->progress.updates++;
done:
    return err;
}

/// What the copy of a save moves, as plain calls.
static void copy_state(bench *b)
{
    int64_t count = gr_owned_count(&b->updater->own);
    size_t size = (size_t)count * sizeof *b->copy;
    memcpy(b->copy, b->updater->first, size);
    memcpy(b->copy + count, b->updater->second, size);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        const gr_range part = b->updater->parts[p];
        const float *weights = gr_model_weights(b->model, (gr_part)p);
        for (gr_range mine = {part.begin, part.begin};
             gr_owned_next(&b->updater->own, part, &mine);) {
            memcpy(b->copy + 2 * count + gr_owned_place(&b->updater->own, mine.begin),
                   weights + (mine.begin - part.begin),
                   (size_t)gr_range_count(mine) * sizeof *b->copy);
        }
    }
}

static gr_err steps_with_save(bench *b, round *r)
{
    gr_err err = GR_OK;
    const gr_updater_copy *copy = NULL;
    double start = gr_clock(), beside = 0, update = 0, plain_update = r->stall;
    int64_t beside_count = 0;
    GR_TRY(gr_saver_expect(b->saver, &copy));
    GR_TRY(step(b, copy, &update));
    double begin_save = gr_clock();
    GR_TRY(gr_saver_save(b->saver, b->updater, &b->progress, false));
    GR_TRY(since(b, begin_save, &r->stall));
    r->stall += update > plain_update ? update - plain_update : 0;
    for (int64_t i = 1; i < b->options->steps; i++) {
        double begin = gr_clock(), seconds = 0;
        bool busy = gr_saver_busy(b->saver);
        GR_TRY(step(b, NULL, &update));
        GR_TRY(gr_saver_poll(b->saver));
        GR_TRY(since(b, begin, &seconds));
        beside += busy ? seconds : 0;
        beside_count += busy;
        if (busy && !gr_saver_busy(b->saver)) {
            r->write = gr_clock() - begin_save;
        }
    }
    bool late = gr_saver_busy(b->saver);
    GR_TRY(gr_saver_wait(b->saver));
    GR_TRY(since(b, start, &r->with));
    r->write = late ? r->with : r->write;
    r->step_beside = beside / (double)beside_count;
done:
    return err;
}

static gr_err measure(bench *b, round *r)
{
    gr_err err = GR_OK;
    GR_TRY(gr_world_barrier(b->world));
    double start = gr_clock();
    copy_state(b);
    GR_TRY(since(b, start, &r->copy));
    start = gr_clock();
    for (int64_t i = 0; i < b->options->steps; i++) {
        GR_TRY(step(b, NULL, &b->updates[i]));
    }
    GR_TRY(since(b, start, &r->plain));
    r->stall = gr_median(b->updates, b->options->steps); // for steps_with_save
    GR_TRY(steps_with_save(b, r));
done:
    return err;
}

static gr_err open_bench(bench *b)
{
    gr_err err = GR_OK;
    const gr_bench_checkpoint_options *o = b->options;
    const gr_saver_options options = {
        .run = o->dir, .keep = 1, .background = true, .threads = o->threads};
    b->setup = (gr_setup){.recipe = &b->recipe, .model = b->model};
    b->stage = (gr_recipe_stage){
        .name = "bench", .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01};
    b->schedule = (gr_schedule){.steps = 1, .final_fraction = 1, .scale = 1};
    for (int p = 0; p < GR_PART_COUNT; p++) {
        b->stage.learning_rate[p] = 1e-6;
    }
    GR_TRY(gr_random_batch_create(gr_model_get_config(b->model), 0, o->tokens, &b->random));
    GR_ALLOC(b->rounds, o->rounds);
    GR_ALLOC(b->updates, o->steps);
    GR_TRY(gr_updater_create(b->world, gr_model_get_params(b->model), o->train, &b->updater));
    GR_ALLOC(b->copy, 3 * gr_owned_count(&b->updater->own));
    GR_TRY(gr_saver_create(b->world, &b->setup, &b->identity, &options, NULL, &b->saver));
    GR_TRY(gr_saver_reserve(b->saver, b->updater));
done:
    return err;
}

typedef enum figure {
    COPY,
    STALL,
    WRITE,
    STEP,
    BESIDE,
    STALL_RATIO,
    BESIDE_RATIO,
    ALL_RATIO
} figure;

static double figure_of(const bench *b, const round *r, figure which)
{
    double one = r->plain / (double)b->options->steps;
    switch (which) {
    case COPY:
        return r->copy;
    case STALL:
        return r->stall;
    case WRITE:
        return r->write;
    case STEP:
        return one;
    case BESIDE:
        return r->step_beside;
    case STALL_RATIO:
        return r->stall / r->copy;
    case BESIDE_RATIO:
        return r->step_beside / one;
    case ALL_RATIO:
        return r->with / r->plain;
    }
    return 0;
}

static double median(const bench *b, figure which, double *room)
{
    int64_t n = b->options->rounds;
    for (int64_t i = 0; i < n; i++) {
        room[i] = figure_of(b, &b->rounds[i], which);
    }
    return gr_median(room, n);
}

static gr_err summarise(const bench *b, gr_bench_checkpoint *out)
{
    gr_err err = GR_OK;
    double *room = NULL;
    GR_ALLOC(room, b->options->rounds);
    *out = (gr_bench_checkpoint){.state_bytes =
                                     12 * gr_owned_most(b->updater->size, b->world->size),
                                 .copy = median(b, COPY, room),
                                 .stall = median(b, STALL, room),
                                 .write = median(b, WRITE, room),
                                 .step = median(b, STEP, room),
                                 .step_beside = median(b, BESIDE, room),
                                 .stall_ratio = median(b, STALL_RATIO, room),
                                 .beside_ratio = median(b, BESIDE_RATIO, room),
                                 .all_ratio = median(b, ALL_RATIO, room)};
done:
    GR_FREE(room);
    return err;
}

/// Rank 0 removes what was written. Collective.
static gr_err clean_up(const bench *b)
{
    gr_err err = GR_OK;
    char *path = NULL;
    if (b->world->rank == 0) {
        GR_TRY(gr_path_join(b->options->dir, "checkpoints", &path));
        GR_TRY(gr_dir_remove(path));
    }
done:
    GR_FREE(path);
    return err;
}

gr_err gr_bench_checkpoint_run(const gr_world *world, gr_model *model,
                               const gr_bench_checkpoint_options *options,
                               gr_bench_checkpoint *out)
{
    gr_err err = GR_OK;
    bench b = {.world = world, .options = options, .model = model};
    round warm = {0};
    GR_TRY(gr_world_agree(world, open_bench(&b)));
    GR_TRY(gr_lanes_create(world, world->size, b.updater->size, &b.lanes));
    GR_TRY(measure(&b, &warm));
    for (int64_t i = 0; i < options->rounds; i++) {
        GR_TRY(measure(&b, &b.rounds[i]));
    }
    GR_TRY(gr_world_agree(world, summarise(&b, out)));
    GR_TRY(gr_world_agree(world, clean_up(&b)));
done:
    gr_saver_destroy(&b.saver);
    gr_updater_destroy(&b.updater);
    gr_lanes_destroy(&b.lanes);
    GR_FREE(b.copy);
    gr_random_batch_fini(&b.random);
    GR_FREE(b.rounds);
    GR_FREE(b.updates);
    return err;
}
