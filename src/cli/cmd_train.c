#include "mpi/watchdog.h"
#include "mpi/world.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "src/eval/report.h"
#include "stages/trainer.h"

#include <stdio.h>

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

/// RUN/report.html, for whoever looks into the folder. How the run ended is not its matter: what fails here is a warning, and the run's
/// own message stays. Rank 0 only.
static gr_err leave_report(const gr_world *world, const char *run, gr_err ended)
{
    char message[4096];
    char *path = NULL;
    if (world->rank != 0 || !run || (ended != GR_OK && ended != GR_ERR_STOPPED)) {
        return ended;
    }
    snprintf(message, sizeof message, "%s", gr_err_message());
    gr_err err = gr_path_join(run, "report.html", &path);
    err = err ? err : gr_report_write(&run, 1, path);
    if (err != GR_OK) {
        gr_log_warn("no report: %s", gr_err_message());
        gr_err_clear();
    }
    GR_FREE(path);
    return ended == GR_OK ? GR_OK
                          : gr_world_alike(world, gr_err_set(ended, __FILE__, __LINE__,
                                                             __func__, "%s", message));
}

static gr_err train(const gr_world *world, train_arguments *a)
{
    gr_err err = GR_OK;
    gr_recipe *recipe = NULL;
    a->options.threads = choose_threads(world, a->threads, a->options.dry_run);
    GR_TRY(gr_world_agree(
        world, gr_recipe_load(a->recipe, a->settings.items, a->settings.count, &recipe)));
    err = gr_train(world, recipe, &a->options);
    GR_TRY(a->options.dry_run ? err : leave_report(world, a->options.run, err));
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
        GRI_WORD("RECIPE.yaml", &a.recipe,
                 "the recipe; gradus-recipe(5) (configs/README.md) explains its keys",
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
        GRI_TEXT(
            "check", "FILE.json", &a.options.check,
            "verdict of data check (default: RECIPE.check.json, if it is there); a bad one is refused"),
        GRI_FLAG(
            "dry-run", &a.options.dry_run,
            "check recipe and model, read the samples of each stage's first step, print the plan; what "
            "the recipe names and is not here is listed at the end (exit 66), the rest checked"),
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
