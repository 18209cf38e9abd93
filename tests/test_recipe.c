/// Recipes: what a good one means, and what each mistake is told.

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "stages/recipe.h"
#include "stages/recipe_bits.h"
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

static const char head[] = "seed: 7\n"
                           "lanes: 4\n"
                           "model: {vision: v, connector: c, language: l}\n"
                           "tokenizer: t\n";
static const char stage[] = "stages:\n"
                            "  - name: warm-up\n"
                            "    trains: [connector]\n"
                            "    data: [{path: d, subset: [0.0, 0.9]}]\n"
                            "    global_batch: 8\n"
                            "    sequence_length: 64\n"
                            "    steps: 5\n"
                            "    learning_rate: 1.0e-3\n";

/// Writes `text` as recipe.yaml in the test's folder and reads it.
static gr_err load_text(const char *text, const char *const *settings, int64_t count,
                        gr_recipe **out)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(gr_test_dir(), "recipe.yaml", &path));
    GR_TRY(gr_file_write(path, text, strlen(text)));
    GR_TRY(gr_recipe_load(path, settings, count, out));
done:
    GR_FREE(path);
    return err;
}

static gr_err load_parts(const char *a, const char *b, gr_recipe **out)
{
    gr_str text = {0};
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(&text, a));
    GR_TRY(gr_str_add(&text, b));
    GR_TRY(load_text(text.data, NULL, 0, out));
done:
    gr_str_fini(&text);
    return err;
}

static void test_good(void)
{
    gr_recipe *r = NULL;
    if (!GR_CHECK_OK(load_parts(head, stage, &r))) {
        return;
    }
    GR_CHECK_INT((int64_t)r->seed, 7);
    GR_CHECK_INT(r->lanes, 4);
    GR_CHECK_STR(r->part[GR_PART_CONNECTOR], "c");
    GR_CHECK_INT(r->stage_count, 1);
    GR_CHECK(r->digests_every == 10 && r->digests_lanes);
    GR_CHECK_INT(r->nonfinite, GR_NONFINITE_STOP);
    const gr_recipe_stage *s = &r->stages[0];
    GR_CHECK_INT(s->trains, 1 << GR_PART_CONNECTOR);
    GR_CHECK(s->data.items[0].to == 0.9);
    GR_CHECK_INT(s->steps, 5);
    GR_CHECK_INT(s->schedule, GR_SCHEDULE_COSINE);
    GR_CHECK(s->learning_rate[GR_PART_CONNECTOR] == 1e-3);
    GR_CHECK(s->beta2 == 0.999);
    GR_CHECK(s->window == 1 && !s->drop && s->data.items[0].weight == 0);
    GR_CHECK(!s->all_text && s->template == gr_chat_template_find("chat"));
    GR_CHECK_INT(s->images.tiles, 1);
    GR_CHECK(!s->images.own_fit && !s->recompute && r->precision == GR_PRECISION_FP32);
    gr_recipe_destroy(&r);
}

static void test_settings(void)
{
    gr_recipe *r = NULL;
    gr_str text = {0};
    const char *const settings[] = {
        "seed=9",
        "stages.warm-up.steps=11",
        "stages[0].loss=all",
        "stages[0].learning_rate={connector: 0.5}",
        "precision=bf16",
        "stages[0].recompute=true",
        "stages[0].images={tiles: 6, thumbnail: false, fit: stretch}",
        "stages[0].window=4",
        "digests={every: 3, lanes: false}",
        "stages[0].bad_samples=drop",
        "stages[0].data=[{path: d, weight: 2.5, max_repeats: 3}]"};
    GR_CHECK_OK(gr_str_add(&text, head));
    GR_CHECK_OK(gr_str_add(&text, stage));
    if (GR_CHECK_OK(load_text(text.data, settings, 11, &r))) {
        GR_CHECK_INT((int64_t)r->seed, 9);
        GR_CHECK_INT(r->stages[0].steps, 11);
        GR_CHECK(r->stages[0].all_text);
        GR_CHECK(r->stages[0].window == 4 && r->stages[0].drop);
        GR_CHECK(r->digests_every == 3 && !r->digests_lanes);
        GR_CHECK(r->stages[0].data.items[0].weight == 2.5);
        GR_CHECK(r->stages[0].data.items[0].max_repeats == 3);
        GR_CHECK(r->stages[0].learning_rate[GR_PART_CONNECTOR] == 0.5);
        GR_CHECK(r->precision == GR_PRECISION_BF16 && r->stages[0].recompute);
        GR_CHECK_INT(r->stages[0].images.tiles, 6);
        GR_CHECK(!r->stages[0].images.thumbnail && r->stages[0].images.own_fit);
        gr_recipe_destroy(&r);
    }
    const char *const bad[] = {"seed"};
    GR_CHECK_ERR(load_text(text.data, bad, 1, &r), GR_ERR_USAGE, "key.path=value");
    gr_str_fini(&text);
}

