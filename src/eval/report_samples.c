/// The sections about samples and checkpoints.

#include "src/eval/report_private.h"

#include <string.h>

static int64_t left_out_of(const gri_run *run, const char *stage, const char *path)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < run->left_out_count; i++) {
        const gri_left_out *l = &run->left_out[i];
        sum += strcmp(l->stage, stage) == 0 && strcmp(l->set, "data") == 0 &&
                       strcmp(l->path, path) == 0
                   ? l->count
                   : 0;
    }
    return sum;
}

static void put_source_row(gri_page *p, gri_runs runs, int64_t run, const gri_stage *s,
                           const char *path, int64_t samples)
{
    const int64_t out = left_out_of(&runs.items[run], s->name, path);
    gri_begin_row(p, runs, run);
    gri_put(p, "<th scope=\"row\">");
    gri_text(p, s->name);
    gri_put(p, "</th><td><code>");
    gri_text(p, path);
    gri_put(p, "</code></td><td class=\"n\">");
    gri_count(p, samples - out);
    gri_put(p, "</td><td class=\"n\">");
    gri_count(p, out);
    gri_put(p, "</td></tr>");
}

/// A stage with one data set has all its samples from there; with several the steps counted them.
static void put_sources(gri_page *p, gri_runs runs, int64_t run, const gri_stage *s)
{
    const gr_node *data = gri_list_of(gri_stage_recipe(&runs.items[run], s), "data");
    const int64_t count = data ? data->u.list.count : 0;
    if (count == 1 || (count > 1 && s->sources == count)) {
        for (int64_t i = 0; i < count; i++) {
            put_source_row(p, runs, run, s, gri_text_of(&data->u.list.items[i], "path"),
                           count == 1 ? s->samples : s->of_sources[i]);
        }
    } else {
        put_source_row(p, runs, run, s, "all data sets", s->samples);
    }
}

static void put_reasons(gri_page *p, gri_runs runs)
{
    int64_t kinds = 0;
    for (int64_t r = 0; r < runs.count; r++) {
        kinds += runs.items[r].left_out_count;
    }
    if (kinds == 0) {
        gri_put(p, "<p>No sample was left out.</p>");
        return;
    }
    gri_put(p, "<h3>Left out, by reason</h3>");
    gri_put_table(p, runs);
    gri_put(
        p,
        "<th scope=\"col\">Stage</th><th scope=\"col\">Set</th><th scope=\"col\">Data set</th><th scope=\"col\" class=\"n\">Times</th>"
        "<th scope=\"col\">Reason, of the first</th></tr></thead><tbody>");
    for (int64_t r = 0; r < runs.count; r++) {
        for (int64_t i = 0; i < runs.items[r].left_out_count; i++) {
            const gri_left_out *l = &runs.items[r].left_out[i];
            gri_begin_row(p, runs, r);
            gri_put(p, "<th scope=\"row\">");
            gri_text(p, l->stage);
            gri_put(p, "</th><td>");
            gri_text(p, strcmp(l->set, "data") == 0 ? "training" : l->set);
            gri_put(p, "</td><td><code>");
            gri_text(p, l->path);
            gri_put(p, "</code></td><td class=\"n\">");
            gri_count(p, l->count);
            gri_put(p, "</td><td class=\"long\">");
            gri_text(p, l->reason);
            gri_put(p, "</td></tr>");
        }
    }
    gri_end_table(p);
}

void gri_put_samples(gri_page *p, gri_runs runs)
{
    gri_put(
        p,
        "<section id=\"samples\"><h2>Samples</h2><p>How often samples of each data set were trained on, and how often one was left out.</p>");
    gri_put_table(p, runs);
    gri_put(
        p,
        "<th scope=\"col\">Stage</th><th scope=\"col\">Data set</th><th scope=\"col\" class=\"n\">Used</th>"
        "<th scope=\"col\" class=\"n\">Left out</th></tr></thead><tbody>");
    for (int64_t r = 0; r < runs.count; r++) {
        for (int64_t i = 0; i < runs.items[r].stage_count; i++) {
            put_sources(p, runs, r, &runs.items[r].stages[i]);
        }
    }
    gri_end_table(p);
    put_reasons(p, runs);
    gri_put(p, "</section>");
}

void gri_put_checkpoints(gri_page *p, gri_runs runs)
{
    gri_put(p, "<section id=\"checkpoints\"><h2>Checkpoints</h2>");
    gri_put_table(p, runs);
    gri_put(
        p,
        "<th scope=\"col\">Folder</th><th scope=\"col\" class=\"n\">Step of the run</th><th scope=\"col\" class=\"n\">Size</th>"
        "<th scope=\"col\">Complete since</th></tr></thead><tbody>");
    int64_t rows = 0;
    for (int64_t r = 0; r < runs.count; r++) {
        for (int64_t i = 0; i < runs.items[r].checkpoint_count; i++, rows++) {
            const gri_checkpoint *c = &runs.items[r].checkpoints[i];
            gri_begin_row(p, runs, r);
            gri_put(p, "<th scope=\"row\"><code>checkpoints/");
            gri_text(p, c->name);
            gri_put(p, "</code></th><td class=\"n\">");
            gri_count(p, c->updates);
            gri_put(p, "</td><td class=\"n\">");
            gri_bytes(p, c->bytes);
            gri_put(p, "</td><td>");
            gri_date(p, c->time);
            gri_put(p, "</td></tr>");
        }
    }
    gri_put(p, rows == 0 ? "<tr><td colspan=\"5\">None is there.</td></tr>" : "");
    gri_end_table(p);
    gri_put(
        p,
        "<p>Sizes count files that several checkpoints share (parts that did not train) in each of them.</p></section>");
}
