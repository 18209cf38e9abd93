#include "mpi/world.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "stages/preflight.h"

#include <stdio.h>

typedef struct check_arguments {
    const char *recipe, *out;
    gri_list settings;
    int64_t threads;
    bool no_memory, json;
} check_arguments;

static void print_row(const char *what, const gr_check_row *row)
{
    printf("  %s: step %lld, lane %lld, microbatch %lld: %lld tokens, %lld tiles, "
           "%lld targets\n",
           what, (long long)row->step, (long long)row->lane, (long long)row->microbatch,
           (long long)row->tokens, (long long)row->images, (long long)row->targets);
}

/// "  left out: 3 of 80 samples (3.8 %)"
static void print_share(const gr_preflight_part *part, const char *what, int64_t count)
{
    const int64_t all = part->found.samples + part->found.bad;
    printf("  %s: %lld of %lld samples (%.1f %%)", what, (long long)count, (long long)all,
           100.0 * (double)count / (double)all);
}

static void print_part(const gr_preflight_part *part)
{
    const gr_check_report *r = &part->found;
    printf("stage %s, %s: %lld samples, %lld tiles, %lld tokens, %lld targets, longest %lld, "
           "%lld bad%s\n",
           part->stage, part->validation ? "validation" : "data", (long long)r->samples,
           (long long)r->images, (long long)r->tokens, (long long)r->targets,
           (long long)r->longest, (long long)r->bad,
           part->drop && r->bad > 0 ? " (left out)" : "");
    if (part->drop && r->bad > 0) {
        print_share(part, "left out by bad_samples: drop", r->bad);
        printf("\n");
    }
    if (r->too_long > 0) {
        print_share(part, "longer than sequence_length", r->too_long);
        printf(", the longest has %lld tokens\n", (long long)r->longest_bad);
    }
    for (int64_t i = 0; i < r->bad && i < GR_CHECK_LISTED; i++) {
        printf("  bad: %s\n", r->list[i].reason);
    }
    if (r->rows > 0) {
        print_row("most tokens", &r->most[GR_CHECK_TOKENS]);
        print_row("most tiles", &r->most[GR_CHECK_IMAGES]);
    }
    if (part->memory >= 0) {
        print_row("most memory", &part->worst);
        printf("  memory %.3f MiB of activations and work space a rank\n",
               (double)part->memory / (1 << 20));
    }
}

static gr_err print_report(const check_arguments *a, const gr_preflight *p, const char *path)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    gr_preflight_put(p, a->recipe, &j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_file_write(path, j.text.data, j.text.size));
    if (a->json) {
        GR_TRY(gri_print_json(&j));
        goto done;
    }
    for (int64_t i = 0; i < p->count; i++) {
        print_part(&p->parts[i]);
    }
    printf("verdict %s\nfile %s\n", p->good ? "good" : "bad", path);
done:
    gr_json_fini(&j);
    return err;
}

/// The same on every rank.
static gr_err judge(const check_arguments *a, const gr_preflight *p)
{
    gr_err err = GR_OK;
    int64_t bad = 0;
    for (int64_t i = 0; i < p->count; i++) {
        const gr_check_report *r = &p->parts[i].found;
        bad += p->parts[i].drop && r->samples > 0 ? r->unusable : r->bad;
    }
    if (!p->good) {
        GR_FAIL(GR_ERR_DATA,
                "%s: %lld sample%s cannot be trained on: correct the data sets, raise the "
                "limits that are named, or set bad_samples to drop where that helps",
                a->recipe, (long long)bad, bad == 1 ? "" : "s");
    }
done:
    return err;
}

static gr_err check(const check_arguments *a, const gr_world *world)
{
    gr_err err = GR_OK;
    gr_recipe *recipe = NULL;
    gr_setup *setup = NULL;
    gr_preflight p = {0};
    char *path = NULL;
    GR_TRY(gr_world_agree(
        world, gr_recipe_load(a->recipe, a->settings.items, a->settings.count, &recipe)));
    GR_TRY(
        gr_world_agree(world, gr_setup_create(recipe, gri_threads(a->threads, world), &setup)));
    GR_TRY(gr_preflight_run(world, setup, !a->no_memory, &p));
    if (world->rank == 0) {
        err = a->out ? GR_OK : gr_preflight_path(recipe, &path);
        err = err ? err : print_report(a, &p, a->out ? a->out : path);
    }
    GR_TRY(gr_world_agree(world, err));
    GR_TRY(gr_world_alike(world, judge(a, &p)));
done:
    GR_FREE(path);
    gr_preflight_fini(&p);
    gr_setup_destroy(&setup);
    gr_recipe_destroy(&recipe);
    return err;
}

gr_err gri_data_check(int argc, char **argv)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    check_arguments a = {0};
    bool help = false;
    const gri_arg args[] = {
        GRI_WORD("RECIPE.yaml", &a.recipe, "the recipe whose data is checked",
                 .required = true),
        GRI_LIST("set", "KEY.PATH=VALUE", &a.settings, "changes one value of the recipe"),
        GRI_TEXT("out", "FILE.json", &a.out,
                 "where the verdict goes (default: beside the recipe, RECIPE.check.json)"),
        GRI_FLAG("no-memory", &a.no_memory,
                 "computes nothing: the memory of the largest microbatches is not measured"),
        GRI_THREADS(&a.threads),
        GRI_FLAG("json", &a.json, "as JSON: what the file holds"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "data check",
        "Goes through every sample of every stage of a recipe before it runs: content, pictures, "
        "targets, fit into sequence_length and max_images; names the largest microbatches and "
        "the memory that they take. The verdict is a file that train looks for. Under mpirun "
        "the ranks share the work. Bad data is exit code 65.",
        args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gr_world_create(&world));
    err = check(&a, world);
    gri_world_leave(&world, err);
done:
    gri_list_fini(&a.settings);
    return err;
}