/// Each policy; another is no other run, and is told.
static void test_nonfinite(void)
{
    static const struct {
        const char *setting;
        gr_nonfinite_policy policy;
        int64_t skips;
    } good[] = {{"nonfinite=stop", GR_NONFINITE_STOP, 0},
                {"nonfinite=replay", GR_NONFINITE_REPLAY, 0},
                {"nonfinite={skip: 3}", GR_NONFINITE_SKIP, 3}};
    static const char *const bad[] = {"nonfinite=go", "nonfinite=3", "nonfinite=[skip]"};
    gr_recipe *plain = NULL, *r = NULL;
    gr_str text = {0};
    GR_CHECK_OK(gr_str_add(&text, head));
    GR_CHECK_OK(gr_str_add(&text, stage));
    GR_CHECK_OK(load_text(text.data, NULL, 0, &plain));
    for (int i = 0; i < 3 && plain; i++) {
        if (GR_CHECK_OK(load_text(text.data, &good[i].setting, 1, &r))) {
            char *key = NULL;
            gr_str changes = {0};
            GR_CHECK_INT(r->nonfinite, good[i].policy);
            GR_CHECK_INT(r->nonfinite_skips, good[i].skips);
            GR_CHECK_OK(gr_recipe_difference(plain->doc, r->doc, &key));
            GR_CHECK(!key);
            GR_CHECK_OK(gr_recipe_changes(plain, r, &changes));
            GR_CHECK((changes.size > 0) == (i > 0));
            if (i == 2) {
                GR_CHECK_STR(changes.data, "nonfinite stop -> skip 3");
            }
            gr_str_fini(&changes);
            GR_FREE(key);
            gr_recipe_destroy(&r);
        }
        GR_CHECK_ERR(load_text(text.data, &bad[i], 1, &r), GR_ERR_RECIPE,
                     "expected stop, replay or {skip: K}");
    }
    const char *zero = "nonfinite={skip: 0}";
    GR_CHECK_ERR(load_text(text.data, &zero, 1, &r), GR_ERR_RECIPE, "from 1");
    gr_recipe_destroy(&plain);
    gr_str_fini(&text);
}

/// What a plan counts with, and a template for all stages.
static void test_assumed(void)
{
    static const char more[] = "template: qwen3\n"
                               "assume:\n"
                               "  models: {v: v.yaml, d: other.yaml}\n"
                               "  data:\n"
                               "    d: {samples: 12, tokens: 30.5, targets: 4, tiles: 2}\n"
                               "    e: {samples: 1, tokens: 9, targets: 9}\n";
    gr_recipe *r = NULL;
    gr_str text = {0};
    GR_CHECK_OK(gr_str_add(&text, head));
    GR_CHECK_OK(gr_str_add(&text, more));
    if (GR_CHECK_OK(load_parts(text.data, stage, &r))) {
        const gr_recipe_assumed *model = gr_recipe_assumed_model(r, "v");
        const gr_recipe_assumed *data = gr_recipe_assumed_data(r, "d");
        GR_CHECK(model && strcmp(model->config, "v.yaml") == 0);
        GR_CHECK(data && data->samples == 12 && data->tokens == 30.5 && data->targets == 4);
        GR_CHECK(data && data->tiles == 2 && !data->config);
        GR_CHECK(gr_recipe_assumed_data(r, "e") && gr_recipe_assumed_data(r, "e")->tiles == 0);
        GR_CHECK(!gr_recipe_assumed_data(r, "v") && !gr_recipe_assumed_model(r, "e"));
        GR_CHECK(r->stages[0].template == gr_chat_template_find("qwen3"));
        gr_recipe_destroy(&r);
    }
    gr_str_fini(&text);
}

typedef struct bad_case {
    const char *from, *to; ///< one replacement in the good recipe
    const char *message;   ///< part of what the user is told
} bad_case;

