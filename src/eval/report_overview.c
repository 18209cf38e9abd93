/// The sections about whole runs: figures, the loss from end to end, where the time went.

#include "src/base/mem.h"
#include "src/eval/report_private.h"

#include <math.h>
#include <string.h>

/// Whether all runs have their stages at the same steps, as far as they have come.
static bool stages_agree(gri_runs runs)
{
    const gri_run *a = &runs.items[0];
    for (int64_t r = 1; r < runs.count; r++) {
        const gri_run *b = &runs.items[r];
        for (int64_t i = 0; i < a->stage_count && i < b->stage_count; i++) {
            if (a->stages[i].first != b->stages[i].first ||
                strcmp(a->stages[i].name, b->stages[i].name) != 0) {
                return false;
            }
        }
    }
    return true;
}

static void put_overview_chart(gri_page *p, gri_runs runs)
{
    gri_lines l = {0};
    const gri_run *first = &runs.items[0];
    gr_err err = GR_OK;
    gri_band *bands = NULL;
    GR_ALLOC(bands, first->stage_count);
    for (int64_t i = 0; i < first->stage_count; i++) {
        const gri_stage *s = &first->stages[i];
        bands[i] =
            (gri_band){s->name, (double)s->first + 0.5, (double)(s->first + s->steps) + 0.5};
    }
    for (int64_t r = 0; r < runs.count; r++) {
        bool trained = false, measured = false; // what is in the legend
        for (int64_t i = 0; i < runs.items[r].stage_count; i++) {
            const gri_stage *s = &runs.items[r].stages[i];
            gri_line loss = gri_line_of(runs, r, &s->loss, "training", 0, 0);
            gri_line held = gri_line_of(runs, r, &s->validation, "held-out", 1, 1);
            loss.shift = held.shift = (double)s->first;
            held.dots = true;
            loss.again = trained;
            held.again = measured;
            trained = trained || s->loss.count > 0;
            measured = measured || s->validation.count > 0;
            gri_lines_add(&l, loss);
            gri_lines_add(&l, held);
        }
    }
    gri_lines_put(p,
                  (gri_chart){.title = "Loss over the whole run",
                              .unit = gri_nats,
                              .x_title = "step of the run",
                              .bands = bands,
                              .band_count = stages_agree(runs) ? first->stage_count : 0,
                              .wide = true},
                  &l);
done:
    p->err = p->err ? p->err : err;
    GR_FREE(bands);
    GR_FREE(l.items);
}

static void put_tile(gri_page *p, const char *label)
{
    gri_putf(p, "<div class=\"tile\"><dt>%s</dt><dd>", label);
}

static void end_tile(gri_page *p)
{
    gri_put(p, "</dd></div>");
}

static void sum_up(const gri_run *run, gri_stage *sum)
{
    for (int64_t i = 0; i < run->stage_count; i++) {
        const gri_stage *s = &run->stages[i];
        sum->samples += s->samples;
        sum->dropped += s->dropped;
        sum->tokens += s->tokens;
        sum->share_sum += s->share_sum;
        for (int t = 0; t < GRI_TIMES; t++) {
            sum->seconds[t] += s->seconds[t];
        }
    }
}

static double step_seconds(const gri_stage *s)
{
    return s->seconds[GRI_COMPUTING] + s->seconds[GRI_DATA_WAIT] +
           s->seconds[GRI_COMMUNICATION];
}

static double share_of(const gri_stage *s)
{
    const double seconds = step_seconds(s);
    return seconds > 0 && s->share_sum > 0 ? s->share_sum / seconds : NAN;
}

static double speed_of(const gri_stage *s)
{
    const double seconds = step_seconds(s);
    return seconds > 0 ? (double)s->tokens / seconds : NAN;
}

