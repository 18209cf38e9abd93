#ifndef SRC_EVAL_REPORT_PRIVATE_H
#define SRC_EVAL_REPORT_PRIVATE_H

/// The report's parts: runs as read (report_run.c, report_ledger.c), the page's text (report_page.c), charts (report_chart.c), sections
/// (report_overview.c, report_stage.c, report_samples.c, report_predictions.c, report_starts.c, report_recipe.c; report_lines.c: what they share).

#include "src/base/doc.h"
#include "src/base/str.h"

#include <stdint.h>

/// Points with rising x.
typedef struct gri_series {
    double *x, *y;
    int64_t count, room;
} gri_series;

enum { GRI_RATES = 3 }; ///< vision, connector, language

/// Where a stage's time went, in seconds of the writing rank.
typedef enum gri_time {
    GRI_COMPUTING,
    GRI_DATA_WAIT,
    GRI_COMMUNICATION,
    GRI_SAVING,
    GRI_VALIDATING,
    GRI_TIMES
} gri_time;

typedef struct gri_stage {
    char *name;
    int64_t first; ///< updates of the run before its first step
    int64_t steps; ///< done
    /// Over steps of the stage.
    gri_series loss, validation, norm, tokens_per_second, share, rate[GRI_RATES];
    double seconds[GRI_TIMES];
    double share_sum; ///< of share times seconds of steps
    int64_t samples, dropped, tokens;
    int64_t *of_sources; ///< [sources] samples, in the recipe's order
    int64_t sources;
} gri_stage;

/// Samples that were left out for reasons that differ in names and numbers only.
typedef struct gri_left_out {
    char *stage, *set, *path, *reason; ///< the reason of the first
    int64_t count;
} gri_left_out;

typedef struct gri_checkpoint {
    char *name;
    int64_t updates, bytes;
    double time; ///< when it was complete, seconds since the epoch
} gri_checkpoint;

typedef struct gri_run {
    const char *path; ///< borrowed, as given
    char *name;       ///< what it is called on the page
    gri_stage *stages;
    int64_t stage_count;
    int64_t steps, memory;
    int64_t bad_lines;        ///< of metrics.jsonl, that are none
    bool complete;            ///< the trained model is there
    gr_doc *recipe, *capsule; ///< NULL: not there
    gr_doc **predictions;     ///< a line each
    int64_t prediction_count;
    gri_left_out *left_out;
    int64_t left_out_count;
    gri_checkpoint *checkpoints;
    int64_t checkpoint_count;
} gri_run;

/// Reads the folder. GR_ERR_MISSING: there is no metrics.jsonl. `out` is zeroed before.
GR_MUST_CHECK gr_err gri_run_load(const char *path, gri_run *out);
/// May be called on a zeroed struct.
void gri_run_fini(gri_run *run);
/// ledger.jsonl and the folder of checkpoints, into a run.
GR_MUST_CHECK gr_err gri_run_load_ledger(gri_run *run);
GR_MUST_CHECK gr_err gri_run_load_checkpoints(gri_run *run);
/// The lines of a file in the run folder, one document each; what is no JSON map is counted in *bad, and a last line without its end is left out.
/// No file is no lines.
typedef gr_err gri_line_fn(gri_run *run, const gr_node *line);
GR_MUST_CHECK gr_err gri_run_lines(gri_run *run, const char *file, gri_line_fn *take,
                                   int64_t *bad);

GR_MUST_CHECK gr_err gri_series_add(gri_series *s, double x, double y);
/// Mean of the last 20 points, NaN without any.
double gri_series_end(const gri_series *s);

double gri_stage_seconds(const gri_stage *s);
/// The stage's entry of the recipe, NULL: none.
const gr_node *gri_stage_recipe(const gri_run *run, const gri_stage *s);
/// The run's stage of this name, NULL: it has none.
const gri_stage *gri_run_stage(const gri_run *run, const char *name);
/// Steps of all stages by the recipe, -1 where it counts in epochs.
int64_t gri_run_planned(const gri_run *run);

/// The page's text. A failed add is remembered, and nothing is added after it.
typedef struct gri_page {
    gr_str text;
    gr_err err;
} gri_page;