static const bad_case bad_cases[] = {
    {"seed: 7", "sed: 7", "seed"},
    {"seed: 7", "seed: seven", "integer"},
    {"seed: 7", "seed: -1", "seed"},
    {"lanes: 4", "lanes: 0", "lanes"},
    {"lanes: 4", "lanes: 16", "cannot fill 16 lanes"},
    {"vision: v, connector: c", "vision: v", "language alone"},
    {"connector: c", "conector: c", "connector"},
    {"tokenizer: t\n", "", "tokenizer"},
    {"tokenizer: t", "tokenizer: [t]", "string"},
    {"trains: [connector]", "trains: []", "at least one of"},
    {"trains: [connector]", "trains: [conector]", "got \"conector\""},
    {"trains: [connector]", "trains: connector", "list"},
    {"trains: [connector]", "trains: [connector, connector]", "connector is there twice"},
    {"subset: [0.0, 0.9]", "subset: [0.9, 0.0]", "from < to"},
    {"subset: [0.0, 0.9]", "subset: [0.0, 1.9]", "two numbers"},
    {"subset: [0.0, 0.9]", "subset: [0.1]", "two numbers"},
    {"path: d", "pathh: d", "path"},
    {"path: d", "path: d, weight: 0", "expected a number above 0, got 0"},
    {"path: d", "path: d, weight: -1", "weight"},
    {"path: d", "path: d, max_repeats: none", "max_repeats"},
    {"data: [{path: d", "data: [{path: e, weight: 2}, {path: d",
     "1 of 2 data sets have a weight"},
    {"steps: 5", "steps: 5\n    validation: [{path: d, weight: 1}]", "weight"},
    {"steps: 5", "steps: 5\n    window: 0", "window"},
    {"steps: 5", "steps: 5\n    bad_samples: skip", "stop or drop"},
    {"data: [{path: d, subset: [0.0, 0.9]}]", "data: []", "at least one data set"},
    {"    data: [{path: d, subset: [0.0, 0.9]}]\n", "", "data is missing"},
    {"global_batch: 8", "global_batch: 3", "cannot fill 4 lanes"},
    {"global_batch: 8", "global_batch: many", "integer"},
    {"sequence_length: 64", "sequence_length: 1", "sequence_length"},
    {"steps: 5", "steps: 5\n    epochs: 2", "exactly one of steps"},
    {"    steps: 5\n", "", "exactly one of steps"},
    {"learning_rate: 1.0e-3", "learning_rate: fast", "learning_rate"},
    {"learning_rate: 1.0e-3", "learning_rate: {vision: 1.0}", "connector"},
    {"learning_rate: 1.0e-3", "learning_rates: 1.0e-3", "learning_rate"},
    {"steps: 5", "steps: 5\n    schedule: linear", "constant or cosine"},
    {"steps: 5", "steps: 5\n    betas: [0.9, 1.5]", "betas"},
    {"steps: 5", "steps: 5\n    loss: some", "answers or all"},
    {"steps: 5", "steps: 5\n    images: tiled", "expected fixed, got \"tiled\""},
    {"steps: 5", "steps: 5\n    images: {tile: 4}", "tiles"},
    {"steps: 5", "steps: 5\n    images: {tiles: 0}", "tiles"},
    {"steps: 5", "steps: 5\n    images: {tiles: 2000}", "tiles"},
    {"steps: 5", "steps: 5\n    images: {tiles: four}", "integer"},
    {"steps: 5", "steps: 5\n    images: {thumbnail: 1}", "thumbnail"},
    {"steps: 5", "steps: 5\n    images: {fit: cut}", "stretch, crop or pad, got \"cut\""},
    {"steps: 5", "steps: 5\n    images: {tiles: 4, fit: pad}", "pad contradicts tiles"},
    {"steps: 5", "steps: 5\n    images: [4]", "images"},
    {"model: {vision: v, connector: c, language: l}\ntokenizer: t\nstages:\n  - name: warm-up\n    "
     "trains: [connector]",
     "model: {language: l}\ntokenizer: t\nstages:\n  - name: warm-up\n    images: fixed\n    "
     "trains: [language]",
     "no vision part that looks"},
    {"steps: 5", "steps: 5\n    recompute: blocks", "recompute"},
    {"seed: 7", "seed: 7\nprecision: fp16", "expected fp32 or bf16, got \"fp16\""},
    {"steps: 5", "steps: 5\n    precision: bf16", "precision"},
    {"steps: 5", "steps: 5\n    template: qwen", "one of chat, plain, qwen2.5"},
    {"seed: 7", "seed: 7\ntemplate: qwen", "one of chat, plain, qwen2.5"},
    {"seed: 7", "seed: 7\nassume: {model: {v: v.yaml}}", "models"},
    {"seed: 7", "seed: 7\nassume: {models: {v: 3}}", "string"},
    {"seed: 7", "seed: 7\nassume: {data: {d: {tokens: 5, targets: 1}}}", "samples"},
    {"seed: 7", "seed: 7\nassume: {data: {d: {samples: 5, tokens: 5, targets: 6}}}", "targets"},
    {"seed: 7", "seed: 7\nassume: {data: {d: {samples: 5, tokens: 5, targets: 1, tile: 2}}}",
     "tiles"},
    {"steps: 5", "steps: 5\n    steps: 6", "steps"},
    {"name: warm-up", "nam: warm-up", "name"},
};

