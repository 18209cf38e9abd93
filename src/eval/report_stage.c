/// The sections of the stages, with their curves.

#include "src/base/mem.h"
#include "src/eval/report_private.h"

static const char *const parts[GRI_RATES] = {"vision", "connector", "language"};

/// What the recipe says of a stage, in a sentence.
static void put_stage_words(gri_page *p, const gri_run *run, const gri_stage *s)
{
    const gr_node *recipe = gri_stage_recipe(run, s);
    const gr_node *trains = recipe ? gr_node_find(recipe, "trains") : NULL;
    const gr_node *batch = recipe ? gr_node_find(recipe, "global_batch") : NULL;
    const gr_node *data = recipe ? gr_node_find(recipe, "data") : NULL;
    gri_put(p, "<p>");
    if (trains && trains->type == GR_DOC_LIST) {
        gri_put(p, "Trains ");
        for (int64_t i = 0; i < trains->u.list.count; i++) {
            const gr_node *one = &trains->u.list.items[i];
            gri_put(p, i == 0 ? "" : i + 1 == trains->u.list.count ? " and " : ", ");
            gri_text(p, one->type == GR_DOC_STRING ? one->u.string.data : NULL);
        }
        gri_put(p, "; ");
    }
    gri_count(p, s->steps);
    gri_put(p, s->steps == 1 ? " step" : " steps");
    if (batch && batch->type == GR_DOC_INT) {
        gri_put(p, " of ");
        gri_count(p, batch->u.integer);
        gri_put(p, " samples");
    }
    for (int64_t i = 0; data && data->type == GR_DOC_LIST && i < data->u.list.count; i++) {
        const gr_node *one = &data->u.list.items[i];
        const gr_node *path = one->type == GR_DOC_MAP ? gr_node_find(one, "path") : NULL;
        gri_put(p, i == 0 ? " from <code>" : ", <code>");
        gri_text(p, path && path->type == GR_DOC_STRING ? path->u.string.data : NULL);
        gri_put(p, "</code>");
    }
    gri_put(p, ".</p>");
}

typedef const gri_series *series_fn(const gri_stage *s);

static const gri_series *loss_of(const gri_stage *s)
{
    return &s->loss;
}

static const gri_series *norm_of(const gri_stage *s)
{
    return &s->norm;
}

static const gri_series *speed_series(const gri_stage *s)
{
    return &s->tokens_per_second;
}

static const gri_series *share_series(const gri_stage *s)
{
    return &s->share;
}

/// One line a run.
static void put_plain(gri_page *p, gri_runs runs, const char *stage, gri_chart chart,
                      series_fn *series, gri_lines *l)
{
    for (int64_t r = 0; r < runs.count; r++) {
        const gri_stage *s = gri_run_stage(&runs.items[r], stage);
        if (s) {
            gri_lines_add(l, gri_line_of(runs, r, series(s), chart.title, 0, 0));
        }
    }
    gri_lines_put(p, chart, l);
}

static void put_validation(gri_page *p, gri_runs runs, const char *stage, gri_chart chart,
                           gri_lines *l)
{
    for (int64_t r = 0; r < runs.count; r++) {
        const gri_stage *s = gri_run_stage(&runs.items[r], stage);
        if (s) {
            gri_line line = gri_line_of(runs, r, &s->validation, "held-out", 1, 0);
            line.dots = true;
            gri_lines_add(l, line);
        }
    }
    gri_lines_put(p, chart, l);
}

static void put_rates(gri_page *p, gri_runs runs, const char *stage, gri_chart chart,
                      gri_lines *l)
{
    for (int64_t r = 0; r < runs.count; r++) {
        const gri_stage *s = gri_run_stage(&runs.items[r], stage);
        for (int part = 0; s && part < GRI_RATES; part++) {
            gri_line line = gri_line_of(runs, r, &s->rate[part], parts[part], 2 + part, part);
            line.more = runs.count > 1 ? parts[part] : NULL;
            line.exact = true;
            gri_lines_add(l, line);
        }
    }
    gri_lines_put(p, chart, l);
}

static void put_stage(gri_page *p, gri_runs runs, const char *name, int64_t number)
{
    static const char step[] = "step of the stage";
    gri_lines l = {0};
    gri_putf(p, "<section id=\"stage-%lld\"><h2>Stage %lld: ", (long long)number,
             (long long)number);
    gri_text(p, name);
    gri_put(p, "</h2>");
    for (int64_t r = 0; r < runs.count; r++) {
        const gri_stage *s = gri_run_stage(&runs.items[r], name);
        if (s) {
            put_stage_words(p, &runs.items[r], s);
            break;
        }
    }
    gri_put(p, "<div class=\"charts\">");
    put_plain(p, runs, name,
              (gri_chart){.title = "Training loss", .unit = gri_nats, .x_title = step}, loss_of,
              &l);
    put_validation(p, runs, name,
                   (gri_chart){.title = "Held-out loss", .unit = gri_nats, .x_title = step},
                   &l);
    put_rates(
        p, runs, name,
        (gri_chart){
            .title = "Learning rates", .unit = "per step", .x_title = step, .from_zero = true},
        &l);
    put_plain(p, runs, name,
              (gri_chart){.title = "Gradient norm",
                          .unit = "of the mean gradient, before clipping",
                          .x_title = step},
              norm_of, &l);
    put_plain(p, runs, name,
              (gri_chart){.title = "Speed",
                          .unit = "tokens a second, all ranks",
                          .x_title = step,
                          .from_zero = true},
              speed_series, &l);
    put_plain(p, runs, name,
              (gri_chart){.title = "Share of the peak",
                          .unit = "of the plain matrix product",
                          .x_title = step,
                          .from_zero = true,
                          .percent = true},
              share_series, &l);
    gri_put(p, "</div></section>");
    GR_FREE(l.items);
}

/// Whether an earlier run, or this one in an earlier stage, has a stage of this name.
static bool was_put(gri_runs runs, int64_t run, int64_t stage)
{
    const char *name = runs.items[run].stages[stage].name;
    for (int64_t r = 0; r < run; r++) {
        if (gri_run_stage(&runs.items[r], name)) {
            return true;
        }
    }
    return gri_run_stage(&runs.items[run], name) != &runs.items[run].stages[stage];
}

void gri_put_stages(gri_page *p, gri_runs runs)
{
    int64_t number = 0;
    for (int64_t r = 0; r < runs.count; r++) {
        for (int64_t i = 0; i < runs.items[r].stage_count; i++) {
            if (!was_put(runs, r, i)) {
                put_stage(p, runs, runs.items[r].stages[i].name, ++number);
            }
        }
    }
}
