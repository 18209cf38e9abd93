#include "datasets/synth.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/data_write.h"
#include "src/cli/numbers.h"

#include <string.h>

typedef struct synth_arguments {
    gr_synth_options options;
    gri_list tasks, tokenizers;
    const char *encode;
    int64_t seed;
    int split;
} synth_arguments;

/// "TASK" or "TASK=WEIGHT", up to a comma.
static gr_err parse_task(const char *text, gr_synth_options *o)
{
    gr_err err = GR_OK;
    gr_synth_task task = 0;
    const size_t size = strcspn(text, "=,");
    int64_t weight = 1;
    if (!gr_synth_task_parse(text, size, &task)) {
        GR_FAIL(GR_ERR_USAGE, "data synth: --task: expected one of %s; got \"%.*s\"",
                gr_synth_task_all, (int)size, text);
    }
    if (text[size] == '=') {
        const char *number = text + size + 1;
        const size_t digits = strcspn(number, ",");
        if (gri_number_int(number, digits, &weight) != GRI_NUMBER || weight < 1 ||
            weight > GR_SYNTH_MOST_WEIGHT) {
            GR_FAIL(GR_ERR_USAGE,
                    "data synth: --task %s: expected a weight from 1 to %d, got \"%.*s\"",
                    gr_synth_task_names[task], GR_SYNTH_MOST_WEIGHT, (int)digits, number);
        }
    }
    if (o->weight[task] > 0) {
        GR_FAIL(GR_ERR_USAGE, "data synth: --task %s is given twice",
                gr_synth_task_names[task]);
    }
    o->weight[task] = weight;
done:
    return err;
}

static gr_err parse_tasks(const gri_list *tasks, gr_synth_options *o)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < tasks->count; i++) {
        for (const char *text = tasks->items[i]; text;) {
            GR_TRY(parse_task(text, o));
            text = strchr(text, ',');
            text += text != NULL;
        }
    }
    for (int t = 0; t < GR_SYNTH_TASKS && tasks->count == 0; t++) {
        o->weight[t] = 1;
    }
done:
    return err;
}

static gr_err write_synth(void *self, const gr_tokenizer *const *tokenizers, int64_t count,
                          const gr_import_team *team, gr_import_result *result)
{
    gr_synth_options o = ((const synth_arguments *)self)->options;
    o.tokenizers = tokenizers;
    o.tokenizer_count = count;
    return gr_synth(&o, team, result);
}

gr_err gri_data_synth(int argc, char **argv)
{
    gr_err err = GR_OK;
    synth_arguments a = {.options = {.side = 112}, .encode = "lossless"};
    gr_synth_options *o = &a.options;
    bool help = false;
    const gri_arg args[] = {
        GRI_LIST(
            "task", "TASK[=WEIGHT],...", &a.tasks,
            "coarse, fine, ocr, count, relation, compare, chart, math or text, and its "
            "share of the samples (default: 1); several between commas, or the option again "
            "(default: all tasks)"),
        GRI_INT("count", "N", &o->count, 1, GR_SYNTH_MOST, "samples in all", .required = true),
        GRI_INT("seed", "S", &a.seed, 0, INT64_MAX, "names the random numbers (default: 0)"),
        GRI_CHOICE("split", GR_SYNTH_SPLITS, &a.split,
                   "train (default), or test: combinations of attributes that train never has"),
        GRI_INT("size", "PIXELS", &o->side, GR_SYNTH_LEAST_SIDE, GR_SYNTH_MOST_SIDE,
                "side of the square pictures (default: 112)"),
        GRI_INT(
            "grid", "LINES", &o->grid, GR_SYNTH_LEAST_GRID, GR_SYNTH_MOST_GRID,
            "shapes and words stand on so many lines each way, so that a small encoder with as "
            "many patches learns them soon (default: anywhere)"),
        GRI_FLAG(
            "in-words", &o->in_words,
            "tells each picture in words in front of its question: text alone, to pretrain a "
            "language model that will be shown pictures"),
        GRI_INT("first", "K", &o->first, 0, GR_SYNTH_MOST - 1,
                "begin at sample K of each task, to go on with a series (default: 0)"),
        GRI_TEXT("out", "DIR", &o->out,
                 "new folder for the data set, or one with such a call that was not finished",
                 .required = true),
        GRI_TEXT("encode", "lossless|QUALITY", &a.encode,
                 "WebP without loss (default), or of this quality from 0 to 100"),
        GRI_INT("shard-bytes", "N", &o->shard_bytes, 1, INT64_MAX,
                "a shard is closed at this size (default: 1 GiB)"),
        GRI_LIST("tokenizer", "DIR", &a.tokenizers,
                 "stores how many tokens each sample's texts have; may be repeated"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "data synth",
        "Makes a data set of problems drawn by this program: coloured shapes, words, charts and "
        "sums, with questions whose answers follow from the picture. Sample K of a task depends "
        "on seed, split and K alone; datasets/README.md has the tasks and what guessing gets. "
        "Under mpirun the ranks share the work; the files are the same for any number of them. "
        "After a failure or a kill the same command goes on.",
        args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(parse_tasks(&a.tasks, o));
    GR_TRY(gri_data_encode("data synth", a.encode, NULL, &o->quality));
    o->split = (gr_synth_split)a.split;
    o->seed = (uint64_t)a.seed;
    GR_TRY(gri_data_write(write_synth, &a, &a.tokenizers, o->out));
done:
    gri_list_fini(&a.tasks);
    gri_list_fini(&a.tokenizers);
    return err;
}
