#include "src/base/log.h"
#include "src/base/median.h"
#include "src/base/mem.h"
#include "src/eval/bench.h"
#include "src/model/random_batch.h"
#include "src/optim/adamw.h"

#include <string.h>

static const double product_seconds = 0.15;

/// What one round measured.
typedef struct round {
    double product, forward, both, update;
} round;

typedef struct bench {
    gr_model *model;
    const gr_bench_step_options *options;
    gr_exec *ex;
    gr_random_batch random;
    gr_load load;
    float *grads[GR_PART_COUNT], *m[GR_PART_COUNT], *v[GR_PART_COUNT];
    round *rounds;
} bench;

static void bench_fini(bench *b)
{
    gr_random_batch_fini(&b->random);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        GR_FREE(b->grads[p]);
        GR_FREE(b->m[p]);
        GR_FREE(b->v[p]);
    }
    GR_FREE(b->rounds);
}

/// Whether the model has anything to learn from the batch.
static gr_err check_options(const gr_bench_step_options *o)
{
    gr_err err = GR_OK;
    if (o->images == 0 && !(o->train >> GR_PART_LANGUAGE & 1)) {
        GR_FAIL(GR_ERR_USAGE,
                "without images the language part alone computes, and it does not train: "
                "nothing to measure");
    }
done:
    return err;
}

static gr_err take_state(bench *b)
{
    gr_err err = GR_OK;
    const gr_params *params = gr_model_get_params(b->model);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (b->options->train >> p & 1) {
            GR_ALLOC(b->grads[p], params->size[p]);
            GR_ALLOC(b->m[p], params->size[p]);
            GR_ALLOC(b->v[p], params->size[p]);
        }
    }
done:
    return err;
}

static void update(bench *b, int64_t step)
{
    const gr_params *params = gr_model_get_params(b->model);
    gr_adamw opt = {.learning_rate = 1e-6,
                    .beta1 = 0.9,
                    .beta2 = 0.999,
                    .eps = 1e-8,
                    .weight_decay = 0.01,
                    .step = step,
                    .grad_scale = 1 / (double)b->load.targets};
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (b->grads[p]) {
            gr_adamw_update(&opt, params->size[p], gr_model_edit_weights(b->model, (gr_part)p),
                            b->grads[p], b->m[p], b->v[p], b->ex->threads);
        }
    }
    gr_model_refresh(b->model);
}

static gr_err measure(bench *b, int64_t step, round *r)
{
    gr_err err = GR_OK;
    gr_clock_fn *now = b->options->now;
    double loss = 0, before = 0;
    GR_TRY(gr_product_measure(b->ex, product_seconds, now, &before));
    double t0 = now();
    GR_TRY(gr_model_loss(b->model, &b->random.batch, &loss));
    double t1 = now();
    GR_TRY(gr_model_loss_grad(b->model, &b->random.batch, b->options->train, b->grads, &loss));
    double t2 = now();
    update(b, step);
    double t3 = now();
    GR_TRY(gr_product_measure(b->ex, product_seconds, now, &r->product));
    r->product = (r->product + before) / 2;
    r->forward = t1 - t0;
    r->both = t2 - t1;
    r->update = t3 - t2;
done:
    return err;
}

typedef enum figure {
    PRODUCT,
    FORWARD,
    BACKWARD,
    UPDATE,
    SECONDS,
    FORWARD_SHARE,
    BACKWARD_SHARE,
    SHARE
} figure;

static double figure_of(const round *r, gr_step_flops f, figure which)
{
    double backward = r->both - r->forward, seconds = r->both + r->update;
    switch (which) {
    case PRODUCT:
        return r->product;
    case FORWARD:
        return r->forward;
    case BACKWARD:
        return backward;
    case UPDATE:
        return r->update;
    case SECONDS:
        return seconds;
    case FORWARD_SHARE:
        return f.forward / r->forward / r->product;
    case BACKWARD_SHARE:
        return f.backward / backward / r->product;
    case SHARE:
        return (f.forward + f.backward) / seconds / r->product;
    }
    return 0;
}

/// Median of a figure over the rounds; `room` is for as many numbers.
static double median(const bench *b, gr_step_flops f, figure which, double *room)
{
    int64_t n = b->options->rounds;
    for (int64_t i = 0; i < n; i++) {
        room[i] = figure_of(&b->rounds[i], f, which);
    }
    return gr_median(room, n);
}

static gr_err summarise(const bench *b, gr_step_flops f, gr_bench_step *out)
{
    gr_err err = GR_OK;
    double *room = NULL;
    GR_ALLOC(room, b->options->rounds);
    *out = (gr_bench_step){.load = b->load,
                           .flops = f,
                           .product = median(b, f, PRODUCT, room),
                           .forward = median(b, f, FORWARD, room),
                           .backward = median(b, f, BACKWARD, room),
                           .update = median(b, f, UPDATE, room),
                           .seconds = median(b, f, SECONDS, room),
                           .forward_share = median(b, f, FORWARD_SHARE, room),
                           .backward_share = median(b, f, BACKWARD_SHARE, room),
                           .share = median(b, f, SHARE, room)};
done:
    GR_FREE(room);
    return err;
}

gr_err gr_bench_step_run(gr_model *model, gr_exec *ex, const gr_bench_step_options *options,
                         gr_bench_step *out)
{
    gr_err err = GR_OK;
    bench b = {.model = model, .options = options, .ex = ex};
    round warm = {0};
    gr_bench_step result = {0};
    GR_TRY(gr_random_batch_create(gr_model_get_config(model), options->images, options->tokens,
                                  &b.random));
    GR_TRY(check_options(options));
    b.load = (gr_load){.images = options->images,
                       .tokens = b.random.batch.tokens,
                       .sequences = b.random.batch.sequences,
                       .targets = b.random.targets};
    GR_TRY(take_state(&b));
    GR_ALLOC(b.rounds, options->rounds);
    GR_TRY(measure(&b, 1, &warm));
    for (int64_t i = 0; i < options->rounds; i++) {
        GR_TRY(measure(&b, i + 2, &b.rounds[i]));
    }
    gr_step_flops f = gr_model_flops(gr_model_get_config(model), gr_model_get_params(model),
                                     &b.load, options->train);
    GR_TRY(summarise(&b, f, &result));
    result.memory = gr_mem_peak() + gr_arena_peak(ex->scratch);
    *out = result;
done:
    bench_fini(&b);
    return err;
}
