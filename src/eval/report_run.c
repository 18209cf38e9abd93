/// A run folder, read. Read it from the bottom.

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/eval/report_private.h"

#include <math.h>
#include <string.h>

enum { LAST_STEPS = 20 };
static const char metrics_name[] = "metrics.jsonl";

gr_err gri_series_add(gri_series *s, double x, double y)
{
    gr_err err = GR_OK;
    if (s->count == s->room) {
        const int64_t room = s->room ? 2 * s->room : 64;
        GR_RESIZE(s->x, s->count, room);
        GR_RESIZE(s->y, s->count, room);
        s->room = room;
    }
    s->x[s->count] = x;
    s->y[s->count++] = y;
done:
    return err;
}

static void series_fini(gri_series *s)
{
    GR_FREE(s->x);
    GR_FREE(s->y);
    *s = (gri_series){0};
}

double gri_series_end(const gri_series *s)
{
    const int64_t n = s->count < LAST_STEPS ? s->count : LAST_STEPS;
    double sum = 0.0;
    for (int64_t i = s->count - n; i < s->count; i++) {
        sum += s->y[i];
    }
    return n > 0 ? sum / (double)n : NAN;
}

double gri_stage_seconds(const gri_stage *s)
{
    double sum = 0.0;
    for (int i = 0; i < GRI_TIMES; i++) {
        sum += s->seconds[i];
    }
    return sum;
}

const gr_node *gri_stage_recipe(const gri_run *run, const gri_stage *s)
{
    const gr_node *stages =
        run->recipe ? gr_node_find(gr_doc_root(run->recipe), "stages") : NULL;
    for (int64_t i = 0; stages && stages->type == GR_DOC_LIST && i < stages->u.list.count;
         i++) {
        const gr_node *stage = &stages->u.list.items[i];
        const gr_node *name = stage->type == GR_DOC_MAP ? gr_node_find(stage, "name") : NULL;
        if (name && name->type == GR_DOC_STRING && strcmp(name->u.string.data, s->name) == 0) {
            return stage;
        }
    }
    return NULL;
}

const gri_stage *gri_run_stage(const gri_run *run, const char *name)
{
    for (int64_t i = 0; i < run->stage_count; i++) {
        if (strcmp(run->stages[i].name, name) == 0) {
            return &run->stages[i];
        }
    }
    return NULL;
}

int64_t gri_run_planned(const gri_run *run)
{
    const gr_node *stages =
        run->recipe ? gr_node_find(gr_doc_root(run->recipe), "stages") : NULL;
    int64_t sum = 0;
    for (int64_t i = 0; stages && stages->type == GR_DOC_LIST && i < stages->u.list.count;
         i++) {
        const gr_node *stage = &stages->u.list.items[i];
        const gr_node *steps = stage->type == GR_DOC_MAP ? gr_node_find(stage, "steps") : NULL;
        if (!steps || steps->type != GR_DOC_INT || steps->u.integer <= 0) {
            return -1;
        }
        sum += steps->u.integer;
    }
    return stages ? sum : -1;
}

gr_err gri_run_lines(gri_run *run, const char *file, gri_line_fn *take, int64_t *bad)
{
    gr_err err = GR_OK;
    char *path = NULL, *text = NULL;
    gr_doc *doc = NULL;
    size_t size = 0;
    GR_TRY(gr_path_join(run->path, file, &path));
    if (!gr_file_exists(path)) {
        goto done;
    }
    GR_TRY(gr_file_read(path, 0, &text, &size));
    for (const char *line = text, *end; line < text + size; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + size - line));
        if (!end) {
            break; // it is being written
        }
        err = gr_doc_parse_json(path, line, (size_t)(end - line), GR_ERR_DATA, &doc);
        err = err ? err : gr_node_expect(gr_doc_root(doc), GR_DOC_MAP);
        err = err ? err : take(run, gr_doc_root(doc));
        if (err == GR_ERR_DATA) {
            (*bad)++;
            gr_err_clear();
            err = GR_OK;
        }
        gr_doc_destroy(&doc);
        GR_TRY(err);
    }
done:
    gr_doc_destroy(&doc);
    GR_FREE(text);
    GR_FREE(path);
    return err;
}

/// Lines of a stage follow each other.
static gr_err enter_stage(gri_run *run, const char *name, int64_t first, gri_stage **out)
{
    gr_err err = GR_OK;
    const int64_t n = run->stage_count;
    if (n == 0 || strcmp(run->stages[n - 1].name, name) != 0) {
        GR_RESIZE(run->stages, n, n + 1);
        run->stage_count = n + 1;
        GR_STRDUP(run->stages[n].name, name);
        run->stages[n].first = first;
    }
    *out = &run->stages[run->stage_count - 1];
done:
    return err;
}

static gr_err real_of(const gr_node *line, const char *key, double *out)
{
    *out = 0.0;
    return gr_node_opt_real(line, key, -1e300, 1e300, out);
}

