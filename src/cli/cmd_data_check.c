#include "mpi/world.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/numbers.h"
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
    printf("  %s: step %lld, lane %lld, microbatch %lld: %lld token%s, %lld tile%s, "
           "%lld target%s\n",
           what, (long long)row->step + 1, (long long)row->lane, (long long)row->microbatch,
           (long long)row->tokens, GR_PLURAL(row->tokens), (long long)row->images,
           GR_PLURAL(row->images), (long long)row->targets, GR_PLURAL(row->targets));
}

/// "  left out: 3 of 80 samples (3.8 %)"
static void print_share(const gr_preflight_part *part, const char *what, int64_t count)
{
    const int64_t all = part->found.samples + part->found.bad;
    printf("  %s: %lld of %lld sample%s (%.1f %%)", what, (long long)count, (long long)all,
           GR_PLURAL(all), 100.0 * (double)count / (double)all);
}

/// Each kind of fault by its first sample.
static void print_kinds(const gr_check_report *r)
{
    int64_t rest = r->bad;
    for (int64_t i = 0; i < r->kinds; i++) {
        printf("  bad: %s\n", r->list[i].reason);
        if (r->list[i].count > 1) {
            printf("    ... and %lld more like it\n", (long long)r->list[i].count - 1);
        }
        rest -= r->list[i].count;
    }
    if (rest > 0) {
        printf("  bad: and %lld of other kinds\n", (long long)rest);
    }
}

static void print_part(const gr_preflight_part *part)
{
    const gr_check_report *r = &part->found;
    const int64_t dropped =
        part->drop ? r->bad - r->unusable : 0; // drop helps no damaged shard
    printf(
        "stage %s, %s: %lld sample%s, %lld tile%s, %lld token%s, %lld target%s, longest %lld, "
        "%lld bad%s\n",
        part->stage, part->validation ? "validation" : "data", (long long)r->samples,
        GR_PLURAL(r->samples), (long long)r->images, GR_PLURAL(r->images), (long long)r->tokens,
        GR_PLURAL(r->tokens), (long long)r->targets, GR_PLURAL(r->targets),
        (long long)r->longest, (long long)r->bad,
        dropped > 0 && dropped == r->bad ? " (left out)" : "");
    if (dropped > 0) {
        print_share(part, "left out by bad_samples: drop", dropped);
        printf("\n");
    }
    if (r->too_long > 0) {
        print_share(part, "longer than sequence_length", r->too_long);
        printf(", the longest has %lld token%s\n", (long long)r->longest_bad,
               GR_PLURAL(r->longest_bad));
    }
    print_kinds(r);
    if (r->rows > 0) {
        print_row("most tokens", &r->most[GR_CHECK_TOKENS]);
        print_row("most tiles", &r->most[GR_CHECK_IMAGES]);
    }
    if (part->memory >= 0) {
        print_row("most memory", &part->worst);
        char text[GRI_BYTES_TEXT];
        printf("  memory %s of activations and work space a rank\n",
               gri_bytes_text(part->memory, text));
    }
}

static gr_err print_report(const check_arguments *a, const gr_preflight *p, const char *path)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    gr_preflight_put(p, a->recipe, &j);
    GR_TRY(gr_json_finish(&j));
    for (int64_t i = 0; !a->json && i < p->count; i++) {
        print_part(&p->parts[i]);
    }
    if (!a->json) {
        printf("verdict %s\n", p->good ? "good" : "bad");
    }
    // Whichever of the two fails, the other is still there: the work is done.
    const gr_err written = gr_file_write(path, j.text.data, j.text.size);
    if (a->json) {
        GR_TRY(gri_print_json(&j));
    }
    GR_TRY(written);
    if (!a->json) {
        printf("file %s\n", path);
    }
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
                a->recipe, (long long)bad, GR_PLURAL(bad));
    }
done:
    return err;
}

/// Where the verdict goes: a new file, or the place of an earlier verdict, asked before the work. In new memory.
static gr_err find_place(const check_arguments *a, const gr_recipe *recipe, char **out)
{
    gr_err err = GR_OK;
    char *path = NULL;
    if (a->out) {
        GR_STRDUP(path, a->out);
    } else {
        GR_TRY(gr_preflight_path(recipe, &path));
    }
    GR_TRY(gri_check_place(path));
    if (gr_file_exists(path) && !gr_preflight_is_verdict(path)) {
        GR_FAIL(GR_ERR_USAGE,
                "data check: --out: %s is there already and is no verdict of data check, which "
                "alone is replaced: name another file, or remove it",
                path);
    }
    *out = path;
    path = NULL;
done:
    GR_FREE(path);
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
    GR_TRY(gr_world_agree(world, world->rank == 0 ? find_place(a, recipe, &path) : GR_OK));
    GR_TRY(
        gr_world_agree(world, gr_setup_create(recipe, gri_threads(a->threads, world), &setup)));
    GR_TRY(gr_preflight_run(world, setup, !a->no_memory, &p));
    if (world->rank == 0) {
        err = print_report(a, &p, path);
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
        GRI_TEXT(
            "out", "FILE.json", &a.out,
            "where the verdict goes; only an earlier verdict is replaced (default: beside the "
            "recipe, RECIPE.check.json)"),
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
