#include "src/base/file.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "stages/checkpoint_bench.h"

#include <stdio.h>
#include <unistd.h>

static void print_checkpoint(const gr_bench_checkpoint *b, const gr_bench_checkpoint_options *o,
                             int ranks)
{
    const double ms = 1e3;
    printf("state     %.1f MiB a rank of %d: weights and moments of its range\n",
           (double)b->state_bytes / (1 << 20), ranks);
    printf("copy      %9.2f ms by memcpy\n", b->copy * ms);
    printf("stall     %9.2f ms   %6.3f times the copy\n", b->stall * ms, b->stall_ratio);
    printf("written   %9.2f ms later, with steps beside it\n", b->write * ms);
    printf("step      %9.2f ms alone, %.2f ms beside a save: %.3f times as long\n",
           b->step * ms, b->step_beside * ms, b->beside_ratio);
    printf(
        "a checkpoint every %lld step%s: the run takes %.3f times as long, all costs together\n",
        (long long)o->steps, o->steps == 1 ? "" : "s", b->all_ratio);
}

static gr_err checkpoint_json(const gr_bench_checkpoint *b,
                              const gr_bench_checkpoint_options *o, int ranks)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "ranks", ranks);
    gr_json_int(&j, "threads", o->threads);
    gr_json_int(&j, "steps", o->steps);
    gr_json_int(&j, "state_bytes", b->state_bytes);
    gr_json_real(&j, "copy_seconds", b->copy);
    gr_json_real(&j, "stall_seconds", b->stall);
    gr_json_real(&j, "write_seconds", b->write);
    gr_json_real(&j, "step_seconds", b->step);
    gr_json_real(&j, "step_beside_seconds", b->step_beside);
    gr_json_real(&j, "stall_ratio", b->stall_ratio);
    gr_json_real(&j, "step_beside_ratio", b->beside_ratio);
    gr_json_real(&j, "all_costs_ratio", b->all_ratio);
    gr_json_map_end(&j);
    GR_TRY(gri_print_json(&j));
done:
    gr_json_fini(&j);
    return err;
}

typedef struct arguments {
    const char *model, *train;
    gr_bench_checkpoint_options options;
    int64_t threads;
    bool json;
    bool made; ///< the folder was not there
} arguments;

/// The model, and on rank 0 the folder.
static gr_err open_model(const gr_world *world, arguments *a, gri_session *s)
{
    gr_err err = GR_OK;
    if (world->rank == 0) {
        a->made = !gr_dir_exists(a->options.dir);
        GR_TRY(gr_dir_make(a->options.dir));
        GR_TRY(gr_dir_check_empty(a->options.dir));
    }
    a->options.threads = gri_threads(a->threads, world);
    GR_TRY(
        gri_session_create(a->model, GR_PARTS_ALL, a->options.threads, GR_PRECISION_FP32, s));
    a->options.train = s->config.parts;
    if (a->train) {
        GR_TRY(
            gri_parts_parse("bench checkpoint", a->train, s->config.parts, &a->options.train));
    }
    gr_model_init(s->model, s->config.parts, 1);
done:
    return err;
}

static gr_err on_ranks(arguments *a)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    gri_session s = {0};
    gr_bench_checkpoint result = {0};
    GR_TRY(gr_world_create(&world));
    err = gr_world_agree(world, open_model(world, a, &s));
    err = err ? err : gr_bench_checkpoint_run(world, s.model, &a->options, &result);
    if (err == GR_OK && world->rank == 0) {
        if (a->json) {
            err = checkpoint_json(&result, &a->options, world->size);
        } else {
            print_checkpoint(&result, &a->options, world->size);
        }
    }
    if (a->made && err != GR_OK) {
        (void)rmdir(a->options.dir); // stays when something is in it
    }
    gri_session_close(&s);
    gri_world_leave(&world, err);
done:
    return err;
}

gr_err gri_bench_checkpoint(int argc, char **argv)
{
    gr_err err = GR_OK;
    bool help = false;
    arguments a = {.options = {.tokens = 256, .steps = 10, .rounds = 3}};
    const gri_arg args[] = {
        GRI_TEXT("model", "PATH", &a.model,
                 "model directory or model file (YAML); fresh weights are used",
                 .required = true),
        GRI_TEXT("out", "DIR", &a.options.dir,
                 "new or empty folder on the disk that is asked about", .required = true),
        GRI_TEXT("train", "PARTS", &a.train,
                 "which of vision,connector,language train (default: all)"),
        GRI_INT("tokens", "N", &a.options.tokens, 2, 1 << 20,
                "text tokens of a rank's step (default: 256)"),
        GRI_INT("steps", "N", &a.options.steps, 2, 1000,
                "steps between two checkpoints (default: 10)"),
        GRI_INT("rounds", "N", &a.options.rounds, 1, 1000,
                "rounds after the first (default: 3)"),
        GRI_THREADS(&a.threads),
        GRI_FLAG("json", &a.json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "bench checkpoint",
        "What checkpoints in the background cost: how long the step loop stands still, beside a plain copy of the same "
        "state, and how much slower steps go while they are written. On one rank, or mpirun -n P. Prints medians.",
        args, argc, argv, &help));
    if (!help) {
        GR_TRY(on_ranks(&a));
    }
done:
    return err;
}
