#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/bench_args.h"
#include "src/cli/command.h"
#include "src/cli/numbers.h"
#include "src/cli/session.h"
#include "src/eval/bench.h"
#include "src/formats/hf.h"
#include "src/ops/ops.h"

#include <stdio.h>

gr_clock_fn *gri_clock_of(int choice)
{
    return choice == 1 ? gr_clock_cpu : gr_clock;
}

void gri_describe_run(gr_json *j, const gr_exec *ex, int clock)
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
    gri_describe_run(j, ex, clock);
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
    GR_TRY(gr_bench_matmul_run(config, ex, images, tokens, gri_clock_of(clock), &all));
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
        GRI_PRECISION(&precision),
        GRI_CLOCK(&clock),
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
    GR_TRY_CONTEXT(gr_model_config_check(&config), "%s", path);
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

static void print_data(const gr_bench_data *d, const gr_bench_data_options *o, int clock)
{
    double images = (double)d->images;
    if (o->ranks > 1) {
        printf("rank      the first of %lld: %lld of %lld lanes\n", (long long)o->ranks,
               (long long)(o->lanes / o->ranks), (long long)o->lanes);
    }
    printf("round     %lld sample%s, %lld image%s, %lld tokens\n", (long long)d->samples,
           GR_PLURAL(d->samples), (long long)d->images, GR_PLURAL(d->images),
           (long long)d->tokens);
    printf(
        "rows      %lld of %lld tokens, %.1f %% full; pictures of a lane at most %.1f %% over "
        "the mean\n",
        (long long)d->rows, (long long)o->sequence_length, 100 * d->fill,
        100 * (d->worst_balance - 1));
    printf("alone     %8.1f images/s  decoding and resampling, %d thread%s, %s\n",
           images / d->alone, o->threads, o->threads == 1 ? "" : "s",
           clock == 1 ? "processor time" : "wall clock");
    printf("loader    %8.1f images/s  %.1f %%\n", images / d->loader, 100 * d->share);
    char text[GRI_BYTES_TEXT];
    printf("memory    %s\n", gri_bytes_text(gr_mem_peak(), text));
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
    o->now = gri_clock_of(clock);
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
        GRI_CLOCK(&clock),
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
