#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "src/eval/bench.h"
#include "src/formats/hf.h"
#include "src/ops/ops.h"

#include <stdio.h>

// --clock wall|cpu
static gr_clock_fn *clock_of(int choice)
{
    return choice == 1 ? gr_clock_cpu : gr_clock;
}

#define CLOCK_ARG(out_)                                                                        \
    GRI_CHOICE("clock", "wall|cpu", (out_),                                                    \
               "time that passes, or processor time of all threads: on a machine that others " \
               "use, cpu with --threads 1 (default: wall)")

#define PRECISION_ARG(out_)                                                                    \
    GRI_CHOICE("precision", "fp32|bf16", (out_),                                               \
               "what matrix products read, and what is kept between them (default: fp32)")

static void describe_run(gr_json *j, const gr_exec *ex, int clock)
{
    gr_json_string(j, "clock", clock == 1 ? "cpu" : "wall");
    gr_json_int(j, "threads", ex->threads);
    gr_json_string(j, "precision", gr_precision_name(ex->precision));
    gr_json_string(j, "blas_kernel", gr_blas_kernel());
}

static gr_err print_matmul(const gr_bench_matmul *all, int64_t threads, int clock)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < all->count; i++) {
        const gr_bench_product *p = &all->products[i];
        if (i == 0) {
            printf("%-10s %7s %7s %7s %9s %9s %9s\n", "part", "rows", "in", "out", "forward",
                   "input", "weight");
        }
        printf("%-10s %7lld %7lld %7lld %9.1f %9.1f %9.1f\n", p->part, (long long)p->rows,
               (long long)p->inputs, (long long)p->outputs, p->forward / 1e9, p->input / 1e9,
               p->weight / 1e9);
    }
    printf("plain product of 1024 x 1024 matrices: %.1f GFLOP/s in %lld thread%s (%s)\n\n",
           all->product / 1e9, (long long)threads, threads == 1 ? "" : "s",
           clock == 1 ? "a second is one of processor time" : "wall clock");
    return err;
}

static void matmul_json(gr_json *j, const gr_bench_matmul *all, const gr_exec *ex, int clock)
{
    gr_json_map_begin(j, NULL);
    describe_run(j, ex, clock);
    gr_json_real(j, "product_flops_per_second", all->product);
    gr_json_list_begin(j, "products");
    for (int64_t i = 0; i < all->count; i++) {
        const gr_bench_product *p = &all->products[i];
        gr_json_map_begin(j, NULL);
        gr_json_string(j, "part", p->part);
        gr_json_int(j, "rows", p->rows);
        gr_json_int(j, "inputs", p->inputs);
        gr_json_int(j, "outputs", p->outputs);
        gr_json_real(j, "forward_flops_per_second", p->forward);
        gr_json_real(j, "input_gradient_flops_per_second", p->input);
        gr_json_real(j, "weight_gradient_flops_per_second", p->weight);
        gr_json_map_end(j);
    }
    gr_json_list_end(j);
    gr_json_map_end(j);
}

// Once with these threads.
static gr_err matmul(const gr_model_config *config, int threads, int64_t images, int64_t tokens,
                     int clock, int precision, gr_json *j)
{
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    gr_bench_matmul all = {0};
    GR_TRY(gr_exec_create_cpu(threads, 0, &ex));
    GR_TRY(gr_exec_set_precision(ex, (gr_precision)precision));
    GR_TRY(gr_bench_matmul_run(config, ex, images, tokens, clock_of(clock), &all));
    if (j) {
        matmul_json(j, &all, ex, clock);
    } else {
        GR_TRY(print_matmul(&all, threads, clock));
    }
done:
    gr_bench_matmul_fini(&all);
    gr_exec_destroy(&ex);
    return err;
}