/// "3.2100 to 1.0512", what a stage's held-out loss did.
static void put_held_out(gri_page *p, const gri_stage *s)
{
    if (s->validation.count == 0) {
        gri_put(p, "&ndash;");
        return;
    }
    gri_number(p, s->validation.y[0]);
    if (s->validation.count > 1) {
        gri_put(p, "<small> to </small>");
        gri_number(p, s->validation.y[s->validation.count - 1]);
    }
}

static void put_progress(gri_page *p, const gri_run *run)
{
    const int64_t planned = gri_run_planned(run);
    gri_count(p, run->steps);
    if (planned > 0) {
        gri_put(p, "<small> of ");
        gri_count(p, planned);
        gri_put(p, "</small>");
    }
}

static void put_state(gri_page *p, const gri_run *run)
{
    gri_put(p, run->complete ? "<span class=\"state done\">complete</span>"
                             : "<span class=\"state\">not complete</span>");
}

static void put_tiles(gri_page *p, const gri_run *run)
{
    gri_stage sum = {0};
    const gri_stage *last = run->stage_count ? &run->stages[run->stage_count - 1] : NULL;
    sum_up(run, &sum);
    gri_put(p, "<dl class=\"tiles\">");
    put_tile(p, "Steps");
    put_progress(p, run);
    end_tile(p);
    if (last) {
        put_tile(p, "Held-out loss, last stage");
        put_held_out(p, last);
        end_tile(p);
        put_tile(p, "Training loss, last 20 steps");
        gri_number(p, gri_series_end(&last->loss));
        end_tile(p);
    }
    put_tile(p, "Samples");
    gri_count(p, sum.samples);
    if (sum.dropped > 0) {
        gri_put(p, "<small>, ");
        gri_count(p, sum.dropped);
        gri_put(p, " left out</small>");
    }
    end_tile(p);
    put_tile(p, "Tokens a second");
    gri_number(p, speed_of(&sum));
    end_tile(p);
    put_tile(p, "Share of the peak");
    gri_percent(p, share_of(&sum));
    end_tile(p);
    put_tile(p, "Time");
    gri_seconds(p, gri_stage_seconds(&sum));
    end_tile(p);
    put_tile(p, "Largest memory of a rank");
    gri_bytes(p, run->memory);
    end_tile(p);
    gri_put(p, "</dl>");
}

static void put_comparison(gri_page *p, gri_runs runs)
{
    gri_put(
        p,
        "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">Run</th><th scope=\"col\">State</th>"
        "<th scope=\"col\" class=\"n\">Steps</th><th scope=\"col\" class=\"n\">Held-out loss, last stage</th>"
        "<th scope=\"col\" class=\"n\">Training loss, last 20 steps</th><th scope=\"col\" class=\"n\">Samples</th>"
        "<th scope=\"col\" class=\"n\">Left out</th><th scope=\"col\" class=\"n\">Tokens a second</th>"
        "<th scope=\"col\" class=\"n\">Share of the peak</th><th scope=\"col\" class=\"n\">Time</th></tr></thead><tbody>");
    for (int64_t i = 0; i < runs.count; i++) {
        const gri_run *run = &runs.items[i];
        const gri_stage none = {0};
        const gri_stage *last = run->stage_count ? &run->stages[run->stage_count - 1] : &none;
        gri_stage sum = {0};
        sum_up(run, &sum);
        gri_put(p, "<tr><th scope=\"row\">");
        gri_put_name(p, runs, i);
        gri_put(p, "</th><td>");
        put_state(p, run);
        gri_put(p, "</td><td class=\"n\">");
        put_progress(p, run);
        gri_put(p, "</td><td class=\"n\">");
        put_held_out(p, last);
        gri_put(p, "</td><td class=\"n\">");
        gri_number(p, gri_series_end(&last->loss));
        gri_put(p, "</td><td class=\"n\">");
        gri_count(p, sum.samples);
        gri_put(p, "</td><td class=\"n\">");
        gri_count(p, sum.dropped);
        gri_put(p, "</td><td class=\"n\">");
        gri_number(p, speed_of(&sum));
        gri_put(p, "</td><td class=\"n\">");
        gri_percent(p, share_of(&sum));
        gri_put(p, "</td><td class=\"n\">");
        gri_seconds(p, gri_stage_seconds(&sum));
        gri_put(p, "</td></tr>");
    }
    gri_put(p, "</tbody></table></div>");
}

