/// Text and numbers of the page.

#include "src/base/html.h"
#include "src/base/log.h"
#include "src/eval/report_private.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char dash[] = "&ndash;";

void gri_put(gri_page *p, const char *html)
{
    if (p->err == GR_OK) {
        p->err = gr_str_add(&p->text, html);
    }
}

void gri_putf(gri_page *p, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    GR_ASSERT(n >= 0 && n < (int)sizeof text); // numbers and words of ours
    gri_put(p, text);
}

void gri_text(gri_page *p, const char *text)
{
    if (p->err == GR_OK && text) {
        p->err = gr_html_add(&p->text, text, strlen(text));
    }
}

void gri_count(gri_page *p, int64_t n)
{
    char digits[32];
    const int size = snprintf(digits, sizeof digits, "%lld", (long long)n);
    for (int i = 0; i < size; i++) {
        const bool group = i > (n < 0) && (size - i) % 3 == 0;
        gri_putf(p, "%s%c", group ? "&#8239;" : "",
                 digits[i]); // a narrow space that does not break
    }
}

void gri_number(gri_page *p, double x)
{
    if (isfinite(x) && fabs(x) >= 1000 && fabs(x) < 1e15) {
        gri_count(p, llround(x));
    } else if (isfinite(x)) {
        gri_putf(p, "%.4g", x);
    } else {
        gri_put(p, dash);
    }
}

void gri_seconds(gri_page *p, double seconds)
{
    char text[GR_TIME_TEXT];
    if (!(seconds > 0)) {
        gri_put(p, dash);
    } else if (seconds < 10) {
        gri_putf(p, "%.2f&nbsp;s", seconds);
    } else {
        gr_time_format(seconds, text);
        gri_put(p, text);
    }
}

void gri_bytes(gri_page *p, int64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double x = (double)bytes;
    int unit = 0;
    for (; x >= 1000 && unit < 4; unit++) {
        x /= 1024;
    }
    if (bytes > 0) {
        gri_putf(p, "%.3g&nbsp;%s", x, units[unit]);
    } else {
        gri_put(p, dash);
    }
}

void gri_percent(gri_page *p, double share)
{
    if (isfinite(share)) {
        gri_putf(p, "%.1f&nbsp;%%", 100 * share);
    } else {
        gri_put(p, dash);
    }
}

void gri_date(gri_page *p, double epoch)
{
    char text[64] = "";
    const time_t whole = (time_t)epoch;
    struct tm parts;
    if (epoch > 0 && gmtime_r(&whole, &parts) &&
        strftime(text, sizeof text, "%Y-%m-%d %H:%M&nbsp;UTC", &parts) > 0) {
        gri_put(p, text);
    } else {
        gri_put(p, dash);
    }
}