gr_err gri_bench_matmul(int argc, char **argv)
{
    gr_err err = GR_OK;
    const char *path = NULL;
    int64_t images = 1, tokens = 512, threads = 0;
    int clock = 0, precision = GR_PRECISION_FP32;
    bool json = false, help = false;
    gr_json j = {.indent = 2};
    gr_model_config config;
    const gri_arg args[] = {
        GRI_TEXT("model", "PATH", &path, "model directory or model file (YAML)",
                 .required = true),
        GRI_INT("images", "N", &images, 0, 1024, "pictures in the batch (default: 1)"),
        GRI_INT("tokens", "N", &tokens, 0, 1 << 20,
                "text tokens beside the pictures' (default: 512)"),
        PRECISION_ARG(&precision),
        CLOCK_ARG(&clock),
        GRI_THREADS(&threads),
        GRI_FLAG("json", &json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "bench matmul",
        "Rates in GFLOP/s of the matrix products of a model's layers, forward and for the "
        "gradients of input and weight, with one thread and with all: one call of the "
        "BLAS (fp32) or of oneDNN (bf16, conversion included) for each tile. No weights are needed.",
        args, argc, argv, &help));
    if (help) {
        goto done;
    }
    int most = gri_threads(threads, NULL);
    GR_TRY(gr_hf_load_config(path, &config));
    gr_json_list_begin(&j, NULL);
    GR_TRY(matmul(&config, 1, images, tokens, clock, precision, json ? &j : NULL));
    if (most > 1) {
        GR_TRY(matmul(&config, most, images, tokens, clock, precision, json ? &j : NULL));
    }
    gr_json_list_end(&j);
    if (json) {
        GR_TRY(gri_print_json(&j));
    }
done:
    gr_json_fini(&j);
    return err;
}

static void print_step(const gr_bench_step *s, const gr_exec *ex, int clock)
{
    const double T = 1e12, G = 1e9;
    printf("batch     %lld images, %lld tokens in %lld sequences, %lld targets\n",
           (long long)s->load.images, (long long)s->load.tokens, (long long)s->load.sequences,
           (long long)s->load.targets);
    printf("needs     %.4f TFLOP forward, %.4f backward\n", s->flops.forward / T,
           s->flops.backward / T);
    bool bf16 = ex->precision == GR_PRECISION_BF16;
    printf("product   %.1f GFLOP/s alone, %s %s, %d thread%s, %s\n", s->product / G,
           bf16 ? "bf16, oneDNN" : "fp32, OpenBLAS",
           bf16 ? gr_onednn_version() : gr_blas_kernel(), ex->threads,
           ex->threads == 1 ? "" : "s", clock == 1 ? "processor time" : "wall clock");
    printf("forward   %8.3f s  %6.1f GFLOP/s  %5.1f %% of the product\n", s->forward,
           s->flops.forward / s->forward / G, 100 * s->forward_share);
    printf("backward  %8.3f s  %6.1f GFLOP/s  %5.1f %%\n", s->backward,
           s->flops.backward / s->backward / G, 100 * s->backward_share);
    printf("update    %8.3f s\n", s->update);
    printf("step      %8.3f s  %6.1f GFLOP/s  %5.1f %%   %.1f tokens/s\n", s->seconds,
           (s->flops.forward + s->flops.backward) / s->seconds / G, 100 * s->share,
           (double)s->load.tokens / s->seconds);
    printf("memory    %.2f GiB\n", (double)s->memory / (double)(1 << 30));
}

static gr_err step_json(const gr_bench_step *s, const gr_exec *ex, int clock)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    describe_run(&j, ex, clock);
    gr_json_int(&j, "images", s->load.images);
    gr_json_int(&j, "tokens", s->load.tokens);
    gr_json_int(&j, "sequences", s->load.sequences);
    gr_json_int(&j, "targets", s->load.targets);
    gr_json_real(&j, "forward_flops", s->flops.forward);
    gr_json_real(&j, "backward_flops", s->flops.backward);
    gr_json_real(&j, "product_flops_per_second", s->product);
    gr_json_real(&j, "forward_seconds", s->forward);
    gr_json_real(&j, "backward_seconds", s->backward);
    gr_json_real(&j, "update_seconds", s->update);
    gr_json_real(&j, "step_seconds", s->seconds);
    gr_json_real(&j, "forward_share", s->forward_share);
    gr_json_real(&j, "backward_share", s->backward_share);
    gr_json_real(&j, "share", s->share);
    gr_json_int(&j, "memory_bytes", s->memory);
    gr_json_map_end(&j);
    GR_TRY(gri_print_json(&j));
done:
    gr_json_fini(&j);
    return err;
}