static gr_err int_of(const gr_node *line, const char *key, int64_t *out)
{
    *out = 0;
    return gr_node_opt_int(line, key, INT64_MIN, INT64_MAX, out);
}

static gr_err take_rates(gri_stage *s, const gr_node *line, double step)
{
    static const char *const parts[GRI_RATES] = {"vision", "connector", "language"};
    gr_err err = GR_OK;
    const gr_node *rates = gr_node_find(line, "learning_rate");
    for (int p = 0; rates && rates->type == GR_DOC_MAP && p < GRI_RATES; p++) {
        double rate = 0.0;
        GR_TRY(real_of(rates, parts[p], &rate));
        if (rate > 0 || s->rate[p].count > 0) { // a part that does not train has no line
            GR_TRY(gri_series_add(&s->rate[p], step, rate));
        }
    }
done:
    return err;
}

static gr_err take_sources(gri_stage *s, const gr_node *line)
{
    gr_err err = GR_OK;
    const gr_node *list = gr_node_find(line, "sources");
    const int64_t count = list && list->type == GR_DOC_LIST ? list->u.list.count : 0;
    if (count > s->sources) {
        GR_RESIZE(s->of_sources, s->sources, count);
        s->sources = count;
    }
    for (int64_t i = 0; i < count; i++) {
        const gr_node *n = &list->u.list.items[i];
        s->of_sources[i] += n->type == GR_DOC_INT ? n->u.integer : 0;
    }
done:
    return err;
}

static gr_err take_times(gri_stage *s, const gr_node *line, double step, int64_t tokens)
{
    gr_err err = GR_OK;
    double seconds = 0, data = 0, communication = 0, saving = 0, share = 0;
    GR_TRY(real_of(line, "seconds", &seconds));
    GR_TRY(real_of(line, "data_wait", &data));
    GR_TRY(real_of(line, "communication", &communication));
    GR_TRY(real_of(line, "saving", &saving));
    GR_TRY(real_of(line, "share_of_peak", &share));
    s->seconds[GRI_COMPUTING] += seconds - data - communication;
    s->seconds[GRI_DATA_WAIT] += data;
    s->seconds[GRI_COMMUNICATION] += communication;
    s->seconds[GRI_SAVING] += saving;
    s->share_sum += share * seconds;
    if (seconds > 0) {
        GR_TRY(gri_series_add(&s->tokens_per_second, step, (double)tokens / seconds));
    }
    if (share > 0) {
        GR_TRY(gri_series_add(&s->share, step, share));
    }
done:
    return err;
}

static gr_err take_step(gri_run *run, gri_stage *s, const gr_node *line, int64_t step)
{
    gr_err err = GR_OK;
    double loss = 0.0, norm = 0.0;
    int64_t samples = 0, dropped = 0, tokens = 0, memory = 0;
    GR_TRY(gr_node_get_real(line, "loss", -1e300, 1e300, &loss));
    GR_TRY(real_of(line, "grad_norm", &norm));
    GR_TRY(int_of(line, "samples", &samples));
    GR_TRY(int_of(line, "dropped", &dropped));
    GR_TRY(int_of(line, "tokens", &tokens));
    GR_TRY(int_of(line, "memory", &memory));
    GR_TRY(gri_series_add(&s->loss, (double)step, loss));
    GR_TRY(gri_series_add(&s->norm, (double)step, norm));
    GR_TRY(take_rates(s, line, (double)step));
    GR_TRY(take_sources(s, line));
    GR_TRY(take_times(s, line, (double)step, tokens));
    s->samples += samples;
    s->dropped += dropped;
    s->tokens += tokens;
    s->steps++;
    run->steps++;
    run->memory = memory > run->memory ? memory : run->memory;
done:
    return err;
}

static gr_err take_validation(gri_stage *s, const gr_node *line, int64_t step)
{
    gr_err err = GR_OK;
    double loss = 0.0, seconds = 0.0;
    GR_TRY(gr_node_get_real(line, "validation_loss", -1e300, 1e300, &loss));
    GR_TRY(real_of(line, "seconds", &seconds));
    GR_TRY(gri_series_add(&s->validation, (double)step, loss));
    s->seconds[GRI_VALIDATING] += seconds;
done:
    return err;
}

static gr_err take_line(gri_run *run, const gr_node *line)
{
    gr_err err = GR_OK;
    const char *stage = NULL;
    int64_t step = 0, update = 0;
    gri_stage *s = NULL;
    GR_TRY(gr_node_opt_string(line, "stage", &stage));
    if (!stage) {
        goto done; // what the run began with
    }
    GR_TRY(gr_node_get_int(line, "step", 0, INT64_MAX, &step));
    GR_TRY(gr_node_get_int(line, "update", 0, INT64_MAX, &update));
    GR_TRY(enter_stage(run, stage, update - step, &s));
    if (gr_node_find(line, "loss")) {
        GR_TRY(take_step(run, s, line, step));
    } else if (!gr_node_find(line, "ended") && !gr_node_find(line, "adalrs")) {
        GR_TRY(take_validation(s, line, step));
    }
done:
    return err;
}

