#include "src/base/log.h"

#include "src/base/str.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = 8192, DEFAULT_COLUMNS = 80 };

static const double REDRAW_SECONDS = 0.1; // a terminal shows no more

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_rank, log_size = 1;

/// The progress line: what it says, whether that was shown, and when something was last shown.
static struct {
    char text[LINE_SIZE];
    bool active, shown;
    double last;
} progress;

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double gr_clock(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

double gr_clock_epoch(void)
{
    return seconds_of(CLOCK_REALTIME);
}

double gr_clock_cpu(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

void gr_log_set_rank(int rank, int world_size)
{
    log_rank = rank;
    log_size = world_size;
}

static bool on_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

static bool with_colour(void)
{
    const char *no = getenv("NO_COLOR");
    return !(no && no[0]);
}

static const char *code_text(gr_err err)
{
    switch (err) {
#define CASE(name, value, exit_code, text)                                                     \
    case name:                                                                                 \
        return text;
        GR_ERR_LIST(CASE)
#undef CASE
    }
    return "unknown error";
}

/// One write for the whole line, so that lines of several ranks do not mix.
static void write_line(const char *head, const char *text)
{
    char line[LINE_SIZE + 128];
    char who[32] = "";
    if (log_rank > 0) { // rank 0 speaks for all
        snprintf(who, sizeof who, "[rank %d] ", log_rank);
    }
    bool erase = progress.active && progress.shown && on_terminal();
    snprintf(line, sizeof line, "%s%s%s%s\n", erase ? "\r\033[K" : "", head, head[0] ? who : "",
             text);
    fputs(line, stderr);
    fflush(stderr);
    progress.shown = erase ? false : progress.shown;
}

static void say(const char *head, const char *fmt, va_list ap)
{
    char text[LINE_SIZE], line[LINE_SIZE];
    vsnprintf(text, sizeof text, fmt, ap);
    gr_text_visible(text, line, sizeof line); // names of files and records may hold anything
    pthread_mutex_lock(&lock);
    write_line(head, line);
    pthread_mutex_unlock(&lock);
}

void gr_log_info(const char *fmt, ...)
{
    if (log_rank != 0) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
}

void gr_log_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say("gradus: warning: ", fmt, ap);
    va_end(ap);
}

void gr_log_error(gr_err err)
{
    const char *trace = getenv("GR_TRACE"), *message = gr_err_message();
    const char *code = code_text(err);
    char text[LINE_SIZE], visible[LINE_SIZE];
    gr_text_visible(message, visible, sizeof visible);
    // Of memory the message says it as well, since others quote it.
    bool said = err == GR_ERR_MEMORY && strstr(message, code);
    int n = snprintf(text, sizeof text, "%s%s%s", said ? "" : code,
                     said || !message[0] ? "" : ": ", visible);
    if (trace && strcmp(trace, "1") == 0 && n > 0 && n < (int)sizeof text) {
        snprintf(text + n, sizeof text - (size_t)n, "\n%s", gr_err_trail());
    }
    pthread_mutex_lock(&lock);
    write_line("gradus: ", text);
    pthread_mutex_unlock(&lock);
}

/// Columns that may be written: one stays free, or some terminals begin a new line.
static int width_of_terminal(void)
{
    struct winsize size = {0};
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return (known ? size.ws_col : DEFAULT_COLUMNS) - 1;
}

/// Bytes of the character, and in *columns an upper bound of its width: what is as far up as Hangul may be wide.
static int measure(const char *text, int *columns)
{
    const unsigned char lead = (unsigned char)text[0];
    int n = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    for (int i = 1; i < n; i++) {
        n = ((unsigned char)text[i] & 0xc0) == 0x80 ? n : i; // cut short
    }
    *columns = n < 3 || (lead == 0xe0) ? 1 : 2;
    return n;
}

/// How much of the line fits: whole fields (two spaces stand between them), or a part of the first.
static int fitting(const char *text, int columns)
{
    int used = 0, fields = 0, at = 0, width = 0;
    for (int n = 0; text[at]; at += n, used += width) {
        n = measure(text + at, &width);
        if (strncmp(text + at, "  ", 2) == 0) {
            fields = at;
        }
        if (used + width > columns) {
            return fields > 0 ? fields : at;
        }
    }
    return at;
}

/// Draws over the line that stands.
static void redraw(void)
{
    bool colour = with_colour();
    fprintf(stderr, "\r\033[K%s%.*s%s", colour ? "\033[36m" : "",
            fitting(progress.text, width_of_terminal()), progress.text,
            colour ? "\033[0m" : "");
    fflush(stderr);
}

static void show(void)
{
    if (on_terminal()) {
        redraw();
    } else {
        fprintf(stderr, "%s\n", progress.text);
        fflush(stderr);
    }
    progress.shown = true;
    progress.last = gr_clock();
}

bool gr_progress_update(double seconds, const char *fmt, ...)
{
    if (log_rank != 0) {
        return false;
    }
    pthread_mutex_lock(&lock);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(progress.text, sizeof progress.text, fmt, ap);
    va_end(ap);
    bool live = on_terminal();
    double wait = live ? REDRAW_SECONDS : seconds;
    bool due = !progress.active || gr_clock() - progress.last >= wait;
    progress.active = true;
    progress.shown = false;
    if (due) {
        show();
    }
    pthread_mutex_unlock(&lock);
    return due && !live;
}

void gr_time_format(double seconds, char text[GR_TIME_TEXT])
{
    long long whole = seconds > 0 && seconds < 1e15 ? (long long)(seconds + 0.5) : 0;
    snprintf(text, GR_TIME_TEXT, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60,
             whole % 60);
}

/// ", 0:03:05 left", "" while nothing is known.
static void time_left(double started, int64_t done, int64_t total, char *text, size_t size)
{
    double passed = gr_clock() - started;
    text[0] = '\0';
    if (done > 0 && done < total && passed > 1) {
        char left[GR_TIME_TEXT];
        gr_time_format(passed / (double)done * (double)(total - done), left);
        snprintf(text, size, ", %s left", left);
    }
}

void gr_progress_bar(double seconds, double started, int64_t done, int64_t total,
                     const char *fmt, ...)
{
    enum { BAR = 20 };
    char text[LINE_SIZE], left[64], bar[BAR + 4] = "";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (on_terminal()) {
        int filled = total > 0 ? (int)(BAR * done / total) : BAR;
        bar[0] = '[';
        memset(bar + 1, '.', BAR);
        memset(bar + 1, '#', (size_t)filled);
        memcpy(bar + 1 + BAR, "] ", 2);
    }
    time_left(started, done, total, left, sizeof left);
    (void)gr_progress_update(seconds, "%s%s: %lld of %lld%s", bar, text, (long long)done,
                             (long long)total, left);
}

void gr_progress_end(void)
{
    pthread_mutex_lock(&lock);
    if (progress.active) {
        if (!progress.shown) {
            show();
        }
        if (on_terminal()) {
            fputc('\n', stderr);
        }
        progress.active = false;
    }
    pthread_mutex_unlock(&lock);
}