/// The good recipe with one replacement made.
static gr_err load_case(const bad_case *c, gr_recipe **out)
{
    gr_err err = GR_OK;
    gr_str good = {0};
    gr_str text = {0};
    GR_TRY(gr_str_add(&good, head));
    GR_TRY(gr_str_add(&good, stage));
    const char *at = strstr(good.data, c->from);
    if (!GR_CHECK(at != NULL)) {
        goto done;
    }
    GR_TRY(gr_str_add_bytes(&text, good.data, (size_t)(at - good.data)));
    GR_TRY(gr_str_add(&text, c->to));
    GR_TRY(gr_str_add(&text, at + strlen(c->from)));
    GR_TRY(load_text(text.data, NULL, 0, out));
done:
    gr_str_fini(&good);
    gr_str_fini(&text);
    return err;
}

static void test_mistakes(void)
{
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        gr_recipe *r = NULL;
        if (GR_CHECK_ERR(load_case(&bad_cases[i], &r), GR_ERR_RECIPE, bad_cases[i].message)) {
            GR_CHECK(strstr(gr_err_message(), "recipe.yaml:") != NULL);
        }
        gr_recipe_destroy(&r);
    }
}

static void test_stage_against_others(void)
{
    gr_recipe *r = NULL;
    static const char second[] = "  - name: warm-up\n"
                                 "    trains: [vision]\n"
                                 "    data: [{path: d}]\n"
                                 "    global_batch: 8\n"
                                 "    sequence_length: 64\n"
                                 "    epochs: 1\n"
                                 "    learning_rate: 1.0e-3\n";
    gr_str text = {0};
    GR_CHECK_OK(gr_str_add(&text, stage));
    GR_CHECK_OK(gr_str_add(&text, second));
    GR_CHECK_ERR(load_parts(head, text.data, &r), GR_ERR_RECIPE, "is taken");
    GR_CHECK_ERR(load_parts("model: {language: l}\ntokenizer: t\n", stage, &r), GR_ERR_RECIPE,
                 "no such part");
    gr_str_fini(&text);
}

static void test_missing_file(void)
{
    gr_recipe *r = NULL;
    GR_CHECK_ERR(gr_recipe_load("/nonexistent/recipe.yaml", NULL, 0, &r), GR_ERR_MISSING,
                 "/nonexistent/recipe.yaml");
}

/// The example that readers copy is a good recipe, and shows what it says it shows.
static void test_example(void)
{
    gr_recipe *r = NULL;
    char *path = gr_str_format("%s/configs/example.yaml", getenv("GR_SOURCE_DIR"));
    if (!GR_CHECK(path != NULL) || !GR_CHECK_OK(gr_recipe_load(path, NULL, 0, &r))) {
        GR_FREE(path);
        return;
    }
    GR_CHECK_INT(r->precision, GR_PRECISION_BF16);
    GR_CHECK_INT(r->stage_count, 2);
    GR_CHECK_INT(r->stages[0].images.tiles, 1);
    GR_CHECK_INT(r->stages[1].images.tiles, 6);
    GR_CHECK(r->stages[1].images.thumbnail && r->stages[1].recompute && r->stages[1].drop);
    gr_recipe_destroy(&r);
    GR_FREE(path);
}

static const gr_test tests[] = {
    {"example", test_example},
    {"good", test_good},
    {"settings", test_settings},
    {"nonfinite", test_nonfinite},
    {"assumed", test_assumed},
    {"mistakes", test_mistakes},
    {"stage_against_others", test_stage_against_others},
    {"missing_file", test_missing_file},
};
GR_TEST_MAIN("recipe", tests)