/// A document of the folder; one that is not there or is none is NULL.
static gr_err open_doc(const gri_run *run, const char *name, gr_doc **out)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(run->path, name, &path));
    err = gr_doc_load(path, GR_ERR_DATA, out);
    if (err == GR_ERR_MISSING || err == GR_ERR_DATA) {
        gr_err_clear();
        err = GR_OK;
    }
    if (*out && gr_doc_root(*out)->type != GR_DOC_MAP) {
        gr_doc_destroy(out);
    }
done:
    GR_FREE(path);
    return err;
}

/// Predictions stay as they are, documents.
static gr_err keep_prediction(gri_run *run, const gr_node *line)
{
    gr_err err = GR_OK;
    gr_json json = {0};
    gr_doc *doc = NULL;
    const int64_t n = run->prediction_count;
    gr_node_write(&json, line);
    GR_TRY(gr_json_finish(&json));
    GR_TRY(gr_doc_parse_json("predictions.jsonl", json.text.data, json.text.size, GR_ERR_DATA,
                             &doc));
    GR_RESIZE(run->predictions, n, n + 1);
    run->predictions[n] = doc;
    run->prediction_count = n + 1;
    doc = NULL;
done:
    gr_json_fini(&json);
    gr_doc_destroy(&doc);
    return err;
}

static gr_err look_for_model(gri_run *run)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(run->path, "final/config.json", &path));
    run->complete = gr_file_exists(path);
done:
    GR_FREE(path);
    return err;
}

/// The folder's name; "." and the like by where it is.
static gr_err name_run(gri_run *run)
{
    gr_err err = GR_OK;
    char *real = NULL;
    GR_TRY(gr_path_real(run->path, &real));
    GR_STRDUP(run->name, gr_path_base(real));
done:
    GR_FREE(real);
    return err;
}

static gr_err check_folder(const char *path)
{
    gr_err err = GR_OK;
    char *metrics = NULL;
    GR_TRY(gr_path_join(path, metrics_name, &metrics));
    if (!gr_file_exists(metrics)) {
        GR_FAIL(GR_ERR_MISSING, "%s: %s; expected the folder of a run (gradus train --run)",
                path, gr_dir_exists(path) ? "holds no metrics.jsonl" : "no such folder");
    }
done:
    GR_FREE(metrics);
    return err;
}

gr_err gri_run_load(const char *path, gri_run *out)
{
    gr_err err = GR_OK;
    gri_run run = {.path = path};
    int64_t bad = 0;
    GR_TRY(check_folder(path));
    GR_TRY(name_run(&run));
    GR_TRY(gri_run_lines(&run, metrics_name, take_line, &run.bad_lines));
    GR_TRY(open_doc(&run, "recipe.json", &run.recipe));
    GR_TRY(open_doc(&run, "capsule.json", &run.capsule));
    GR_TRY(gri_run_lines(&run, "predictions.jsonl", keep_prediction, &bad));
    GR_TRY(look_for_model(&run));
    GR_TRY(gri_run_load_ledger(&run));
    GR_TRY(gri_run_load_checkpoints(&run));
    *out = run;
    run = (gri_run){0};
done:
    gri_run_fini(&run);
    return err;
}

static void stage_fini(gri_stage *s)
{
    GR_FREE(s->name);
    series_fini(&s->loss);
    series_fini(&s->validation);
    series_fini(&s->norm);
    series_fini(&s->tokens_per_second);
    series_fini(&s->share);
    for (int p = 0; p < GRI_RATES; p++) {
        series_fini(&s->rate[p]);
    }
    GR_FREE(s->of_sources);
}

void gri_run_fini(gri_run *run)
{
    for (int64_t i = 0; i < run->stage_count; i++) {
        stage_fini(&run->stages[i]);
    }
    for (int64_t i = 0; i < run->prediction_count; i++) {
        gr_doc_destroy(&run->predictions[i]);
    }
    for (int64_t i = 0; i < run->left_out_count; i++) {
        gri_left_out *l = &run->left_out[i];
        GR_FREE(l->stage);
        GR_FREE(l->set);
        GR_FREE(l->path);
        GR_FREE(l->reason);
    }
    for (int64_t i = 0; i < run->checkpoint_count; i++) {
        GR_FREE(run->checkpoints[i].name);
    }
    GR_FREE(run->stages);
    GR_FREE(run->predictions);
    GR_FREE(run->left_out);
    GR_FREE(run->checkpoints);
    GR_FREE(run->name);
    gr_doc_destroy(&run->recipe);
    gr_doc_destroy(&run->capsule);
    *run = (gri_run){0};
}
