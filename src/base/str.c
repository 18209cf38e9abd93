#include "src/base/str.h"

#include "src/base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

/// Makes room for n more bytes and the NUL.
static gr_err reserve(gr_str *s, size_t n)
{
    gr_err err = GR_OK;
    if (n >= SIZE_MAX / 4 - s->size) {
        GR_FAIL(GR_ERR_MEMORY, "out of memory: a string of %zu and %zu bytes", s->size, n);
    }
    size_t capacity = s->capacity ? s->capacity : FIRST_CAPACITY;
    while (capacity < s->size + n + 1) {
        capacity *= 2;
    }
    if (capacity > s->capacity) {
        GR_RESIZE(s->data, s->capacity, capacity);
        s->capacity = capacity;
    }
done:
    return err;
}

gr_err gr_str_add_bytes(gr_str *s, const void *bytes, size_t n)
{
    gr_err err = GR_OK;
    GR_TRY(reserve(s, n));
    if (n) {
        memcpy(s->data + s->size, bytes, n);
    }
    s->size += n;
    s->data[s->size] = '\0';
done:
    return err;
}

gr_err gr_str_add(gr_str *s, const char *text)
{
    return gr_str_add_bytes(s, text, strlen(text));
}

static gr_err add_va(gr_str *s, const char *fmt, va_list ap)
{
    gr_err err = GR_OK;
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0) {
        GR_FAIL(GR_ERR_FAILED, "the text of format \"%s\" cannot be made", fmt);
    }
    GR_TRY(reserve(s, (size_t)n));
    vsnprintf(s->data + s->size, (size_t)n + 1, fmt, again);
    s->size += (size_t)n;
done:
    va_end(again);
    return err;
}

gr_err gr_str_addf(gr_str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    gr_err err = add_va(s, fmt, ap);
    va_end(ap);
    return err;
}

void gr_str_clear(gr_str *s)
{
    s->size = 0;
    if (s->data) {
        s->data[0] = '\0';
    }
}

void gr_str_fini(gr_str *s)
{
    gr_mem_free(s->data);
    *s = (gr_str){0};
}

char *gr_str_format(const char *fmt, ...)
{
    gr_str s = {0};
    va_list ap;
    va_start(ap, fmt);
    gr_err err = add_va(&s, fmt, ap);
    va_end(ap);
    if (err != GR_OK) {
        gr_str_fini(&s);
    }
    return s.data;
}

bool gr_starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/// Bytes of the control character that the text begins with: 0, 1, or 2 (C1 in UTF-8).
static int control_size(const unsigned char *text)
{
    if (*text < 0x20 || *text == 0x7f) {
        return 1;
    }
    return text[0] == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0 ? 2 : 0;
}

void gr_text_visible(const char *text, char *out, size_t size)
{
    size_t used = 0;
    while (*text && used + 9 < size) { // the longest that one turn adds, and the NUL
        const int control = control_size((const unsigned char *)text);
        if (control == 0) {
            out[used++] = *text++;
        }
        for (int i = 0; i < control; i++) {
            used += (size_t)snprintf(out + used, 5, "\\x%02x", (unsigned char)*text++);
        }
    }
    out[used] = '\0';
}
