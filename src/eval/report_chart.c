/// Line charts as SVG that is stretched to any width: lines keep their thickness (vector-effect), and what must not be stretched, words, lies over it
/// in HTML, at percentages. Read it from the bottom.

#include "src/eval/report_private.h"

#include <math.h>
#include <string.h>

enum { SIDE = 10000, MOST_BUCKETS = 160, BUCKET = 4, FEW = 100, MOST_TICKS = 12, COLOURS = 8 };

typedef struct range {
    double low, high;
} range;

typedef struct axes {
    range x, y;
    bool log; ///< y
    double ticks_x[MOST_TICKS], ticks_y[MOST_TICKS];
    int count_x, count_y;
} axes;

static void widen(range *r, double value)
{
    r->low = value < r->low ? value : r->low;
    r->high = value > r->high ? value : r->high;
}

/// 1, 2 or 5 times a power of ten, at least a `parts`th of the range.
static double nice_step(range r, int parts)
{
    const double rough = (r.high - r.low) / parts, power = pow(10, floor(log10(rough)));
    const double digit = rough / power;
    return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

static int linear_ticks(range r, int parts, double ticks[MOST_TICKS])
{
    int count = 0;
    const double step = nice_step(r, parts);
    for (double k = ceil(r.low / step - 1e-9); count < MOST_TICKS; k++) {
        if (k * step > r.high + 1e-9 * step) {
            break;
        }
        ticks[count++] = k == 0 ? 0 : k * step; // no -0
    }
    return count;
}

/// Powers of ten, not all of them where there are many.
static int log_ticks(range r, double ticks[MOST_TICKS])
{
    int count = 0;
    const double first = ceil(log10(r.low) - 1e-9), last = floor(log10(r.high) + 1e-9);
    const double step = fmax(1, ceil((last - first) / 5));
    for (double k = first; k <= last + 1e-9 && count < MOST_TICKS; k += step) {
        ticks[count++] = pow(10, k);
    }
    return count;
}

/// What all lines cover; false if no line has a point.
static bool find_ranges(const gri_chart *c, axes *a)
{
    a->x = a->y = (range){INFINITY, -INFINITY};
    for (int64_t i = 0; i < c->count; i++) {
        const gri_series *s = c->lines[i].data;
        for (int64_t k = 0; k < s->count; k++) {
            widen(&a->x, s->x[k] + c->lines[i].shift);
            widen(&a->y, s->y[k]);
        }
    }
    return a->x.low <= a->x.high && isfinite(a->y.low) && isfinite(a->y.high);
}

/// Room around values that are all alike, and a round end above and below.
static void round_y(const gri_chart *c, axes *a)
{
    range *y = &a->y;
    if (a->log) {
        y->low = pow(10, floor(log10(y->low) + 1e-9));
        y->high = pow(10, ceil(log10(y->high) - 1e-9));
        return;
    }
    if (c->from_zero) {
        widen(y, 0);
    }
    if (y->high - y->low < 1e-9 * fmax(fabs(y->high), 1e-12)) {
        const double room = y->high == 0 ? 1 : 0.1 * fabs(y->high);
        y->high += room;
        y->low -= c->from_zero ? 0 : room;
    }
    const double step = nice_step(*y, 5);
    y->low = step * floor(y->low / step + 1e-9);
    y->high = step * ceil(y->high / step - 1e-9);
}

static bool make_axes(const gri_chart *c, axes *a)
{
    if (!find_ranges(c, a)) {
        return false;
    }
    a->log = a->y.low > 0 && a->y.high / a->y.low > 100 && !c->from_zero;
    round_y(c, a);
    if (a->x.high - a->x.low < 1e-9) {
        a->x.low -= 0.5;
        a->x.high += 0.5;
    }
    a->count_x = linear_ticks(a->x, c->wide ? 10 : 5, a->ticks_x);
    a->count_y = a->log ? log_ticks(a->y, a->ticks_y) : linear_ticks(a->y, 5, a->ticks_y);
    return true;
}

/// Places from 0 to 1, from the left and from above.
static double place_x(const axes *a, double x)
{
    return (x - a->x.low) / (a->x.high - a->x.low);
}

static double place_y(const axes *a, double y)
{
    return a->log ? 1 - log(y / a->y.low) / log(a->y.high / a->y.low)
                  : 1 - (y - a->y.low) / (a->y.high - a->y.low);
}

static void put_point(gri_page *p, const axes *a, char command, double x, double y)
{
    gri_putf(p, "%c%.1f %.1f", command, SIDE * place_x(a, x), SIDE * place_y(a, y));
}

/// Neighbours as one: their mean, smallest and largest.
typedef struct bucket {
    double x, mean, low, high;
} bucket;

/// Buckets of a long line; 0: it is short, each point stands for itself.
static int64_t buckets_of(const gri_series *s)
{
    const int64_t n = s->count / BUCKET;
    return s->count <= FEW ? 0 : n < MOST_BUCKETS ? n : MOST_BUCKETS;
}

static bucket bucket_of(const gri_series *s, int64_t b)
{
    const int64_t n = buckets_of(s), from = b * s->count / n, to = (b + 1) * s->count / n;
    bucket out = {.low = INFINITY, .high = -INFINITY};
    for (int64_t k = from; k < to; k++) {
        out.x += s->x[k] / (double)(to - from);
        out.mean += s->y[k] / (double)(to - from);
        out.low = fmin(out.low, s->y[k]);
        out.high = fmax(out.high, s->y[k]);
    }
    return out;
}

static void put_class(gri_page *p, const char *kind, const gri_line *l)
{
    gri_putf(p, "<path class=\"%s c%d d%d\" d=\"", kind, l->colour % COLOURS, l->dash & 3);
}

static void put_name(gri_page *p, const gri_line *l)
{
    gri_text(p, l->label);
    if (l->more) {
        gri_put(p, " ");
        gri_text(p, l->more);
    }
}

/// What lies between the smallest and the largest of each bucket.
static void put_spread(gri_page *p, const axes *a, const gri_line *l)
{
    const int64_t n = buckets_of(l->data);
    put_class(p, "spread", l);
    for (int64_t b = 0; b < n; b++) {
        const bucket one = bucket_of(l->data, b);
        put_point(p, a, b == 0 ? 'M' : 'L', one.x + l->shift, one.high);
    }
    for (int64_t b = n; b-- > 0;) {
        const bucket one = bucket_of(l->data, b);
        put_point(p, a, 'L', one.x + l->shift, one.low);
    }
    gri_put(p, "Z\"/>");
}

/// How many points stand for the line; 0: each for itself.
static int64_t shown_of(const gri_line *l)
{
    const int64_t most = 2 * MOST_BUCKETS;
    return l->exact ? (l->data->count > most ? most : 0) : buckets_of(l->data);
}

/// Point k of them.
static bucket shown_point(const gri_line *l, int64_t n, int64_t k)
{
    const gri_series *s = l->data;
    const int64_t at = n == 0 ? k : k * (s->count - 1) / (n - 1);
    return n == 0 || l->exact ? (bucket){.x = s->x[at], .mean = s->y[at]} : bucket_of(s, k);
}

static void put_curve(gri_page *p, const axes *a, const gri_line *l)
{
    const gri_series *s = l->data;
    const int64_t n = shown_of(l);
    put_class(p, "line", l);
    for (int64_t k = 0; k < (n ? n : s->count); k++) {
        const bucket one = shown_point(l, n, k);
        put_point(p, a, k == 0 ? 'M' : 'L', one.x + l->shift, one.mean);
    }
    gri_put(p, "\" data-label=\"");
    put_name(p, l);
    gri_put(p, "\"/>");
    if (l->dots || s->count == 1) { // a line without length has round ends
        put_class(p, "dot", l);
        for (int64_t k = 0; k < s->count; k++) {
            put_point(p, a, 'M', s->x[k] + l->shift, s->y[k]);
            gri_put(p, "h0");
        }
        gri_put(p, "\"/>");
    }
}

static void put_grid(gri_page *p, const gri_chart *c, const axes *a)
{
    for (int64_t i = 0; i < c->band_count; i++) {
        const double from = fmax(0, place_x(a, c->bands[i].from));
        const double to = fmin(1, place_x(a, c->bands[i].to));
        gri_putf(p,
                 "<rect class=\"stage s%d\" x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"%d\"/>",
                 (int)(i % 2), SIDE * from, SIDE * fmax(0, to - from), SIDE);
    }
    gri_put(p, "<path class=\"grid\" d=\"");
    for (int i = 0; i < a->count_y; i++) {
        gri_putf(p, "M0 %.1fH%d", SIDE * place_y(a, a->ticks_y[i]), SIDE);
    }
    gri_put(p, "\"/>");
}

/// What a reader who does not see the chart is told.
static void put_description(gri_page *p, const gri_chart *c)
{
    gri_text(p, c->title);
    for (int64_t i = 0; i < c->count; i++) {
        const gri_series *s = c->lines[i].data;
        if (s->count == 0) {
            continue;
        }
        double low = INFINITY;
        int64_t at = 0;
        for (int64_t k = 0; k < s->count; k++) {
            at = s->y[k] < low ? k : at;
            low = fmin(low, s->y[k]);
        }
        gri_put(p, i == 0 ? ": " : "; ");
        put_name(p, &c->lines[i]);
        gri_putf(p, " from %.4g at %lld to %.4g at %lld, smallest %.4g at %lld", s->y[0],
                 (long long)(s->x[0] + c->lines[i].shift), s->y[s->count - 1],
                 (long long)(s->x[s->count - 1] + c->lines[i].shift), low,
                 (long long)(s->x[at] + c->lines[i].shift));
    }
}

static void put_svg(gri_page *p, const gri_chart *c, const axes *a)
{
    gri_putf(
        p, "<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"",
        SIDE, SIDE);
    put_description(p, c);
    gri_put(p, "\">");
    put_grid(p, c, a);
    for (int64_t i = 0; i < c->count; i++) {
        if (buckets_of(c->lines[i].data) > 0 && !c->lines[i].exact) {
            put_spread(p, a, &c->lines[i]);
        }
    }
    for (int64_t i = 0; i < c->count; i++) {
        if (c->lines[i].data->count > 0) {
            put_curve(p, a, &c->lines[i]);
        }
    }
    gri_put(p, "</svg>");
}

/// "0.005", "250", "15k", "2.5M".
static void put_tick(gri_page *p, double x)
{
    const double size = fabs(x);
    const bool million = size >= 1e6, thousand = size >= 1e4;
    gri_putf(p, "%.4g%s",
             x / (million    ? 1e6
                  : thousand ? 1e3
                             : 1),
             million    ? "M"
             : thousand ? "k"
                        : "");
}

static void put_labels(gri_page *p, const gri_chart *c, const axes *a)
{
    gri_put(p, "<div class=\"ys\" aria-hidden=\"true\">");
    for (int i = 0; i < a->count_y; i++) {
        gri_putf(p, "<span style=\"top:%.2f%%\">", 100 * place_y(a, a->ticks_y[i]));
        put_tick(p, c->percent ? 100 * a->ticks_y[i] : a->ticks_y[i]);
        gri_put(p, c->percent ? "&nbsp;%</span>" : "</span>");
    }
    gri_put(p, "</div><div class=\"xs\" aria-hidden=\"true\">");
    for (int i = 0; i < a->count_x; i++) {
        gri_putf(p, "<span style=\"left:%.2f%%\">", 100 * place_x(a, a->ticks_x[i]));
        put_tick(p, a->ticks_x[i]);
        gri_put(p, "</span>");
    }
    gri_put(p, "</div><div class=\"xtitle\" aria-hidden=\"true\">");
    gri_text(p, c->x_title);
    gri_put(p, "</div>");
}

static void put_bands(gri_page *p, const gri_chart *c, const axes *a)
{
    gri_put(p, "<div class=\"bands\">");
    for (int64_t i = 0; i < c->band_count; i++) {
        const double from = fmax(0, place_x(a, c->bands[i].from));
        const double to = fmin(1, place_x(a, c->bands[i].to));
        gri_putf(p, "<span style=\"left:%.2f%%;width:%.2f%%\">", 100 * from,
                 100 * fmax(0, to - from));
        gri_text(p, c->bands[i].label);
        gri_put(p, "</span>");
    }
    gri_put(p, "</div>");
}

static void put_legend(gri_page *p, const gri_chart *c)
{
    int64_t shown = 0;
    for (int64_t i = 0; i < c->count; i++) {
        shown += c->lines[i].data->count > 0 && !c->lines[i].again;
    }
    gri_put(p, "<ul class=\"legend\">");
    for (int64_t i = 0; shown > 1 && i < c->count; i++) {
        const gri_line *l = &c->lines[i];
        if (l->data->count > 0 && !l->again) {
            gri_putf(
                p,
                "<li><svg viewBox=\"0 0 24 8\" aria-hidden=\"true\"><path class=\"%s c%d d%d\" d=\"%s\"/></svg>",
                l->dots ? "line mark" : "line", l->colour % COLOURS, l->dash & 3, "M0 4H24");
            put_name(p, l);
            gri_put(p, "</li>");
        }
    }
    gri_put(p, "</ul>");
}

void gri_chart_put(gri_page *p, const gri_chart *c)
{
    axes a;
    if (!make_axes(c, &a)) {
        return;
    }
    gri_putf(p, "<figure class=\"chart%s\"><figcaption><b>", c->wide ? " wide" : "");
    gri_text(p, c->title);
    gri_put(p, "</b> <span>");
    gri_text(p, c->unit);
    gri_put(p, a.log ? ", logarithmic" : "");
    gri_putf(
        p,
        "</span></figcaption><div class=\"frame\"><div class=\"plot\" data-x0=\"%.17g\" "
        "data-x1=\"%.17g\" data-y0=\"%.17g\" data-y1=\"%.17g\" data-log=\"%d\" data-percent=\"%d\">",
        a.x.low, a.x.high, a.y.low, a.y.high, a.log, c->percent);
    put_svg(p, c, &a);
    put_bands(p, c, &a);
    gri_put(p, "</div>");
    put_labels(p, c, &a);
    gri_put(p, "</div>");
    put_legend(p, c);
    gri_put(p, "</figure>");
}
