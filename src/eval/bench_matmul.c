#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/eval/bench.h"
#include "src/ops/ops.h"

#include <string.h>

enum { MOST_WORDS = 8192 };
static const double seconds_each = 0.05;

static bool known(const gr_bench_matmul *b, const gr_bench_product *p)
{
    for (int64_t i = 0; i < b->count; i++) {
        const gr_bench_product *q = &b->products[i];
        if (q->part == p->part && q->rows == p->rows && q->inputs == p->inputs &&
            q->outputs == p->outputs) {
            return true;
        }
    }
    return false;
}

static void add(gr_bench_matmul *b, gr_part part, int64_t rows, int64_t outputs, int64_t inputs)
{
    gr_bench_product p = {.part = gr_part_name(part),
                          .rows = rows,
                          .inputs = inputs,
                          .outputs = outputs < MOST_WORDS ? outputs : MOST_WORDS};
    if (rows > 0 && !known(b, &p)) {
        b->products[b->count++] = p;
    }
}

static gr_err list_products(const gr_model_config *c, const gr_load *load, gr_bench_matmul *b)
{
    gr_err err = GR_OK;
    gr_params *params = NULL;
    GR_TRY(gr_params_create(c, &params));
    GR_ALLOC(b->products, params->count + 1);
    for (int64_t i = 0; i < params->count; i++) {
        const gr_param *p = &params->items[i];
        if (gr_param_multiplies(p)) {
            add(b, p->part, gr_load_rows(c, load, p), p->shape[0], p->count / p->shape[0]);
        }
    }
    if (c->parts >> GR_PART_LANGUAGE & 1 && c->language.tied) {
        add(b, GR_PART_LANGUAGE, load->targets, c->language.vocabulary, c->language.width);
    }
done:
    gr_params_destroy(&params);
    return err;
}

typedef struct matrices {
    gr_tensor x, w, y;
} matrices;

static void forward(gr_exec *ex, const matrices *m)
{
    ex->ops->linear_fwd(ex, m->x, m->w, gr_tensor_none(), m->y);
}
static void input_gradient(gr_exec *ex, const matrices *m)
{
    ex->ops->linear_bwd_input(ex, m->y, m->w, m->x, false);
}
static void weight_gradient(gr_exec *ex, const matrices *m)
{
    ex->ops->linear_bwd_weight(ex, m->y, m->x, m->w, gr_tensor_none());
}

static void fill(int64_t n, float *x)
{
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)(i % 17 - 8) / 64;
    }
}

/// Rate of one of the three; the first call warms up.
static double rate(gr_exec *ex, void call(gr_exec *, const matrices *), const matrices *m,
                   gr_clock_fn *now)
{
    double flops = 2.0 * (double)m->x.shape[0] * (double)gr_tensor_count(m->w);
    int64_t calls = 0;
    call(ex, m);
    double begun = gr_clock(), start = now();
    do {
        call(ex, m);
        calls++;
    } while (gr_clock() - begun < seconds_each);
    return flops * (double)calls / (now() - start);
}

static gr_err measure(gr_exec *ex, gr_clock_fn *now, gr_bench_product *p)
{
    gr_err err = GR_OK;
    float *x = NULL, *w = NULL, *y = NULL;
    GR_ALLOC(x, p->rows * p->inputs);
    GR_ALLOC(w, p->outputs * p->inputs);
    GR_ALLOC(y, p->rows * p->outputs);
    fill(p->rows * p->inputs, x);
    fill(p->outputs * p->inputs, w);
    matrices m = {.x = gr_tensor_2d(x, p->rows, p->inputs),
                  .w = gr_tensor_2d(w, p->outputs, p->inputs),
                  .y = gr_tensor_2d(y, p->rows, p->outputs)};
    p->forward = rate(ex, forward, &m, now);
    p->input = rate(ex, input_gradient, &m, now);
    p->weight = rate(ex, weight_gradient, &m, now);
done:
    GR_FREE(x);
    GR_FREE(w);
    GR_FREE(y);
    return err;
}

gr_err gr_bench_matmul_run(const gr_model_config *config, gr_exec *ex, int64_t images,
                           int64_t tokens, gr_clock_fn *now, gr_bench_matmul *out)
{
    gr_err err = GR_OK;
    gr_bench_matmul b = {0};
    gr_load load = {.images = images, .tokens = tokens, .sequences = 1, .targets = tokens};
    if (images > 0 && config->parts >> GR_PART_VISION & 1) {
        load.tokens += images * gr_image_tokens(&config->vision);
    }
    GR_TRY(list_products(config, &load, &b));
    if (b.count == 0) {
        GR_FAIL(GR_ERR_USAGE, "%lld pictures and %lld text tokens leave nothing to multiply",
                (long long)images, (long long)tokens);
    }
    GR_TRY(gr_product_measure(ex, 4 * seconds_each, now, &b.product));
    for (int64_t i = 0; i < b.count; i++) {
        GR_TRY(measure(ex, now, &b.products[i]));
    }
    *out = b;
    b = (gr_bench_matmul){0};
done:
    gr_bench_matmul_fini(&b);
    return err;
}

void gr_bench_matmul_fini(gr_bench_matmul *b)
{
    GR_FREE(b->products);
    b->count = 0;
}
