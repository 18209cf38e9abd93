#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/numbers.h"
#include "src/cli/session.h"
#include "stages/run_verify.h"

#include <stdio.h>

typedef struct verify_arguments {
    gr_run_verify_options options;
    int64_t threads;
    bool json;
} verify_arguments;

static void print_text(const gr_run_verify *v)
{
    printf("computed again steps %lld to %lld, from %s\n", (long long)v->first,
           (long long)v->last, v->checkpoint ? v->checkpoint : "the beginning");
    if (v->skipped > 0) {
        printf("left out %lld step%s that made no update in the run\n", (long long)v->skipped,
               GR_PLURAL(v->skipped));
    }
    if (!v->parted) {
        printf("compared %lld record%s, all digests agree\n", (long long)v->compared,
               GR_PLURAL(v->compared));
    } else {
        printf("compared %lld record%s, the last one disagrees\n", (long long)v->compared,
               GR_PLURAL(v->compared));
        gr_parting_print(&v->parting, "recorded", "computed");
    }
}

static gr_err print_json(const gr_run_verify *v)
{
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "computed_from", v->first);
    gr_json_int(&j, "computed_to", v->last);
    if (v->checkpoint) {
        gr_json_string(&j, "checkpoint", v->checkpoint);
    }
    gr_json_int(&j, "compared", v->compared);
    gr_json_int(&j, "skipped", v->skipped);
    gr_json_bool(&j, "parted", v->parted);
    if (v->parted) {
        gr_parting_put(&v->parting, &j);
    }
    gr_json_map_end(&j);
    gr_err err = gri_print_json(&j);
    gr_json_fini(&j);
    return err;
}

static gr_err print(const verify_arguments *a, const gr_run_verify *v)
{
    gr_err err = GR_OK;
    if (a->json) {
        GR_TRY(print_json(v));
    } else {
        print_text(v);
    }
done:
    return err;
}

/// The same on every rank.
static gr_err judge(const verify_arguments *a, const gr_run_verify *v)
{
    gr_err err = GR_OK;
    if (v->parted) {
        GR_FAIL(GR_ERR_FAILED, "%s: step %lld of the run is not what was recorded",
                a->options.run, (long long)v->last);
    }
done:
    return err;
}

static gr_err verify(verify_arguments *a)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    gr_run_verify v = {0};
    GR_TRY(gr_world_create(&world));
    a->options.threads = gri_threads(a->threads, world);
    err = gr_run_verify_run(world, &a->options, &v);
    if (err == GR_OK) {
        err = gr_world_agree(world, world->rank == 0 ? print(a, &v) : GR_OK);
        err = err ? err : gr_world_alike(world, judge(a, &v));
    }
    gr_run_verify_fini(&v);
    gri_world_leave(&world, err);
done:
    return err;
}

gr_err gri_verify(int argc, char **argv)
{
    gr_err err = GR_OK;
    bool help = false;
    verify_arguments a = {.options = {.from = 1}};
    const gri_arg args[] = {
        GRI_WORD("RUN", &a.options.run, "the run folder; nothing in it is changed",
                 .required = true),
        GRI_INT(
            "from", "STEP", &a.options.from, 1, INT64_MAX,
            "first step, counted over the whole run (default: 1). The newest checkpoint before it is where computing begins"),
        GRI_INT("to", "STEP", &a.options.to, 1, INT64_MAX,
                "last step (default: the last that was recorded)"),
        GRI_THREADS(&a.threads),
        GRI_FLAG("json", &a.json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "verify",
        "Computes steps of a run again, alone or under mpirun -n P, and compares them with the digests that the run recorded "
        "(digests.jsonl). Says that all agree, or names the first step, lane and tensor that does not and whether it "
        "began in data, forward, backward, reduction or update (exit code 1). Start it in the folder in which the run "
        "was started.",
        args, argc, argv, &help));
    if (!help) {
        GR_TRY(verify(&a));
    }
done:
    return err;
}
