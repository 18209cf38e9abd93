#include "stages/plan_measure.h"

#include "mpi/gather.h"
#include "mpi/lanes.h"
#include "src/base/log.h"
#include "src/base/median.h"
#include "src/base/mem.h"
#include "src/optim/adamw.h"
#include "stages/plan_batch.h"
#include "stages/plan_cut.h"

#include <stdlib.h>
#include <string.h>

static const double product_seconds = 0.15, pass_seconds = 1.0;
enum { ROUNDS = 3, MOST_ELEMENTS = 1 << 22, MOST_SAMPLES = 64 };

/// Numbers without a pattern that a cache or a processor could make use of.
static void fill(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)((uint32_t)i * 2654435761U >> 16) / 65536.0F * 0.04F - 0.02F;
    }
}

/// A real model of the cut's size, and its pass.
typedef struct bench {
    gr_exec *ex;
    gr_model *model;
    gri_plan_batch batch;
    float *grads[GR_PART_COUNT];
    unsigned char *pixels;
    float (*table)[256];
} bench;

static void bench_fini(bench *b)
{
    gri_plan_batch_fini(&b->batch);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        GR_FREE(b->grads[p]);
    }
    GR_FREE(b->pixels);
    GR_FREE(b->table);
    gr_model_destroy(&b->model);
    gr_exec_destroy(&b->ex);
}

/// bf16 where the recipe wants it and this machine has it.
static gr_err open_exec(const gr_plan *plan, gr_plan_rates *out, gr_exec **ex)
{
    gr_err err = GR_OK;
    GR_TRY(gr_exec_create_cpu(plan->options.threads, 0, ex));
    if (plan->recipe->precision == GR_PRECISION_BF16) {
        err = gr_exec_set_precision(*ex, GR_PRECISION_BF16);
        if (err == GR_ERR_UNAVAILABLE) {
            gr_err_clear();
            err = GR_OK;
        }
        GR_TRY(err);
    }
    out->measured = (*ex)->precision;
done:
    return err;
}

static gr_err open_bench(const gr_plan *plan, const gri_plan_cut *c, bench *b)
{
    gr_err err = GR_OK;
    const gr_vision_config *v = &c->config.vision;
    const bool sees = c->config.parts >> GR_PART_VISION & 1;
    const int64_t pixels = sees ? c->images * v->image_size * v->image_size * v->channels : 0;
    GR_TRY(gr_model_create(&c->config, b->ex, &b->model));
    const gr_params *params = gr_model_get_params(b->model);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (c->config.parts >> p & 1) {
            fill(gr_model_edit_weights(b->model, (gr_part)p), params->size[p]);
        }
        if (gri_plan_trains(plan) >> p & 1) {
            GR_ALLOC(b->grads[p], params->size[p]);
        }
    }
    GR_ALLOC(b->pixels, pixels);
    GR_ALLOC(b->table, 3);
    fill(b->table[0], 3 * 256);
    GR_TRY(gri_plan_batch_fill(&c->config, c->images, c->targets, c->lengths, c->sequences,
                               &b->batch));
    b->batch.batch.pixels =
        (gr_pixels){.bytes = b->pixels, .table = (const float(*)[256])b->table};
    gr_model_refresh(b->model);
done:
    return err;
}

/// Of each operation the median round.
static void keep_median(const gr_tally *rounds, int count, gr_tally *out)
{
    *out = rounds[0];
    for (int i = 0; i < out->count; i++) {
        double seconds[ROUNDS];
        for (int r = 0; r < count; r++) {
            seconds[r] = rounds[r].items[i].seconds;
        }
        out->items[i].seconds = gr_median(seconds, count);
    }
}

/// bf16 copies, as behind an update.
static void make_anew(bench *b)
{
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (b->grads[p]) {
            (void)gr_model_edit_weights(b->model, (gr_part)p);
        }
    }
    gr_model_refresh(b->model);
}

/// The slowest of the ranks that measured counts.
static gr_err slowest(const gr_world *world, double *seconds)
{
    gr_err err = GR_OK;
    int64_t most = 0;
    if (world) {
        GR_TRY(gr_world_max(world, (int64_t)(*seconds * 1e15), &most)); // up to two hours
        *seconds = (double)most / 1e15;
    }
done:
    return err;
}

static gr_err run_pass(const gr_plan *plan, bench *b, const gr_world *world, gr_clock_fn *now,
                       gr_tally *tally)
{
    gr_err err = GR_OK;
    double loss = 0;
    *tally = (gr_tally){.now = now};
    GR_TRY(world ? gr_world_barrier(world) : GR_OK);
    b->ex->tally = tally;
    make_anew(b);
    err = gr_model_loss_grad(b->model, &b->batch.batch, gri_plan_trains(plan), b->grads, &loss);
    b->ex->tally = NULL;
    gr_tally_end(tally);
done:
    return err;
}

