#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/bench_args.h"
#include "src/cli/command.h"
#include "src/cli/numbers.h"
#include "src/cli/session.h"
#include "src/ops/ops.h"
#include "stages/ranks_bench.h"

#include <stdio.h>

static void print_step(const gr_bench_step *s, const gr_exec *ex, int clock)
{
    const double T = 1e12, G = 1e9;
    printf("batch     %lld image%s, %lld tokens in %lld sequence%s, %lld targets\n",
           (long long)s->load.images, GR_PLURAL(s->load.images), (long long)s->load.tokens,
           (long long)s->load.sequences, GR_PLURAL(s->load.sequences),
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
    char text[GRI_BYTES_TEXT];
    printf("memory    %s\n", gri_bytes_text(s->memory, text));
}

static gr_err step_json(const gr_bench_step *s, const gr_exec *ex, int clock)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    gri_describe_run(&j, ex, clock);
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

static void print_ranks(const gr_bench_ranks *r, const gr_world *world, int threads)
{
    const double ms = 1e3;
    printf("ranks     %d, %d on this node, of %d thread%s; %lld elements train\n", world->size,
           world->local_size, threads, threads == 1 ? "" : "s", (long long)r->elements);
    printf("alone     %9.2f ms a step of one rank while the others wait\n", r->alone * ms);
    printf("together  %9.2f ms on all ranks at once, nothing moved\n", r->compute * ms);
    printf("serial    %9.2f ms sums and parameters moved in between\n", r->serial * ms);
    printf("overlap   %9.2f ms moved meanwhile: %.3f of the time for it hidden\n",
           r->overlap * ms, r->hidden);
    printf("MPI       %9.2f ms with MPI_Allreduce, %.2f ms with MPI_Reduce_scatter_block and "
           "MPI_Allgatherv\n",
           r->allreduce * ms, r->scattered * ms);
    printf("here      %s: %.3f of the time with the MPI library's sums, %.3f of %d times one "
           "rank's rate\n",
           r->overlaps ? "overlap" : "serial", r->determinism, r->efficiency, world->size);
}

static gr_err ranks_json(const gr_bench_ranks *r, const gr_world *world, int threads)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "ranks", world->size);
    gr_json_int(&j, "ranks_on_this_node", world->local_size);
    gr_json_int(&j, "threads", threads);
    gr_json_int(&j, "elements", r->elements);
    gr_json_real(&j, "alone_seconds", r->alone);
    gr_json_real(&j, "together_seconds", r->compute);
    gr_json_real(&j, "serial_seconds", r->serial);
    gr_json_real(&j, "overlap_seconds", r->overlap);
    gr_json_real(&j, "allreduce_seconds", r->allreduce);
    gr_json_real(&j, "scattered_seconds", r->scattered);
    gr_json_real(&j, "hidden", r->hidden);
    gr_json_string(&j, "here", r->overlaps ? "overlap" : "serial");
    gr_json_real(&j, "determinism", r->determinism);
    gr_json_real(&j, "efficiency", r->efficiency);
    gr_json_map_end(&j);
    GR_TRY(gri_print_json(&j));
done:
    gr_json_fini(&j);
    return err;
}

typedef struct arguments {
    const char *model, *train;
    gr_bench_step_options options;
    int64_t threads, steps;
    int clock, precision;
    bool json;
} arguments;

/// The model with fresh weights, and what of it trains.
static gr_err open_model(arguments *a, int64_t threads, gri_session *s)
{
    gr_err err = GR_OK;
    GR_TRY(gri_session_create(a->model, GR_PARTS_ALL, threads, (gr_precision)a->precision, s));
    a->options.train = s->config.parts;
    a->options.now = gri_clock_of(a->clock);
    if (a->train) {
        GR_TRY(gri_parts_parse("bench step", a->train, s->config.parts, &a->options.train));
    }
    gr_model_init(s->model, s->config.parts, 1);
done:
    return err;
}

static gr_err alone(arguments *a)
{
    gr_err err = GR_OK;
    gri_session s = {0};
    gr_bench_step result = {0};
    gri_warn_busy(gri_threads(a->threads, NULL), NULL);
    GR_TRY(open_model(a, a->threads, &s));
    GR_TRY(gr_bench_step_run(s.model, s.exec, &a->options, &result));
    if (a->json) {
        GR_TRY(step_json(&result, s.exec, a->clock));
    } else {
        print_step(&result, s.exec, a->clock);
    }
done:
    gri_session_close(&s);
    return err;
}

static gr_err together(arguments *a, const gr_world *world)
{
    gr_err err = GR_OK;
    gri_session s = {0};
    gr_bench_ranks result = {0};
    const int threads = gri_threads(a->threads, world);
    GR_TRY(gr_world_agree(world, open_model(a, threads, &s)));
    const gr_bench_ranks_options options = {.train = a->options.train,
                                            .images = a->options.images,
                                            .tokens = a->options.tokens,
                                            .steps = a->steps,
                                            .rounds = a->options.rounds,
                                            .threads = threads};
    GR_TRY(gr_bench_ranks_run(world, s.model, &options, &result));
    if (world->rank == 0 && a->json) {
        err = ranks_json(&result, world, threads);
    } else if (world->rank == 0) {
        print_ranks(&result, world, threads);
    }
    GR_TRY(gr_world_agree(world, err));
done:
    gri_session_close(&s);
    return err;
}

static gr_err on_ranks(arguments *a)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    GR_TRY(gr_world_create(&world));
    err = world->size > 1 ? together(a, world) : alone(a);
    gri_world_leave(&world, err);
done:
    return err;
}

gr_err gri_bench_step(int argc, char **argv)
{
    gr_err err = GR_OK;
    arguments a = {.options = {.images = 1, .tokens = 256, .rounds = 5},
                   .steps = 3,
                   .precision = GR_PRECISION_FP32};
    bool help = false;
    const gri_arg args[] = {
        GRI_TEXT("model", "PATH", &a.model,
                 "model directory or model file (YAML); fresh weights are used",
                 .required = true),
        GRI_INT(
            "images", "N", &a.options.images, 0, 1024,
            "pictures, each with a sequence of its own; 0 for a language model (default: 1)"),
        GRI_INT("tokens", "N", &a.options.tokens, 0, 1 << 20,
                "text tokens beside the pictures' (default: 256)"),
        GRI_TEXT("train", "PARTS", &a.train,
                 "which of vision,connector,language train (default: all)"),
        GRI_INT("rounds", "N", &a.options.rounds, 1, 1000,
                "rounds after the first (default: 5)"),
        GRI_INT("steps", "N", &a.steps, 1, 1000,
                "with several ranks: steps of one measurement (default: 3)"),
        GRI_PRECISION(&a.precision),
        GRI_CLOCK(&a.clock),
        GRI_THREADS(&a.threads),
        GRI_FLAG("json", &a.json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "bench step",
        "Times one training step (forward, backward, AdamW) in turns with a plain matrix "
        "product of 1024 x 1024 matrices, and prints medians: the share is the step's "
        "operations per second over the product's. Operations are those of the model's matrix "
        "products; the formula stands in src/model/flops.h. With mpirun -n P: steps alone, steps whose gradients and "
        "parameters move between the ranks, and steps with the MPI library's own sums, in turns, by the wall clock.",
        args, argc, argv, &help));
    if (!help) {
        GR_TRY(gr_world_launched() ? on_ranks(&a) : alone(&a));
    }
done:
    return err;
}
