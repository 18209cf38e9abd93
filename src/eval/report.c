/// Read it from the bottom.

#include "src/eval/report.h"

#include "src/base/base64.h"
#include "src/base/build.h"
#include "src/base/decimal.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/eval/report_private.h"

#include <math.h>
#include <string.h>

static void runs_fini(gri_run **items, int64_t count)
{
    for (int64_t i = 0; *items && i < count; i++) {
        gri_run_fini(&(*items)[i]);
    }
    GR_FREE(*items);
}

/// Runs whose folders have the same name go by their paths.
static gr_err tell_apart(gri_run *items, int64_t count)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < count; i++) {
        bool alike = false;
        for (int64_t k = 0; k < count; k++) {
            alike = alike ||
                    (k != i && strcmp(gr_path_base(items[k].path), items[i].name) == 0) ||
                    (k < i && strcmp(items[k].name, items[i].name) == 0);
        }
        if (alike) {
            GR_FREE(items[i].name);
            GR_STRDUP(items[i].name, items[i].path);
        }
    }
done:
    return err;
}

static gr_err load_runs(const char *const *paths, int64_t count, gri_run **out)
{
    gr_err err = GR_OK;
    gri_run *items = NULL;
    GR_ALLOC(items, count);
    for (int64_t i = 0; i < count; i++) {
        GR_TRY(gri_run_load(paths[i], &items[i]));
    }
    GR_TRY(tell_apart(items, count));
    *out = items;
    items = NULL;
done:
    runs_fini(&items, count);
    return err;
}

static void put_bytes(gri_page *p, const unsigned char *bytes, size_t size)
{
    if (p->err == GR_OK) {
        p->err = gr_str_add_bytes(&p->text, bytes, size);
    }
}