static double seconds_of(const gr_tally *tally)
{
    double seconds = 0;
    for (int i = 0; i < tally->count; i++) {
        seconds += tally->items[i].seconds;
    }
    return seconds;
}

/// The first pass warms up; a long one is timed once. All ranks take as long as the slowest.
static gr_err time_pass(const gr_plan *plan, bench *b, const gr_world *world, gr_clock_fn *now,
                        gr_plan_rates *out)
{
    gr_err err = GR_OK;
    gr_tally *rounds = NULL;
    GR_ALLOC(rounds, ROUNDS);
    GR_TRY(run_pass(plan, b, world, now, rounds));
    double first = seconds_of(rounds);
    GR_TRY(slowest(world, &first));
    const int count = first > 2 * pass_seconds ? 1 : ROUNDS;
    for (int i = 0; i < count; i++) {
        GR_TRY(run_pass(plan, b, world, now, &rounds[i]));
    }
    keep_median(rounds, count, out->pass);
    const double own = seconds_of(out->pass);
    double most = own;
    GR_TRY(slowest(world, &most));
    for (int i = 0; i < out->pass->count; i++) {
        out->pass->items[i].seconds *= most / own;
    }
    out->pass_flops = gr_tally_flops(out->pass);
    out->pass_seconds = most;
done:
    GR_FREE(rounds);
    return err;
}

static gr_err measure_pass(gr_plan *plan, const gr_world *world, gr_clock_fn *now,
                           gr_plan_rates *out)
{
    gr_err err = GR_OK;
    const gr_plan_stage *stage = NULL;
    const gr_plan_row *row = NULL;
    const gr_model_config *whole = gr_model_get_config(plan->setup->model);
    gri_plan_cut c = {0};
    bench b = {0};
    GR_TRY(gri_plan_find_row(plan, &stage, &row));
    GR_TRY(open_exec(plan, out, &b.ex));
    GR_TRY(gr_product_measure(b.ex, product_seconds, now, &out->product));
    double each = 1 / out->product;
    GR_TRY(slowest(world, &each)); // the same choice on all ranks
    out->product = 1 / each;
    GR_TRY(gri_plan_choose_cut(plan, stage, row, out->product, pass_seconds, &c));
    GR_TRY(open_bench(plan, &c, &b));
    GR_TRY(time_pass(plan, &b, world, now, out));
    out->vision_blocks =
        c.config.parts >> GR_PART_VISION & 1 ? gr_model_vision_blocks(&c.config) : 0;
    out->language_blocks = c.config.language.blocks;
    out->vocabulary = c.config.language.vocabulary;
    out->tokens = b.batch.batch.tokens;
    out->whole =
        out->vision_blocks ==
            (c.config.parts >> GR_PART_VISION & 1 ? gr_model_vision_blocks(whole) : 0) &&
        out->language_blocks == whole->language.blocks &&
        out->vocabulary == whole->language.vocabulary && out->tokens == row->tokens;
done:
    bench_fini(&b);
    GR_FREE(c.lengths);
    return err;
}

/// Elements that a rank would update, as far as they are measured.
static int64_t elements_of(const gr_plan *plan)
{
    int64_t most = 0;
    for (int64_t i = 0; i < plan->recipe->stage_count; i++) {
        const int64_t trained = plan->stages[i].trained / plan->options.ranks;
        most = trained > most ? trained : most;
    }
    most = most < MOST_ELEMENTS ? most : MOST_ELEMENTS;
    return most > 1 ? most : 1;
}

/// Seconds of one element, the fastest of some rounds.
static void keep_less(double seconds, int64_t n, double *out)
{
    const double each = seconds / (double)n;
    *out = *out == 0 || each < *out ? each : *out;
}