/// HTML of our own.
void gri_put(gri_page *p, const char *html);
void gri_putf(gri_page *p, const char *fmt, ...) GR_PRINTF(2, 3);
/// Texts of others, escaped. NULL is "".
void gri_text(gri_page *p, const char *text);
/// "12 345", "1.234", "0:01:05", "3.2 GiB", "12.3 %", "2026-11-28 07:12 UTC"; a dash for what is no number (times: not above 0).
void gri_count(gri_page *p, int64_t n);
void gri_number(gri_page *p, double x);
void gri_seconds(gri_page *p, double seconds);
void gri_bytes(gri_page *p, int64_t bytes);
void gri_percent(gri_page *p, double share);
void gri_date(gri_page *p, double epoch);

/// One line of a chart.
typedef struct gri_line {
    const gri_series *data;
    const char *label, *more; ///< "LABEL MORE" in the legend; `more` may be NULL
    double shift;             ///< added to x
    int colour, dash;         ///< colour: any number from 0; dash: 0 to 3
    bool dots;                ///< few points: each is shown
    bool exact;               ///< of a long line single points are shown, no means
    bool again;               ///< goes on from a line before: not in the legend
} gri_line;

/// A stretch of the x axis with a name.
typedef struct gri_band {
    const char *label;
    double from, to;
} gri_band;

typedef struct gri_chart {
    const char *title, *unit, *x_title;
    const gri_line *lines;
    int64_t count;
    const gri_band *bands;
    int64_t band_count;
    bool from_zero, wide, percent;
} gri_chart;

/// A chart as a figure; nothing when no line has a point. Where values span more than a factor of 100 (and all are above 0) the axis is logarithmic.
void gri_chart_put(gri_page *p, const gri_chart *chart);

/// All runs of the page.
typedef struct gri_runs {
    const gri_run *items;
    int64_t count;
} gri_runs;

/// Lines of a chart as they come together. Zeroed: none; free `items`.
typedef struct gri_lines {
    gri_line *items;
    int64_t count, room;
    gr_err err;
} gri_lines;
extern const char gri_nats[]; ///< the unit of losses
/// A line without a point is left out.
void gri_lines_add(gri_lines *l, gri_line line);
/// Puts the chart of these lines, whose list is empty afterwards.
void gri_lines_put(gri_page *p, gri_chart chart, gri_lines *l);
/// One run: its colours tell what a line is; several: which run.
gri_line gri_line_of(gri_runs runs, int64_t run, const gri_series *data, const char *what,
                     int what_colour, int dash);

/// A table whose rows begin with the run, where there are several: its opening, up to the first heading; a row; its end.
void gri_put_table(gri_page *p, gri_runs runs);
void gri_begin_row(gri_page *p, gri_runs runs, int64_t run);
void gri_end_table(gri_page *p);

/// A member of a map (NULL: none) of this type: "", NULL or 0 where there is none.
const char *gri_text_of(const gr_node *map, const char *key);
const gr_node *gri_map_of(const gr_node *map, const char *key);
const gr_node *gri_list_of(const gr_node *map, const char *key);
int64_t gri_int_of(const gr_node *map, const char *key);
double gri_real_of(const gr_node *map, const char *key);

/// Sections.
void gri_put_overview(gri_page *p, gri_runs runs);
void gri_put_stages(gri_page *p, gri_runs runs);
void gri_put_times(gri_page *p, gri_runs runs);
void gri_put_samples(gri_page *p, gri_runs runs);
void gri_put_predictions(gri_page *p, gri_runs runs);
void gri_put_checkpoints(gri_page *p, gri_runs runs);
void gri_put_starts(gri_page *p, gri_runs runs);
void gri_put_recipes(gri_page *p, gri_runs runs);
/// A run's name with its colour, where there are several.
void gri_put_name(gri_page *p, gri_runs runs, int64_t i);

/// What the build put into the program: report.css, report.js, and the SHA-256 of the latter.
extern const unsigned char gri_report_css[], gri_report_js[], gri_report_js_sha256[32];
extern const size_t gri_report_css_size, gri_report_js_size;

#endif
