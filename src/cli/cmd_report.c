#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "src/eval/report.h"
#include "stages/predictions.h"

typedef struct report_arguments {
    gri_list runs;
    const char *out, *data;
    int64_t predictions, max_new, threads;
    bool json;
} report_arguments;

static gr_err make_predictions(const report_arguments *a)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; a->predictions > 0 && i < a->runs.count; i++) {
        const gr_predictions_options options = {.run = a->runs.items[i],
                                                .data = a->data,
                                                .count = a->predictions,
                                                .max_new = a->max_new,
                                                .threads = gri_threads(a->threads, NULL)};
        GR_TRY(gr_predictions_make(&options));
    }
done:
    return err;
}

static gr_err report(const report_arguments *a)
{
    gr_err err = GR_OK;
    gr_json json = {.indent = 2};
    if (!a->out && !a->json && a->predictions == 0) {
        GR_FAIL(GR_ERR_USAGE, "report: nothing to do: give --out FILE.html, --json or both");
    }
    GR_TRY(make_predictions(a));
    if (a->out) {
        GR_TRY(gr_report_write(a->runs.items, a->runs.count, a->out));
    }
    if (a->json) {
        GR_TRY(gr_report_json(a->runs.items, a->runs.count, &json));
        GR_TRY(gri_print_json(&json));
    }
done:
    gr_json_fini(&json);
    return err;
}

gr_err gri_report_runs(int argc, char **argv)
{
    gr_err err = GR_OK;
    bool help = false;
    report_arguments a = {.max_new = 64};
    const gri_arg args[] = {
        GRI_WORDS("RUN", &a.runs, "run folders; several are laid over each other and compared",
                  .required = true),
        GRI_TEXT("out", "FILE.html", &a.out, "the page; an old one is replaced"),
        GRI_FLAG("json", &a.json, "print the figures as JSON"),
        GRI_INT(
            "predictions", "N", &a.predictions, 1, 10000,
            "let each run's model (final, or its newest checkpoint) answer N held-out samples of its last stage, for the page; kept in "
            "RUN/predictions.jsonl, which later reports show"),
        GRI_TEXT("data", "DIR", &a.data, "data set of these samples instead"),
        GRI_INT("max-new", "N", &a.max_new, 1, 1 << 20,
                "most tokens of an answer (default: 64)"),
        GRI_THREADS(&a.threads),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "report",
        "Makes one HTML page of what runs recorded: curves of each stage, where the time went, samples that were "
        "used and left out, checkpoints, machines, recipes. It needs no network.",
        args, argc, argv, &help));
    if (!help) {
        GR_TRY(report(&a));
    }
done:
    gri_list_fini(&a.runs);
    return err;
}