static gr_err measure_elements(const gr_plan *plan, const gr_world *world, gr_clock_fn *now,
                               gr_plan_rates *out)
{
    gr_err err = GR_OK;
    float *x[4] = {NULL};
    double *sums = NULL;
    const int64_t n = elements_of(plan);
    const int threads = plan->options.threads;
    const gr_adamw opt = {.learning_rate = 1e-6,
                          .beta1 = 0.9,
                          .beta2 = 0.999,
                          .eps = 1e-8,
                          .step = 1,
                          .grad_scale = 1};
    for (int i = 0; i < 4; i++) {
        GR_ALLOC(x[i], n);
        fill(x[i], n);
    }
    GR_ALLOC(sums, n / GR_NORM_BLOCK + 1);
    for (int round = 0; round <= ROUNDS; round++) {
        GR_TRY(world ? gr_world_barrier(world) : GR_OK);
        double t[6];
        t[0] = now();
        gr_adamw_update(&opt, n, x[0], x[1], x[2], x[3], threads);
        t[1] = now();
        gr_square_sums(n, x[1], sums, threads);
        t[2] = now();
        memset(x[1], 0, (size_t)n * sizeof *x[1]);
        t[3] = now();
        for (int64_t i = 0; i < n; i++) {
            x[2][i] += x[1][i];
        }
        t[4] = now();
        (void)gr_digest_of(x[0], (size_t)n * sizeof *x[0]);
        t[5] = now();
        double *const to[] = {&out->adamw, &out->squares, &out->clear, &out->add, &out->digest};
        for (int i = 0; i < 5 && round > 0; i++) {
            keep_less(t[i + 1] - t[i], n, to[i]);
        }
    }
    double *const all[] = {&out->adamw, &out->squares, &out->clear, &out->add, &out->digest};
    for (int i = 0; i < 5; i++) {
        GR_TRY(slowest(world, all[i]));
    }
done:
    for (int i = 0; i < 4; i++) {
        GR_FREE(x[i]);
    }
    GR_FREE(sums);
    return err;
}

/// Sums and parameters through all ranks that measure, as a step moves them: seconds of a byte that a rank sends.
static gr_err measure_messages(const gr_plan *plan, const gr_world *world, gr_plan_rates *out)
{
    gr_err err = GR_OK;
    gr_lanes *lanes = NULL;
    gr_gather *gather = NULL;
    float *sum = NULL;
    const int64_t n = elements_of(plan) * world->size;
    GR_TRY(gr_lanes_create(world, world->size, n, &lanes));
    GR_TRY(gr_world_agree(world, gr_gather_create(world, n, &gather)));
    for (int round = 0; round <= ROUNDS; round++) {
        gr_lanes_begin(lanes);
        (void)gr_lanes_next(lanes);
        GR_TRY(gr_world_barrier(world));
        const int64_t before = gr_messages_sent();
        const double start = gr_clock();
        GR_TRY(gr_lanes_reduce(lanes, &sum));
        const gr_gather_part all = {.part = {0, n}, .values = sum};
        GR_TRY(gr_gather_run(gather, &all));
        if (round > 0) {
            keep_less(gr_clock() - start, gr_messages_sent() - before, &out->send);
        }
    }
    GR_TRY(slowest(world, &out->send));
    out->exchanged = true;
done:
    gr_gather_destroy(&gather);
    gr_lanes_destroy(&lanes);
    return err;
}

/// What the loader does for a sample: its text is measured by every rank, the rest done by its own.
static gr_err measure_loader(gr_plan *plan, gr_plan_rates *out)
{
    gr_err err = GR_OK;
    gr_loader *loader = NULL;
    const gr_plan_stage *s = &plan->stages[plan->recipe->stage_count - 1];
    const gr_lane_batch *lane = NULL;
    int64_t samples = 0;
    if (s->assumed) {
        goto done;
    }
    GR_TRY(gr_setup_loader(plan->setup, s->stage, false, &loader));
    double start = gr_clock_cpu();
    GR_TRY(gr_loader_lane(loader, 0, 0, &lane)); // packs the window, too
    samples = lane->samples;
    const double first = gr_clock_cpu() - start;
    const double window = (double)(s->stage->window * s->stage->global_batch);
    start = gr_clock_cpu();
    int64_t filled = 0;
    for (int64_t l = 0; l < plan->recipe->lanes && filled < MOST_SAMPLES;
         l++) { // the first again where there is one
        GR_TRY(gr_loader_lane(loader, 0, l, &lane));
        filled += lane->samples;
    }
    out->picture = filled > 0 ? (gr_clock_cpu() - start) / (double)filled : 0;
    out->text = (first - out->picture * (double)samples) / window;
    out->text = out->text > 0 ? out->text : 0;
done:
    gr_loader_destroy(&loader);
    return err;
}

gr_err gr_plan_measure(gr_plan *plan, const gr_world *world, gr_clock_fn *now,
                       gr_plan_rates *out)
{
    gr_err err = GR_OK;
    gr_plan_rates r = {0};
    const gr_world *several = world && world->size > 1 ? world : NULL;
    GR_ALLOC(r.pass, 1);
    GR_TRY(measure_pass(plan, several, now, &r));
    GR_TRY(measure_elements(plan, several, now, &r));
    GR_TRY(measure_loader(plan, &r));
    if (several) {
        GR_TRY(measure_messages(plan, several, &r));
    } else {
        r.send = (2 * r.clear + 2 * r.add) /
                 (double)sizeof(float); // twice copied, then added, by the ranks of a core each
    }
    *out = r;
    r = (gr_plan_rates){0};
done:
    gr_plan_rates_fini(&r);
    return err;
}

void gr_plan_rates_fini(gr_plan_rates *rates)
{
    GR_FREE(rates->pass);
}
