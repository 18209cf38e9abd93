#include "src/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 4096, TRAIL_SIZE = 4096 };

static _Thread_local char message[MESSAGE_SIZE];
static _Thread_local char trail[TRAIL_SIZE];
static void (*abort_hook)(void);

const char *gr_err_name(gr_err err)
{
    switch (err) {
#define GR_ERR_CASE(name, value, exit_code, text)                                              \
    case name:                                                                                 \
        return #name;
        GR_ERR_LIST(GR_ERR_CASE)
#undef GR_ERR_CASE
    }
    return "GR_ERR_UNKNOWN";
}

int gr_err_exit_code(gr_err err)
{
    switch (err) {
#define GR_ERR_CASE(name, value, exit_code, text)                                              \
    case name:                                                                                 \
        return exit_code;
        GR_ERR_LIST(GR_ERR_CASE)
#undef GR_ERR_CASE
    }
    return 1;
}

const char *gr_err_message(void)
{
    return message;
}

const char *gr_err_trail(void)
{
    return trail;
}

void gr_err_clear(void)
{
    message[0] = '\0';
    trail[0] = '\0';
}

gr_err gr_err_set(gr_err code, const char *file, int line, const char *func, const char *fmt,
                  ...)
{
    // The arguments may point into `message` itself: format aside first.
    char text[MESSAGE_SIZE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    memcpy(message, text, sizeof text);
    trail[0] = '\0';
    gr_err_trace(file, line, func);
    return code;
}

void gr_err_trace(const char *file, int line, const char *func)
{
    size_t used = strlen(trail);
    snprintf(trail + used, sizeof trail - used, "%s:%d %s\n", file, line, func);
}

void gr_err_context(const char *fmt, ...)
{
    char text[MESSAGE_SIZE];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    snprintf(text + used, sizeof text - used, ": %s", message);
    memcpy(message, text, sizeof text);
}

void gr_abort_set_hook(void (*hook)(void))
{
    abort_hook = hook;
}

GR_NORETURN void gr_out_of_memory(const char *fmt, ...)
{
    char text[MESSAGE_SIZE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "gradus: out of memory: %s\n", text);
    if (abort_hook) {
        abort_hook();
    }
    _exit(gr_err_exit_code(GR_ERR_MEMORY));
}

GR_NORETURN void gr_assert_failed(const char *cond, const char *file, int line,
                                  const char *func)
{
    fprintf(stderr, "gradus: internal error at %s:%d in %s: %s does not hold\n", file, line,
            func, cond);
    if (abort_hook) {
        abort_hook();
    }
    abort();
}