/// Nothing is fetched, and no script runs but ours, whatever stands in the texts.
static void put_policy(gri_page *p)
{
    gri_put(
        p,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-");
    if (p->err == GR_OK) {
        p->err = gr_base64_add(&p->text, gri_report_js_sha256, sizeof gri_report_js_sha256);
    }
    gri_put(p, "'\">");
}

static void put_title(gri_page *p, gri_runs runs)
{
    for (int64_t i = 0; i < runs.count; i++) {
        gri_put(p, i > 0 ? ", " : "");
        gri_text(p, runs.items[i].name);
    }
}

static void put_head(gri_page *p, gri_runs runs)
{
    gri_put(p, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">");
    put_policy(p);
    gri_put(
        p,
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>");
    put_title(p, runs);
    gri_put(p, " &middot; Gradus</title>\n<style>");
    put_bytes(p, gri_report_css, gri_report_css_size);
    gri_put(p, "</style></head>\n");
}

static void put_link(gri_page *p, const char *to, const char *text)
{
    gri_putf(p, "<a href=\"#%s\">%s</a>", to, text);
}

static void put_header(gri_page *p, gri_runs runs)
{
    gri_put(p, "<header><p class=\"brand\">Gradus report</p><h1>");
    for (int64_t i = 0; i < runs.count; i++) {
        gri_put(p, i > 0 ? "<small> beside </small>" : "");
        gri_put_name(p, runs, i);
    }
    gri_put(p, "</h1><p class=\"about\">");
    if (runs.count == 1) {
        const gri_run *run = &runs.items[0];
        gri_put(p, run->complete ? "<span class=\"state done\">complete</span> "
                                 : "<span class=\"state\">not complete</span> ");
        gri_put(p, "<code>");
        gri_text(p, run->path);
        gri_put(p, "</code>, ");
    }
    gri_put(p, "as of ");
    gri_date(p, gr_clock_epoch());
    gri_put(p, ", gradus ");
    gri_text(p, gr_build_get()->version);
    gri_put(p, "</p></header>\n<nav aria-label=\"Sections\">");
    put_link(p, "overview", "Overview");
    bool stages = false, predictions = false;
    for (int64_t i = 0; i < runs.count; i++) {
        stages = stages || runs.items[i].stage_count > 0;
        predictions = predictions || runs.items[i].prediction_count > 0;
    }
    if (stages) {
        put_link(p, "stage-1", "Stages");
    }
    put_link(p, "time", "Time");
    put_link(p, "samples", "Samples");
    if (predictions) {
        put_link(p, "predictions", "Predictions");
    }
    put_link(p, "checkpoints", "Checkpoints");
    put_link(p, "starts", "Starts");
    put_link(p, "recipe", "Recipe");
    gri_put(p, "</nav>\n");
}

static void put_page(gri_page *p, gri_runs runs)
{
    put_head(p, runs);
    gri_put(p, "<body>\n");
    put_header(p, runs);
    gri_put(p, "<main>\n");
    gri_put_overview(p, runs);
    gri_put_stages(p, runs);
    gri_put_times(p, runs);
    gri_put_samples(p, runs);
    gri_put_predictions(p, runs);
    gri_put_checkpoints(p, runs);
    gri_put_starts(p, runs);
    gri_put_recipes(p, runs);
    gri_put(p, "</main>\n<script>");
    put_bytes(p, gri_report_js, gri_report_js_size);
    gri_put(p, "</script>\n</body>\n</html>\n");
}

gr_err gr_report_write(const char *const *runs, int64_t count, const char *out)
{
    gr_err err = GR_OK;
    gri_run *items = NULL;
    gri_page page = {0};
    GR_TRY(load_runs(runs, count, &items));
    void *before = gr_decimal_enter();
    put_page(&page, (gri_runs){items, count});
    gr_decimal_leave(before);
    GR_TRY(page.err);
    GR_TRY(gr_file_write(out, page.text.data, page.text.size));
done:
    gr_str_fini(&page.text);
    runs_fini(&items, count);
    return err;
}

static void write_stage(gr_json *j, const gri_stage *s)
{
    static const char *const times[GRI_TIMES] = {[GRI_COMPUTING] = "computing",
                                                 [GRI_DATA_WAIT] = "data_wait",
                                                 [GRI_COMMUNICATION] = "communication",
                                                 [GRI_SAVING] = "saving",
                                                 [GRI_VALIDATING] = "validating"};
    const gri_series *v = &s->validation;
    const double stepping =
        s->seconds[GRI_COMPUTING] + s->seconds[GRI_DATA_WAIT] + s->seconds[GRI_COMMUNICATION];
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "name", s->name);
    gr_json_int(j, "steps", s->steps);
    gr_json_real(j, "loss", gri_series_end(&s->loss));
    gr_json_real(j, "first_validation_loss", v->count ? v->y[0] : NAN);
    gr_json_real(j, "validation_loss", v->count ? v->y[v->count - 1] : NAN);
    gr_json_int(j, "samples", s->samples);
    gr_json_int(j, "dropped", s->dropped);
    gr_json_int(j, "tokens", s->tokens);
    gr_json_real(j, "seconds", gri_stage_seconds(s));
    for (int t = 0; t < GRI_TIMES; t++) {
        gr_json_real(j, times[t], s->seconds[t]);
    }
    gr_json_real(j, "share_of_peak", stepping > 0 ? s->share_sum / stepping : NAN);
    gr_json_map_end(j);
}

static int64_t count_starts(const gri_run *run)
{
    const gr_node *list =
        run->capsule ? gr_node_find(gr_doc_root(run->capsule), "starts") : NULL;
    return list && list->type == GR_DOC_LIST ? list->u.list.count : 0;
}

static void write_left_out(gr_json *j, const gri_run *run)
{
    gr_json_list_begin(j, "left_out");
    for (int64_t i = 0; i < run->left_out_count; i++) {
        const gri_left_out *l = &run->left_out[i];
        gr_json_map_begin(j, NULL);
        gr_json_string(j, "stage", l->stage);
        gr_json_string(j, "set", l->set);
        gr_json_string(j, "path", l->path);
        gr_json_int(j, "count", l->count);
        gr_json_string(j, "reason", l->reason);
        gr_json_map_end(j);
    }
    gr_json_list_end(j);
}

static void write_run(gr_json *j, const gri_run *run)
{
    gri_stage sum = {0};
    const int64_t planned = gri_run_planned(run);
    double seconds = 0.0;
    for (int64_t i = 0; i < run->stage_count; i++) {
        sum.samples += run->stages[i].samples;
        sum.dropped += run->stages[i].dropped;
        sum.tokens += run->stages[i].tokens;
        seconds += gri_stage_seconds(&run->stages[i]);
    }
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "run", run->path);
    gr_json_bool(j, "complete", run->complete);
    gr_json_int(j, "steps", run->steps);
    if (planned >= 0) {
        gr_json_int(j, "planned_steps", planned);
    } else {
        gr_json_null(j, "planned_steps");
    }
    gr_json_int(j, "samples", sum.samples);
    gr_json_int(j, "dropped", sum.dropped);
    gr_json_int(j, "tokens", sum.tokens);
    gr_json_real(j, "seconds", seconds);
    gr_json_int(j, "memory", run->memory);
    gr_json_int(j, "starts", count_starts(run));
    gr_json_int(j, "checkpoints", run->checkpoint_count);
    gr_json_list_begin(j, "stages");
    for (int64_t i = 0; i < run->stage_count; i++) {
        write_stage(j, &run->stages[i]);
    }
    gr_json_list_end(j);
    write_left_out(j, run);
    gr_json_map_end(j);
}

gr_err gr_report_json(const char *const *runs, int64_t count, gr_json *json)
{
    gr_err err = GR_OK;
    gri_run *items = NULL;
    GR_TRY(load_runs(runs, count, &items));
    gr_json_map_begin(json, NULL);
    gr_json_list_begin(json, "runs");
    for (int64_t i = 0; i < count; i++) {
        write_run(json, &items[i]);
    }
    gr_json_list_end(json);
    gr_json_map_end(json);
done:
    runs_fini(&items, count);
    return err;
}