static gr_err step(const char *path, const char *train, int64_t threads, int precision,
                   int clock, bool json, gr_bench_step_options *options)
{
    gr_err err = GR_OK;
    gri_session s = {0};
    gr_bench_step result = {0};
    gri_warn_busy(gri_threads(threads, NULL), NULL);
    GR_TRY(gri_session_create(path, GR_PARTS_ALL, threads, (gr_precision)precision, &s));
    options->train = s.config.parts;
    options->now = clock_of(clock);
    if (train) {
        GR_TRY(gri_parts_parse("bench step", train, s.config.parts, &options->train));
    }
    gr_model_init(s.model, s.config.parts, 1);
    GR_TRY(gr_bench_step_run(s.model, s.exec, options, &result));
    if (json) {
        GR_TRY(step_json(&result, s.exec, clock));
    } else {
        print_step(&result, s.exec, clock);
    }
done:
    gri_session_close(&s);
    return err;
}

gr_err gri_bench_step(int argc, char **argv)
{
    gr_err err = GR_OK;
    const char *path = NULL, *train = NULL;
    gr_bench_step_options options = {.images = 1, .tokens = 256, .rounds = 5};
    int64_t threads = 0;
    int clock = 0, precision = GR_PRECISION_FP32;
    bool json = false, help = false;
    const gri_arg args[] = {
        GRI_TEXT("model", "PATH", &path,
                 "model directory or model file (YAML); fresh weights are used",
                 .required = true),
        GRI_INT(
            "images", "N", &options.images, 0, 1024,
            "pictures, each with a sequence of its own; 0 for a language model (default: 1)"),
        GRI_INT("tokens", "N", &options.tokens, 0, 1 << 20,
                "text tokens beside the pictures' (default: 256)"),
        GRI_TEXT("train", "PARTS", &train,
                 "which of vision,connector,language train (default: all)"),
        GRI_INT("rounds", "N", &options.rounds, 1, 1000, "rounds after the first (default: 5)"),
        PRECISION_ARG(&precision),
        CLOCK_ARG(&clock),
        GRI_THREADS(&threads),
        GRI_FLAG("json", &json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "bench step",
        "Times one training step (forward, backward, AdamW) in turns with a plain matrix "
        "product of 1024 x 1024 matrices, and prints medians: the share is the step's "
        "operations per second over the product's. Operations are those of the model's matrix "
        "products; the formula stands in src/eval/flops.h.",
        args, argc, argv, &help));
    if (!help) {
        GR_TRY(step(path, train, threads, precision, clock, json, &options));
    }
done:
    return err;
}

static void print_data(const gr_bench_data *d, const gr_bench_data_options *o, int clock)
{
    double images = (double)d->images;
    if (o->ranks > 1) {
        printf("rank      the first of %lld: %lld of %lld lanes\n", (long long)o->ranks,
               (long long)(o->lanes / o->ranks), (long long)o->lanes);
    }
    printf("round     %lld samples, %lld images, %lld tokens\n", (long long)d->samples,
           (long long)d->images, (long long)d->tokens);
    printf(
        "rows      %lld of %lld tokens, %.1f %% full; pictures of a lane at most %.1f %% over "
        "the mean\n",
        (long long)d->rows, (long long)o->sequence_length, 100 * d->fill,
        100 * (d->worst_balance - 1));
    printf("alone     %8.1f images/s  decoding and resampling, %d thread%s, %s\n",
           images / d->alone, o->threads, o->threads == 1 ? "" : "s",
           clock == 1 ? "processor time" : "wall clock");
    printf("loader    %8.1f images/s  %.1f %%\n", images / d->loader, 100 * d->share);
    printf("memory    %.2f GiB\n", (double)gr_mem_peak() / (double)(1 << 30));
}