void gri_put_overview(gri_page *p, gri_runs runs)
{
    gri_put(p, "<section id=\"overview\"><h2>Overview</h2>");
    if (runs.count == 1) {
        put_tiles(p, &runs.items[0]);
    } else {
        put_comparison(p, runs);
    }
    for (int64_t i = 0; i < runs.count; i++) {
        if (runs.items[i].bad_lines > 0) {
            gri_put(p, "<p class=\"note\">");
            gri_count(p, runs.items[i].bad_lines);
            gri_put(p, " of the lines of metrics.jsonl of ");
            gri_text(p, runs.items[i].name);
            gri_put(p, " could not be read and are left out.</p>");
        }
    }
    put_overview_chart(p, runs);
    gri_put(
        p,
        "<p>Curves of many steps are means of neighbouring ones; the band around them reaches from the smallest to the largest.</p></section>");
}

static const char *const time_names[GRI_TIMES] = {[GRI_COMPUTING] = "computing",
                                                  [GRI_DATA_WAIT] = "waiting for samples",
                                                  [GRI_COMMUNICATION] =
                                                      "waiting for other ranks",
                                                  [GRI_SAVING] = "saving",
                                                  [GRI_VALIDATING] = "held-out data"};

static void put_time_row(gri_page *p, const gri_stage *s)
{
    const double all = gri_stage_seconds(s);
    gri_put(p, "<td class=\"n\">");
    gri_seconds(p, all);
    gri_put(p, "</td>");
    for (int t = 0; t < GRI_TIMES; t++) {
        gri_put(p, "<td class=\"n\">");
        gri_percent(p, all > 0 ? s->seconds[t] / all : NAN);
        gri_put(p, "</td>");
    }
    gri_put(p, "<td class=\"bar\"><div aria-hidden=\"true\">");
    for (int t = 0; t < GRI_TIMES && all > 0; t++) {
        gri_putf(p, "<span class=\"t%d\" style=\"width:%.3f%%\"></span>", t,
                 100 * fmax(0, s->seconds[t]) / all);
    }
    gri_put(p, "</div></td>");
}

void gri_put_times(gri_page *p, gri_runs runs)
{
    gri_put(
        p,
        "<section id=\"time\"><h2>Where the time went</h2><p>Seconds of rank 0, as shares of each stage. "
        "What several ranks wait for each other stands in one column, messages and work that is shared out unevenly.</p>"
        "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>");
    gri_put(p, runs.count > 1 ? "<th scope=\"col\">Run</th>" : "");
    gri_put(p, "<th scope=\"col\">Stage</th><th scope=\"col\" class=\"n\">Time</th>");
    for (int t = 0; t < GRI_TIMES; t++) {
        gri_putf(p, "<th scope=\"col\" class=\"n\"><i class=\"swatch t%d\"></i>%s</th>", t,
                 time_names[t]);
    }
    gri_put(p, "<th scope=\"col\" aria-hidden=\"true\"></th></tr></thead><tbody>");
    for (int64_t r = 0; r < runs.count; r++) {
        for (int64_t i = 0; i < runs.items[r].stage_count; i++) {
            gri_put(p, "<tr>");
            if (runs.count > 1) {
                gri_put(p, "<td>");
                gri_put_name(p, runs, r);
                gri_put(p, "</td>");
            }
            gri_put(p, "<th scope=\"row\">");
            gri_text(p, runs.items[r].stages[i].name);
            gri_put(p, "</th>");
            put_time_row(p, &runs.items[r].stages[i]);
            gri_put(p, "</tr>");
        }
    }
    gri_put(p, "</tbody></table></div></section>");
}
