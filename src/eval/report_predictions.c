/// The section with what a model answers.

#include "src/eval/report_private.h"

#include <string.h>

/// Only what base64 is made of: it goes into an attribute.
static bool is_base64(const char *text)
{
    return text[0] &&
           text[strspn(text,
                       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")] ==
               '\0';
}

static void put_pictures(gri_page *p, const gr_node *prediction)
{
    const gr_node *pictures = gri_list_of(prediction, "pictures");
    for (int64_t i = 0; pictures && i < pictures->u.list.count; i++) {
        const gr_node *one = &pictures->u.list.items[i];
        const char *bytes = gri_text_of(one, "webp");
        if (is_base64(bytes)) {
            gri_putf(
                p,
                "<img alt=\"Picture %lld of the sample\" width=\"%lld\" height=\"%lld\" src=\"data:image/webp;base64,",
                (long long)i + 1, (long long)gri_int_of(one, "width"),
                (long long)gri_int_of(one, "height"));
            gri_put(p, bytes);
            gri_put(p, "\">");
        }
    }
}

static bool is_same(const gr_node *prediction)
{
    const gr_node *n = gr_node_find(prediction, "same");
    return n && n->type == GR_DOC_BOOL && n->u.boolean;
}

static void put_prediction(gri_page *p, const gr_node *prediction)
{
    const bool same = is_same(prediction);
    gri_put(p, "<article class=\"prediction\"><div class=\"pictures\">");
    put_pictures(p, prediction);
    gri_put(p, "</div><dl><dt>Question</dt><dd>");
    gri_text(p, gri_text_of(prediction, "question"));
    gri_put(p, "</dd><dt>Expected</dt><dd>");
    gri_text(p, gri_text_of(prediction, "expected"));
    gri_putf(p, "</dd><dt>Answer <span class=\"mark %s\">%s</span></dt><dd class=\"answer\">",
             same ? "same" : "other", same ? "the same" : "another");
    gri_text(p, gri_text_of(prediction, "answer"));
    gri_put(p, "</dd></dl><footer>");
    gri_put(p, "<code>");
    gri_text(p, gri_text_of(prediction, "set"));
    gri_putf(p, "</code>, sample %lld", (long long)gri_int_of(prediction, "index"));
    if (*gri_text_of(prediction, "task")) {
        gri_put(p, ", ");
        gri_text(p, gri_text_of(prediction, "task"));
    }
    gri_put(p, "</footer></article>");
}

static void put_predictions_of(gri_page *p, gri_runs runs, int64_t r)
{
    const gri_run *run = &runs.items[r];
    int64_t same = 0;
    for (int64_t i = 0; i < run->prediction_count; i++) {
        same += is_same(gr_doc_root(run->predictions[i]));
    }
    gri_put(p, "<p>");
    if (runs.count > 1) {
        gri_put_name(p, runs, r);
        gri_put(p, ": answers");
    } else {
        gri_put(p, "Answers");
    }
    gri_put(p, " of <code>");
    gri_text(p, gri_text_of(gr_doc_root(run->predictions[0]), "model"));
    gri_put(p, "</code>, the most likely token each time; ");
    gri_count(p, same);
    gri_put(p, " of ");
    gri_count(p, run->prediction_count);
    gri_put(p, same == 1 ? " is" : " are");
    gri_put(p, " the same as expected.</p><div class=\"predictions\">");
    for (int64_t i = 0; i < run->prediction_count; i++) {
        put_prediction(p, gr_doc_root(run->predictions[i]));
    }
    gri_put(p, "</div>");
}

void gri_put_predictions(gri_page *p, gri_runs runs)
{
    bool any = false;
    for (int64_t r = 0; r < runs.count; r++) {
        any = any || runs.items[r].prediction_count > 0;
    }
    if (!any) {
        return;
    }
    gri_put(p, "<section id=\"predictions\"><h2>Predictions</h2>");
    for (int64_t r = 0; r < runs.count; r++) {
        if (runs.items[r].prediction_count > 0) {
            put_predictions_of(p, runs, r);
        }
    }
    gri_put(p, "</section>");
}