static gr_err data_json(const gr_bench_data *d, const gr_bench_data_options *o, int clock)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "clock", clock == 1 ? "cpu" : "wall");
    gr_json_int(&j, "threads", o->threads);
    gr_json_int(&j, "ranks", o->ranks);
    gr_json_int(&j, "samples", d->samples);
    gr_json_int(&j, "images", d->images);
    gr_json_int(&j, "tokens", d->tokens);
    gr_json_int(&j, "rows", d->rows);
    gr_json_real(&j, "fill", d->fill);
    gr_json_real(&j, "worst_image_balance", d->worst_balance);
    gr_json_real(&j, "alone_seconds", d->alone);
    gr_json_real(&j, "loader_seconds", d->loader);
    gr_json_real(&j, "share", d->share);
    gr_json_int(&j, "memory_bytes", gr_mem_peak());
    gr_json_map_end(&j);
    GR_TRY(gri_print_json(&j));
done:
    gr_json_fini(&j);
    return err;
}

static gr_err bench_data(const char *data, const char *model, const char *tokenizer, int clock,
                         bool json, gr_bench_data_options *o)
{
    gr_err err = GR_OK;
    gr_dataset *dataset = NULL;
    gr_tokenizer *words = NULL;
    gr_model_config config;
    gr_bench_data result = {0};
    GR_TRY(gr_hf_load_config(model, &config));
    if (!(config.parts & 1U << GR_PART_VISION)) {
        GR_FAIL(GR_ERR_USAGE, "bench data: %s describes no vision part: no size of pictures",
                model);
    }
    GR_TRY(gr_dataset_open(data, &dataset));
    GR_TRY(gr_tokenizer_load(tokenizer ? tokenizer : model, &words));
    config.vision.pictures =
        (gr_picture_rules){.fit = GR_FIT_STRETCH}; // as alone: one square each
    o->dataset = dataset;
    o->tokenizer = words;
    o->vision = &config.vision;
    o->now = clock_of(clock);
    GR_TRY(gr_bench_data_run(o, &result));
    if (json) {
        GR_TRY(data_json(&result, o, clock));
    } else {
        print_data(&result, o, clock);
    }
done:
    gr_tokenizer_destroy(&words);
    gr_dataset_close(&dataset);
    return err;
}

gr_err gri_bench_data(int argc, char **argv)
{
    gr_err err = GR_OK;
    const char *data = NULL, *model = NULL, *tokenizer = NULL;
    gr_bench_data_options o = {.samples = 1024,
                               .global_batch = 64,
                               .lanes = 4,
                               .ranks = 1,
                               .window = 1,
                               .sequence_length = 4096,
                               .rounds = 3};
    int64_t threads = 0;
    int clock = 0;
    bool json = false, help = false;
    const gri_arg args[] = {
        GRI_TEXT("data", "DIR", &data, "data set", .required = true),
        GRI_TEXT("model", "PATH", &model,
                 "model directory or model file (YAML): the size of its pictures is used",
                 .required = true),
        GRI_TEXT("tokenizer", "DIR", &tokenizer, "default: the model's directory"),
        GRI_INT(
            "samples", "N", &o.samples, 1, 1 << 24,
            "samples of a round, a multiple of the global batch; their pictures' bytes are held in memory (default: 1024)"),
        GRI_INT("global-batch", "N", &o.global_batch, 1, 1 << 20,
                "samples of a step (default: 64)"),
        GRI_INT("lanes", "N", &o.lanes, 1, 1 << 20, "lanes (default: 4)"),
        GRI_INT("ranks", "N", &o.ranks, 1, 1 << 20,
                "load the lanes of the first of so many ranks only (default: 1, all lanes)"),
        GRI_INT("window", "N", &o.window, 1, 1 << 20,
                "steps that are packed together (default: 1)"),
        GRI_INT("sequence-length", "N", &o.sequence_length, 2, 1 << 24,
                "most tokens of a row (default: 4096)"),
        GRI_INT("rounds", "N", &o.rounds, 1, 1000, "rounds after the first (default: 3)"),
        CLOCK_ARG(&clock),
        GRI_THREADS(&threads),
        GRI_FLAG("json", &json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "bench data",
        "Times the loader, from shards to packed rows with their pictures, in turns with "
        "decoding and resampling the same pictures alone, in as many threads, and prints medians: the share is "
        "the time alone over the loader's. Also how full the rows are, and how level the lanes.",
        args, argc, argv, &help));
    if (!help) {
        o.threads = gri_threads(threads, NULL);
        GR_TRY(bench_data(data, model, tokenizer, clock, json, &o));
    }
done:
    return err;
}
