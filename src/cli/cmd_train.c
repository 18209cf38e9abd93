#include "mpi/watchdog.h"
#include "mpi/world.h"
#include "src/base/log.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "stages/trainer.h"

typedef struct train_arguments {
    const char *recipe;
    gri_list settings;
    gr_train_options options;
    int64_t threads;
} train_arguments;

static int choose_threads(const gr_world *world, int64_t asked, bool dry_run)
{
    const int threads = gri_threads(asked, world), cores = gri_cores(world);
    if (threads > cores) {
        gr_log_warn(
            "%d threads, but %d core%s for this rank: they wait for each other; give --threads %d or "
            "start fewer ranks",
            threads, cores, cores > 1 ? "s" : "", cores);
    }
    if (threads <= cores && !dry_run) {
        gri_warn_busy(threads, world);
    }
    return threads;
}

static gr_err train(const gr_world *world, train_arguments *a)
{
    gr_err err = GR_OK;
    gr_recipe *recipe = NULL;
    a->options.threads = choose_threads(world, a->threads, a->options.dry_run);
    GR_TRY(gr_world_agree(
        world, gr_recipe_load(a->recipe, a->settings.items, a->settings.count, &recipe)));
    GR_TRY(gr_train(world, recipe, &a->options));
done:
    gr_recipe_destroy(&recipe);
    return err;
}

static gr_err train_on_ranks(train_arguments *a)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    GR_TRY(gr_world_create(&world));
    err = train(world, a);
    gri_world_leave(&world, err);
done:
    return err;
}

gr_err gri_train(int argc, char **argv)
{
    gr_err err = GR_OK;
    bool help = false;
    train_arguments a = {.options = {.resume = "auto", .watchdog = GR_WATCHDOG_SECONDS}};
    const gri_arg args[] = {
        GRI_WORD("RECIPE.yaml", &a.recipe, "the recipe; configs/README.md explains its keys",
                 .required = true),
        GRI_TEXT(
            "run", "DIR", &a.options.run,
            "run folder: checkpoints, metrics, the trained model (needed unless --dry-run)"),
        GRI_LIST("set", "KEY.PATH=VALUE", &a.settings, "changes one value of the recipe"),
        GRI_TEXT(
            "resume", "auto|never|PATH", &a.options.resume,
            "auto (default): go on from the newest valid checkpoint of the run folder; never: "
            "refuse a used folder; PATH: from this checkpoint"),
        GRI_INT("stop-after", "N", &a.options.stop_after, 1, INT64_MAX,
                "stop cleanly (exit 75) after N steps of this call"),
        GRI_INT(
            "threads", "N", &a.threads, 1, 1024,
            "threads per rank (default: OMP_NUM_THREADS, or the cores that this rank is bound to, or its part of those that "
            "ranks share); changes the speed, never a result"),
        GRI_INT(
            "watchdog", "SECONDS", &a.options.watchdog, 0, 1000000,
            "a rank that dies, hangs or is cut off is named and the job ended within about so long (default: 5), a network "
            "that comes back sooner is survived; 0: nobody watches (for a debugger)"),
        GRI_TEXT("check", "FILE.json", &a.options.check,
                 "verdict of data check (default: RECIPE.check.json, if it is there)"),
        GRI_FLAG(
            "dry-run", &a.options.dry_run,
            "check recipe and model, read the samples of each stage's first step, print the plan"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "train", "Runs a recipe on all ranks: mpirun -n P gradus train RECIPE.yaml --run DIR",
        args, argc, argv, &help));
    if (help) {
        goto done;
    }
    if (!a.options.run && !a.options.dry_run) {
        gri_args_mistake();
        GR_FAIL(GR_ERR_USAGE, "train: --run DIR is missing: where checkpoints and results go");
    }
    GR_TRY(train_on_ranks(&a));
done:
    gri_list_fini(&a.settings);
    return err;
}
