#include "src/base/file.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/numbers.h"
#include "src/cli/session.h"
#include "src/eval/suite.h"

#include <stdio.h>
#include <string.h>

typedef struct eval_arguments {
    const char *model, *out;
    gri_list suites;
    gr_chat_options chat;
    int64_t samples, max_new, threads;
    int precision;
    bool json;
} eval_arguments;

static void put_score(gr_json *j, const gr_suite_score *s)
{
    double low = 0, high = 0;
    gr_suite_interval(s->right, s->asked, &low, &high);
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "suite", s->suite);
    gr_json_string(j, "task", s->task);
    gr_json_int(j, "asked", s->asked);
    gr_json_int(j, "right", s->right);
    gr_json_real(j, "accuracy", (double)s->right / (double)s->asked);
    gr_json_real(j, "low", low);
    gr_json_real(j, "high", high);
    if (s->chance >= 0) {
        gr_json_real(j, "chance", s->chance);
    }
    gr_json_map_end(j);
}

static gr_err print_json(const eval_arguments *a, const gr_suite_score *scores, int64_t count)
{
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "model", a->model);
    gr_json_list_begin(&j, "scores");
    for (int64_t i = 0; i < count; i++) {
        put_score(&j, &scores[i]);
    }
    gr_json_list_end(&j);
    gr_json_map_end(&j);
    gr_err err = gri_print_json(&j);
    gr_json_fini(&j);
    return err;
}

static void print_score(const gr_suite_score *s)
{
    double low = 0, high = 0;
    gr_suite_interval(s->right, s->asked, &low, &high);
    printf("%-12s %6lld of %6lld right  %5.1f %%  (95 %%: %.1f to %.1f)",
           s->task[0] ? s->task : "-", (long long)s->right, (long long)s->asked,
           100.0 * (double)s->right / (double)s->asked, 100 * low, 100 * high);
    if (s->chance >= 0) {
        printf("  guessing %.1f %%", 100 * s->chance);
    }
    printf("\n");
}

static void print_text(const gr_suite_score *scores, int64_t count)
{
    const char *suite = "";
    for (int64_t i = 0; i < count; i++) {
        if (strcmp(suite, scores[i].suite) != 0) {
            suite = scores[i].suite;
            printf("suite %s\n", suite);
        }
        print_score(&scores[i]);
    }
}

/// What rank 0 has to say.
static gr_err report(const eval_arguments *a, const gr_str *lines)
{
    gr_err err = GR_OK;
    gr_suite_score *scores = NULL;
    int64_t count = 0;
    GR_TRY(gr_suite_tally(lines->data, lines->size, &scores, &count));
    if (!a->json) {
        print_text(scores, count);
    }
    // Whichever of the two fails, the other is still there: the work is done.
    const gr_err printed = a->json ? print_json(a, scores, count) : GR_OK;
    if (a->out) {
        GR_TRY(gr_file_write(a->out, lines->data, lines->size));
    }
    GR_TRY(printed);
done:
    gr_suite_scores_free(&scores, count);
    return err;
}

static gr_err agree(const gr_world *world, gr_err mine)
{
    return world ? gr_world_agree(world, mine) : mine;
}

static gr_err ask_suite(const gr_suite_options *options, const char *path,
                        const gr_world *world, gr_str *lines)
{
    gr_err err = GR_OK;
    gr_dataset *data = NULL;
    GR_TRY(agree(world, gr_dataset_open(path, &data)));
    GR_TRY(gr_suite_ask(options, data, world, lines));
done:
    gr_dataset_close(&data);
    return err;
}

static gr_err open_model(const eval_arguments *a, const gr_world *world, gri_session *s,
                         gr_tokenizer **tokenizer)
{
    gr_err err = GR_OK;
    gr_model_config config = {0};
    GR_TRY(gri_answering_open(a->model, &config, tokenizer));
    GR_TRY(gri_session_load(a->model, GR_PARTS_ALL, gri_threads(a->threads, world),
                            (gr_precision)a->precision, s));
done:
    return err;
}

/// What rank 0 asks before the work.
static gr_err check_out(const eval_arguments *a)
{
    gr_err err = GR_OK;
    if (!a->out) {
        goto done;
    }
    if (gr_file_exists(a->out)) {
        GR_FAIL(GR_ERR_USAGE,
                "eval: --out: %s is there already: name another file, or remove it", a->out);
    }
    GR_TRY(gri_check_place(a->out));
done:
    return err;
}

static gr_err eval(const eval_arguments *a, const gr_world *world)
{
    gr_err err = GR_OK;
    gri_session s = {0};
    gr_tokenizer *tokenizer = NULL;
    gr_str lines = {0};
    const bool speaks = !world || world->rank == 0;
    GR_TRY(agree(world, speaks ? check_out(a) : GR_OK));
    GR_TRY(agree(world, open_model(a, world, &s, &tokenizer)));
    const gr_suite_options options = {
        .model = s.model,
        .vision = s.config.parts & 1u << GR_PART_VISION ? &s.config.vision : NULL,
        .tokenizer = tokenizer,
        .chat = a->chat,
        .most = a->max_new,
        .samples = a->samples,
    };
    for (int64_t i = 0; i < a->suites.count; i++) {
        GR_TRY(ask_suite(&options, a->suites.items[i], world, &lines));
    }
    GR_TRY(agree(world, speaks ? report(a, &lines) : GR_OK));
done:
    gr_str_fini(&lines);
    gr_tokenizer_destroy(&tokenizer);
    gri_session_close(&s);
    return err;
}

static gr_err eval_on_ranks(const eval_arguments *a)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    GR_TRY(gr_world_create(&world));
    err = eval(a, world);
    gri_world_leave(&world, err);
done:
    return err;
}

gr_err gri_eval(int argc, char **argv)
{
    gr_err err = GR_OK;
    const char *template = "chat";
    eval_arguments a = {.max_new = 64, .precision = GR_PRECISION_FP32};
    bool help = false;
    const gri_arg args[] = {
        GRI_WORD("MODEL", &a.model, "model directory with its tokenizer, a checkpoint too",
                 .required = true),
        GRI_LIST("suite", "DIR", &a.suites,
                 "data set whose questions are asked; may be repeated", .required = true),
        GRI_INT("samples", "N", &a.samples, 1, INT64_MAX,
                "of each so many samples, drawn at random, always the same (default: all)"),
        GRI_INT("max-new", "N", &a.max_new, 1, 1 << 20,
                "most tokens of an answer (default: 64)"),
        GRI_TEXT("template", "NAME", &template,
                 "how the conversation is written, as in a recipe (default: chat)"),
        GRI_TEXT("system", "TEXT", &a.chat.system,
                 "system message (default: the template's; chat has none)"),
        GRI_TEXT(
            "out", "FILE", &a.out,
            "writes each question, expected answer and answer to a new file, a line of JSON "
            "each"),
        GRI_CHOICE("precision", "fp32|bf16", &a.precision,
                   "what matrix products read, and what is kept between them (default: fp32)"),
        GRI_THREADS(&a.threads),
        GRI_FLAG("json", &a.json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "eval",
        "Asks a model the questions of data sets, greedily, and counts per task how many answers "
        "are the expected ones. Letter case, runs of white space and full stops at the end do "
        "not matter; everything else does. Intervals are Wilson's of 95 %. Under mpirun the "
        "ranks share the samples; the result is the same for any number of them.",
        args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gri_template_find(template, &a.chat.template));
    GR_TRY(gr_world_launched() ? eval_on_ranks(&a) : eval(&a, NULL));
done:
    gri_list_fini(&a.suites);
    return err;
}
