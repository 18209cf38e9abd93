#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/numbers.h"
#include "src/cli/session.h"
#include "stages/run_diff.h"

#include <stdio.h>

static void print_text(const gr_run_diff *d)
{
    bool parted = d->parting.phase != GR_PARTED_NOT;
    printf("compared %lld record%s, alike up to step %lld of the run\n", (long long)d->compared,
           GR_PLURAL(d->compared), (long long)d->agreed);
    if (parted) {
        gr_parting_print(&d->parting, "first", "second");
    } else {
        printf("last step %lld of the first, %lld of the second\n", (long long)d->last[0],
               (long long)d->last[1]);
    }
    if (d->changed) {
        printf("changed %s\n", d->changed);
    }
    if (d->recipe) {
        printf("recipes differ, first in %s\n", d->recipe);
    }
}

static gr_err print_json(const gr_run_diff *d)
{
    gr_json j = {.indent = 2};
    bool parted = d->parting.phase != GR_PARTED_NOT;
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "compared", d->compared);
    gr_json_int(&j, "agreed", d->agreed);
    gr_json_bool(&j, "parted", parted);
    if (parted) {
        gr_parting_put(&d->parting, &j);
    }
    if (d->changed) {
        gr_json_string(&j, "changed", d->changed);
    }
    if (d->recipe) {
        gr_json_string(&j, "recipe", d->recipe);
    }
    gr_json_map_end(&j);
    gr_err err = gri_print_json(&j);
    gr_json_fini(&j);
    return err;
}

gr_err gri_diff(int argc, char **argv)
{
    gr_err err = GR_OK;
    const char *first = NULL, *second = NULL;
    bool help = false, json = false;
    gr_run_diff d = {0};
    const gri_arg args[] = {
        GRI_WORD("RUN", &first, "a run folder", .required = true),
        GRI_WORD("OTHER", &second, "another", .required = true),
        GRI_FLAG("json", &json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "diff",
        "Where two runs part: the first recorded step, the lane, the tensor, and whether it began in data, forward, "
        "backward, reduction or update. Compares what both recorded in digests.jsonl (a recipe's digests.every; 1 "
        "names the very step). Exit code 1 when they part, 0 when all that both recorded is alike.",
        args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gr_run_diff_find(first, second, &d));
    if (json) {
        GR_TRY(print_json(&d));
    } else {
        print_text(&d);
    }
    if (d.parting.phase != GR_PARTED_NOT) {
        GR_FAIL(GR_ERR_FAILED, "%s and %s part at step %lld of the run", first, second,
                (long long)d.parting.update);
    }
done:
    gr_run_diff_fini(&d);
    return err;
}
