#include "mpi/world.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/bench_args.h"
#include "src/cli/command.h"
#include "src/cli/plan_print.h"
#include "src/cli/session.h"

typedef struct plan_arguments {
    const char *recipe;
    gri_list settings;
    int64_t ranks, nodes, threads, steps, rate, bandwidth;
    int clock;
    bool no_time, json;
} plan_arguments;

static const double assumed_network = 12.5e9; ///< 100 Gbit/s

/// Rates and times, on all ranks that measure.
static gr_err measure(const plan_arguments *a, const gr_world *world, gri_planned *x)
{
    gr_err err = GR_OK;
    const gr_recipe *recipe = x->plan->recipe;
    GR_TRY(gr_plan_measure(x->plan, world, gri_clock_of(a->clock), &x->rates));
    x->machine = (gr_plan_machine){
        .scale = a->rate > 0 ? x->rates.product / (1e9 * (double)a->rate) : 1,
        .network = a->bandwidth > 0 ? 1e6 * (double)a->bandwidth : assumed_network};
    GR_ALLOC(x->times, recipe->stage_count);
    for (int64_t i = 0; i < recipe->stage_count; i++) {
        GR_TRY(
            gr_plan_time(x->plan, &x->plan->stages[i], &x->rates, &x->machine, &x->times[i]));
    }
done:
    return err;
}

/// Threads that training would take: those asked for, or this rank's part of the cores here.
static int threads_of(const plan_arguments *a, const gr_world *world)
{
    const int64_t local = (a->ranks + a->nodes - 1) / a->nodes;
    const int64_t cores =
        world && world->size > 1 ? gri_threads(0, world) : gri_threads(0, NULL) / local;
    return a->threads > 0 ? (int)a->threads : cores > 1 ? (int)cores : 1;
}

/// One verdict where several ranks plan.
static gr_err agree(const gr_world *world, gr_err err)
{
    return world ? gr_world_agree(world, err) : err;
}

static gr_err plan_run(plan_arguments *a, const gr_world *world)
{
    gr_err err = GR_OK;
    gr_recipe *recipe = NULL;
    gri_planned x = {.recipe = a->recipe, .rate = a->rate, .bandwidth = a->bandwidth > 0};
    a->ranks = a->ranks > 0 ? a->ranks : world ? world->size : 1;
    GR_TRY(
        agree(world, gr_recipe_load(a->recipe, a->settings.items, a->settings.count, &recipe)));
    const gr_plan_options options = {(int)a->ranks, (int)a->nodes, threads_of(a, world),
                                     a->steps};
    GR_TRY(agree(world, gr_plan_create(recipe, &options, &x.plan)));
    if (!a->no_time) {
        GR_TRY(measure(a, world, &x));
    }
    if (!world || world->rank == 0) {
        GR_TRY(a->json ? gri_plan_print_json(&x) : GR_OK);
        if (!a->json) {
            gri_plan_print(&x);
        }
    }
done:
    gr_plan_rates_fini(&x.rates);
    GR_FREE(x.times);
    gr_plan_destroy(&x.plan);
    gr_recipe_destroy(&recipe);
    return err;
}

static gr_err plan_on_ranks(plan_arguments *a)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    GR_TRY(gr_world_create(&world));
    err = plan_run(a, world);
    gri_world_leave(&world, err);
done:
    return err;
}

gr_err gri_plan(int argc, char **argv)
{
    gr_err err = GR_OK;
    bool help = false;
    plan_arguments a = {.nodes = 1, .steps = 4};
    const gri_arg args[] = {
        GRI_WORD("RECIPE.yaml", &a.recipe,
                 "the recipe; what it names need not be here: configs/README.md, assume",
                 .required = true),
        GRI_INT("ranks", "P", &a.ranks, 1, 1 << 20,
                "ranks of the run (default: those that this was started on)"),
        GRI_INT("nodes", "N", &a.nodes, 1, 1 << 20,
                "nodes that they are spread over (default: 1)"),
        GRI_INT(
            "threads", "N", &a.threads, 1, 1024,
            "threads of a rank (default: the cores here, shared among the ranks of a node)"),
        GRI_LIST("set", "KEY.PATH=VALUE", &a.settings, "changes one value of the recipe"),
        GRI_INT("steps", "N", &a.steps, 1, 1 << 20,
                "steps of each stage whose samples are packed and looked at (default: 4)"),
        GRI_INT(
            "rate", "GFLOPS", &a.rate, 1, INT64_C(1) << 40,
            "plans for ranks whose plain matrix product does so many operations a second, everything else as much faster (default: as measured here)"),
        GRI_INT("bandwidth", "MB/S", &a.bandwidth, 1, INT64_C(1) << 40,
                "megabytes a second that a node sends to others (default: 12500)"),
        GRI_FLAG("no-time", &a.no_time, "measures nothing: memory, work, bytes, not time"),
        GRI_CLOCK(&a.clock),
        GRI_FLAG("json", &a.json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "plan",
        "Says what a run will need before it runs, on any number of ranks: parameters, memory of a rank, operations, "
        "bytes that ranks send, checkpoints and disk, and time. Memory and work are counted by the code that trains, on "
        "the rows that it would compute, with nothing computed. Times are of this machine: operations measured at the model's own widths. "
        "Under mpirun -n P the ranks measure together, as they would train.",
        args, argc, argv, &help));
    if (!help) {
        GR_TRY(gr_world_launched() ? plan_on_ranks(&a) : plan_run(&a, NULL));
    }
done:
    gri_list_fini(&a.settings);
    return err;
}
