#include "datasets/loader.h"
#include "datasets/shard.h"
#include "src/base/median.h"
#include "src/base/mem.h"
#include "src/eval/bench.h"
#include "src/formats/image.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/// Pictures in memory, and threads that decode and resample them: the yardstick.
typedef struct alone {
    const gr_bench_data_options *options;
    gr_sample **samples; ///< [count]
    int64_t count, images;
    atomic_llong next;
    atomic_int err;
} alone;

static void alone_fini(alone *a)
{
    for (int64_t i = 0; a->samples && i < a->count; i++) {
        gr_sample_destroy(&a->samples[i]);
    }
    GR_FREE(a->samples);
}

static gr_err alone_init(const gr_bench_data_options *options, alone *out)
{
    gr_err err = GR_OK;
    alone a = {.options = options};
    int64_t all = gr_dataset_count(options->dataset);
    GR_ALLOC(a.samples, options->samples);
    for (; a.count < options->samples; a.count++) {
        GR_TRY(gr_dataset_read(options->dataset, a.count % all, &a.samples[a.count]));
        a.images += a.samples[a.count]->images;
    }
    out->options = options;
    out->samples = a.samples;
    out->count = a.count;
    out->images = a.images;
    a.samples = NULL;
done:
    alone_fini(&a);
    return err;
}

static gr_err decode_sample(const gr_sample *sample, int64_t side)
{
    gr_err err = GR_OK;
    gr_image image = {0}, square = {0};
    for (int64_t i = 0; i < sample->images; i++) {
        GR_TRY(gr_image_decode("image", sample->image[i], sample->image_size[i],
                               GR_IMAGE_OVER_WHITE, &image));
        GR_TRY(gr_image_resize(&image, GR_IMAGE_BICUBIC, side, side, &square));
        gr_image_fini(&image);
        gr_image_fini(&square);
    }
done:
    gr_image_fini(&image);
    gr_image_fini(&square);
    return err;
}

static void *decode_some(void *argument)
{
    alone *a = argument;
    for (;;) {
        long long i = atomic_fetch_add(&a->next, 1);
        if (i >= a->count) {
            return NULL;
        }
        gr_err err = decode_sample(a->samples[i], a->options->vision->image_size);
        if (err != GR_OK) {
            atomic_store(&a->err, err);
        }
    }
}

/// Seconds in which the threads decode and resample all pictures.
static gr_err time_alone(alone *a, double *seconds)
{
    gr_err err = GR_OK;
    pthread_t *threads = NULL;
    int started = 0;
    double start = a->options->now();
    atomic_store(&a->next, 0);
    atomic_store(&a->err, GR_OK);
    GR_ALLOC(threads, a->options->threads);
    while (started < a->options->threads &&
           pthread_create(&threads[started], NULL, decode_some, a) == 0) {
        started++;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    *seconds = a->options->now() - start;
    if (started < a->options->threads || atomic_load(&a->err) != GR_OK) {
        GR_FAIL(GR_ERR_FAILED, "a thread could not be started, or a picture not be decoded");
    }
done:
    GR_FREE(threads);
    return err;
}

/// What a pass of the loader gave.
static void count_lane(const gr_lane_batch *lane, gr_bench_data *out)
{
    out->samples += lane->samples;
    out->images += lane->images;
    out->tokens += lane->tokens;
    out->rows += lane->count;
}

static gr_err open_loader(const gr_bench_data_options *o, gr_loader **out)
{
    const gr_loader_source source = {.dataset = o->dataset, .to = 1};
    const gr_loader_options options = {.sources = &source,
                                       .source_count = 1,
                                       .tokenizer = o->tokenizer,
                                       .vision = o->vision,
                                       .global_batch = o->global_batch,
                                       .lanes = o->lanes,
                                       .window = o->window,
                                       .sequence_length = o->sequence_length,
                                       .steps = o->samples / o->global_batch,
                                       .threads = o->threads};
    return gr_loader_create(&options, out);
}

/// Seconds in which the loader makes all its steps.
static gr_err time_loader(const gr_bench_data_options *o, gr_loader *loader, double *seconds,
                          gr_bench_data *out)
{
    gr_err err = GR_OK;
    int64_t steps = gr_loader_steps(loader), lanes = o->lanes / o->ranks;
    out->samples = out->images = out->tokens = out->rows = 0;
    out->worst_balance = 0;
    double start = o->now();
    GR_TRY(gr_loader_expect(loader, 0, steps, 0, lanes));
    for (int64_t step = 0; step < steps; step++) {
        int64_t most = 0, before = out->images;
        for (int64_t lane = 0; lane < lanes; lane++) {
            const gr_lane_batch *batch = NULL;
            GR_TRY(gr_loader_lane(loader, step, lane, &batch));
            count_lane(batch, out);
            most = batch->images > most ? batch->images : most;
        }
        int64_t sum = out->images - before;
        double balance = sum ? (double)(most * lanes) / (double)sum : 1;
        out->worst_balance = balance > out->worst_balance ? balance : out->worst_balance;
    }
    *seconds = o->now() - start;
done:
    return err;
}

static gr_err check_options(const gr_bench_data_options *o)
{
    gr_err err = GR_OK;
    if (gr_dataset_count(o->dataset) == 0 || gr_dataset_images(o->dataset) == 0) {
        GR_FAIL(GR_ERR_DATA, "%s holds no pictures: nothing to measure",
                gr_dataset_path(o->dataset));
    }
    if (o->ranks > o->lanes) {
        GR_FAIL(GR_ERR_USAGE, "%lld ranks and %lld lanes: each rank needs a lane",
                (long long)o->ranks, (long long)o->lanes);
    }
    if (o->samples < o->global_batch || o->samples % o->global_batch != 0) {
        GR_FAIL(GR_ERR_USAGE, "%lld samples are no whole number of steps of %lld samples",
                (long long)o->samples, (long long)o->global_batch);
    }
done:
    return err;
}

gr_err gr_bench_data_run(const gr_bench_data_options *options, gr_bench_data *out)
{
    gr_err err = GR_OK;
    alone a = {0};
    gr_loader *loader = NULL;
    gr_bench_data result = {0};
    double *alone_seconds = NULL, *loader_seconds = NULL, *shares = NULL, warm = 0;
    GR_TRY(check_options(options));
    GR_ALLOC(alone_seconds, options->rounds);
    GR_ALLOC(loader_seconds, options->rounds);
    GR_ALLOC(shares, options->rounds);
    GR_TRY(alone_init(options, &a));
    GR_TRY(open_loader(options, &loader));
    GR_TRY(time_loader(options, loader, &warm, &result));
    for (int64_t i = 0; i < options->rounds; i++) {
        double before = 0, after = 0;
        GR_TRY(time_alone(&a, &before));
        GR_TRY(time_loader(options, loader, &loader_seconds[i], &result));
        GR_TRY(time_alone(&a, &after));
        alone_seconds[i] = (before + after) / 2 * (double)result.images / (double)a.images;
        shares[i] = alone_seconds[i] / loader_seconds[i];
    }
    result.alone = gr_median(alone_seconds, options->rounds);
    result.loader = gr_median(loader_seconds, options->rounds);
    result.share = gr_median(shares, options->rounds);
    result.fill =
        (double)result.tokens / (double)result.rows / (double)options->sequence_length;
    *out = result;
done:
    gr_loader_destroy(&loader);
    alone_fini(&a);
    GR_FREE(alone_seconds);
    GR_FREE(loader_seconds);
    GR_FREE(shares);
    return err;
}
