#include "src/base/json.h"

#include "src/base/decimal.h"
#include "src/base/utf8_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/// Remembers the first failure; nothing is added after it.
static void add(gr_json *j, const char *bytes, size_t n)
{
    if (j->err == GR_OK) {
        j->err = gr_str_add_bytes(&j->text, bytes, n);
    }
}

static void add_text(gr_json *j, const char *text)
{
    add(j, text, strlen(text));
}

static void new_line(gr_json *j)
{
    if (j->indent > 0) {
        add_text(j, "\n");
        for (int i = 0; i < j->depth * j->indent; i++) {
            add_text(j, " ");
        }
    }
}

/// The escape of one byte, or NULL if it stands for itself.
static const char *escape(unsigned char c, char buffer[8])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        snprintf(buffer, 8, "\\u%04x", c);
        return c < 0x20 || c == 0x7F ? buffer : NULL;
    }
}

/// Quoted; bytes that are no UTF-8 become the replacement character, so the result is always JSON.
static void add_quoted(gr_json *j, const char *value, size_t size)
{
    const unsigned char *p = (const unsigned char *)value;
    add_text(j, "\"");
    for (size_t i = 0; i < size;) {
        char buffer[8];
        size_t n = gri_utf8_length(p + i, size - i);
        const char *other = n == 0 ? "\\ufffd" : n == 1 ? escape(p[i], buffer) : NULL;
        if (other) {
            add_text(j, other);
        } else {
            add(j, value + i, n);
        }
        j->replaced = j->replaced || n == 0;
        i += n ? n : 1;
    }
    add_text(j, "\"");
}

/// Comma, line and key in front of a value.
static void begin_value(gr_json *j, const char *key)
{
    if (j->comma) {
        add_text(j, ",");
    }
    if (j->depth > 0) {
        new_line(j);
    }
    if (key) {
        add_quoted(j, key, strlen(key));
        add_text(j, j->indent > 0 ? ": " : ":");
    }
    j->comma = true;
}

static void open_level(gr_json *j, const char *key, const char *bracket)
{
    begin_value(j, key);
    add_text(j, bracket);
    j->depth++;
    j->comma = false;
}

static void close_level(gr_json *j, const char *bracket)
{
    GR_ASSERT(j->depth > 0);
    j->depth--;
    if (j->comma) { // an empty list stays on its line
        new_line(j);
    }
    add_text(j, bracket);
    j->comma = true;
}

void gr_json_map_begin(gr_json *j, const char *key)
{
    open_level(j, key, "{");
}

void gr_json_map_end(gr_json *j)
{
    close_level(j, "}");
}

void gr_json_list_begin(gr_json *j, const char *key)
{
    open_level(j, key, "[");
}

void gr_json_list_end(gr_json *j)
{
    close_level(j, "]");
}

void gr_json_string(gr_json *j, const char *key, const char *value)
{
    gr_json_string_bytes(j, key, value, strlen(value));
}

void gr_json_string_bytes(gr_json *j, const char *key, const char *value, size_t size)
{
    begin_value(j, key);
    add_quoted(j, value, size);
}

void gr_json_int(gr_json *j, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    begin_value(j, key);
    add_text(j, text);
}

void gr_json_real(gr_json *j, const char *key, double value)
{
    if (!isfinite(value)) {
        gr_json_null(j, key);
        return;
    }
    char text[GR_DECIMAL_TEXT + 2];
    gr_decimal_text(value, text);
    if (!strpbrk(text, ".e")) {
        strcat(text, ".0"); // so that it is read as a real again
    }
    begin_value(j, key);
    add_text(j, text);
}

void gr_json_bool(gr_json *j, const char *key, bool value)
{
    begin_value(j, key);
    add_text(j, value ? "true" : "false");
}

void gr_json_digest(gr_json *j, const char *key, gr_digest value)
{
    char text[GR_DIGEST_TEXT];
    gr_digest_format(value, text);
    gr_json_string(j, key, text);
}

void gr_json_null(gr_json *j, const char *key)
{
    begin_value(j, key);
    add_text(j, "null");
}

gr_err gr_json_finish(gr_json *j)
{
    GR_ASSERT(j->depth == 0);
    return j->err;
}

void gr_json_fini(gr_json *j)
{
    gr_str_fini(&j->text);
    *j = (gr_json){0};
}
