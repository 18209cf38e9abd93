#include "src/base/decimal.h"
#include "src/base/doc_private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/// The parser and the event it stands at.
typedef struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool have_event;
    gr_doc *doc;
    const char *name;
    gr_err mistake;
} reader;

static gr_err read_value(reader *r, int depth, gr_node *out);

#define FAIL_HERE(r, ...)                                                                      \
    do {                                                                                       \
        err = gr_err_set((r)->mistake, __FILE__, __LINE__, __func__, __VA_ARGS__);             \
        gr_err_context("%s:%zu:%zu", (r)->name, (r)->event.start_mark.line + 1,                \
                       (r)->event.start_mark.column + 1);                                      \
        goto done;                                                                             \
    } while (0)

/// Line and column of a byte, for errors that the library reports by offset.
static void locate(const yaml_parser_t *parser, size_t *line, size_t *column)
{
    const unsigned char *text = parser->input.string.start;
    size_t size = (size_t)(parser->input.string.end - text);
    *line = *column = 1;
    for (size_t i = 0; i < parser->problem_offset && i < size; i++) {
        *column = text[i] == '\n' ? 1 : *column + 1;
        *line += text[i] == '\n';
    }
}

static gr_err parser_error(const reader *r)
{
    gr_err err = GR_OK;
    const yaml_parser_t *p = &r->parser;
    size_t line = p->problem_mark.line + 1, column = p->problem_mark.column + 1;
    const char *context = p->context ? p->context : "";
    if (p->error == YAML_MEMORY_ERROR) {
        GR_FAIL(GR_ERR_MEMORY, "%s: out of memory", r->name);
    }
    if (p->error == YAML_READER_ERROR) {
        locate(p, &line, &column);
    }
    GR_FAIL(r->mistake, "%s:%zu:%zu: %s%s%s", r->name, line, column, context,
            context[0] ? ", " : "", p->problem ? p->problem : "cannot be read");
done:
    return err;
}

static gr_err advance(reader *r)
{
    gr_err err = GR_OK;
    if (r->have_event) {
        yaml_event_delete(&r->event);
        r->have_event = false;
    }
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        GR_TRY(parser_error(r));
    }
    r->have_event = true;
done:
    return err;
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

/// [-+]?[0-9]+ or 0o[0-7]+ or 0x[0-9a-fA-F]+
static bool looks_like_int(const char *s, int *base)
{
    const char *digits = "0123456789";
    *base = 10;
    if (s[0] == '0' && (s[1] == 'o' || s[1] == 'x')) {
        *base = s[1] == 'o' ? 8 : 16;
        digits = s[1] == 'o' ? "01234567" : "0123456789abcdefABCDEF";
        s += 2;
    } else {
        s += *s == '-' || *s == '+';
    }
    return *s && strspn(s, digits) == strlen(s);
}

/// [-+]? ( .[0-9]+ | [0-9]+ ( .[0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
static bool looks_like_real(const char *s)
{
    s += *s == '-' || *s == '+';
    size_t before = strspn(s, "0123456789");
    s += before;
    size_t after = 0;
    if (*s == '.') {
        after = strspn(++s, "0123456789");
        s += after;
    }
    if (before + after == 0) {
        return false;
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        size_t exponent = strspn(s, "0123456789");
        s += exponent;
        return exponent > 0 && !*s;
    }
    return !*s;
}

static gr_err read_number(const reader *r, const char *text, gr_node *out)
{
    gr_err err = GR_OK;
    int base;
    errno = 0;
    if (looks_like_int(text, &base)) {
        out->type = GR_DOC_INT;
        out->u.integer = strtoll(base == 10 ? text : text + 2, NULL, base);
        if (errno == ERANGE) {
            FAIL_HERE(r, "%s does not fit into a 64-bit integer", text);
        }
    } else {
        out->type = GR_DOC_REAL;
        out->u.real = gr_decimal_parse(text);
        if (isinf(out->u.real)) {
            FAIL_HERE(r, "%s is too large for a number", text);
        }
    }
done:
    return err;
}

/// The core schema of YAML 1.2 for a scalar without quotes.
static gr_err read_plain(const reader *r, const char *text, size_t size, gr_node *out)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    static const char *const infs[] = {".inf", ".Inf", ".INF", NULL};
    gr_err err = GR_OK;
    int base;
    if (is_one_of(text, nulls)) {
        out->type = GR_DOC_NULL;
    } else if (is_one_of(text, trues) || is_one_of(text, falses)) {
        out->type = GR_DOC_BOOL;
        out->u.boolean = is_one_of(text, trues);
    } else if (is_one_of(text, nans)) {
        out->type = GR_DOC_REAL;
        out->u.real = NAN;
    } else if (is_one_of(text + (*text == '-' || *text == '+'), infs)) {
        out->type = GR_DOC_REAL;
        out->u.real = *text == '-' ? -INFINITY : INFINITY;
    } else if (looks_like_int(text, &base) || looks_like_real(text)) {
        GR_TRY(read_number(r, text, out));
    } else {
        out->type = GR_DOC_STRING;
        out->u.string.size = size;
        GR_TRY(gri_doc_text(r->doc, text, size, &out->u.string.data));
    }
done:
    return err;
}

static gr_err read_scalar(const reader *r, gr_node *out)
{
    gr_err err = GR_OK;
    const char *text = (const char *)r->event.data.scalar.value;
    size_t size = r->event.data.scalar.length;
    if (r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        GR_TRY(read_plain(r, text, size, out));
    } else {
        out->type = GR_DOC_STRING;
        out->u.string.size = size;
        GR_TRY(gri_doc_text(r->doc, text, size, &out->u.string.data));
    }
done:
    return err;
}

/// Makes room for one more child; nodes of the old place stay behind in the document's blocks.
static gr_err add_child(reader *r, gr_node *list, int64_t *capacity, gr_node **out)
{
    gr_err err = GR_OK;
    int64_t count = list->u.list.count;
    if (count == *capacity) {
        gr_node *items;
        int64_t more = *capacity ? 2 * *capacity : 8;
        GR_TRY(gri_doc_nodes(r->doc, more, &items));
        if (count) {
            memcpy(items, list->u.list.items, (size_t)count * sizeof *items);
        }
        list->u.list.items = items;
        *capacity = more;
    }
    *out = &list->u.list.items[count];
    list->u.list.count++;
done:
    return err;
}

static gr_err read_list(reader *r, int depth, gr_node *out)
{
    gr_err err = GR_OK;
    int64_t capacity = 0;
    gr_node *item;
    out->type = GR_DOC_LIST;
    GR_TRY(advance(r));
    while (r->event.type != YAML_SEQUENCE_END_EVENT) {
        GR_TRY(add_child(r, out, &capacity, &item));
        GR_TRY(read_value(r, depth + 1, item));
    }
done:
    return err;
}

static gr_err read_key(reader *r, const gr_node *map, gr_node *item)
{
    gr_err err = GR_OK;
    if (r->event.type != YAML_SCALAR_EVENT) {
        FAIL_HERE(r, "a key must be plain text");
    }
    const char *key = (const char *)r->event.data.scalar.value;
    size_t size = r->event.data.scalar.length;
    if (strlen(key) != size) {
        FAIL_HERE(r, "a key holds a NUL");
    }
    if (r->event.data.scalar.anchor || r->event.data.scalar.tag) {
        FAIL_HERE(r, "anchors and tags are not supported");
    }
    const gr_node *before = gri_node_child(map, key, size);
    if (before) {
        FAIL_HERE(r, "key \"%s\" given twice, first in line %d", key, before->line);
    }
    item->line = (int)r->event.start_mark.line + 1;
    item->column = (int)r->event.start_mark.column + 1;
    GR_TRY(gri_doc_text(r->doc, key, size, &item->key));
done:
    return err;
}

static gr_err read_map(reader *r, int depth, gr_node *out)
{
    gr_err err = GR_OK;
    int64_t capacity = 0;
    out->type = GR_DOC_MAP;
    GR_TRY(advance(r));
    while (r->event.type != YAML_MAPPING_END_EVENT) {
        gr_node found = {0}, *item;
        if (out->u.list.count == GRI_DOC_MOST_KEYS) {
            FAIL_HERE(r, "more than %d keys in one map", GRI_DOC_MOST_KEYS);
        }
        GR_TRY(read_key(r, out, &found));
        GR_TRY(add_child(r, out, &capacity, &item));
        *item = found;
        GR_TRY(advance(r));
        GR_TRY(read_value(r, depth + 1, item));
    }
done:
    return err;
}

static bool has_anchor_or_tag(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor || e->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor || e->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor || e->data.mapping_start.tag;
    default:
        return true; // an alias
    }
}

/// Reads the value that starts at the current event and goes to the event behind it.
static gr_err read_value(reader *r, int depth, gr_node *out)
{
    gr_err err = GR_OK;
    if (has_anchor_or_tag(&r->event)) {
        FAIL_HERE(r, "anchors, aliases and tags are not supported");
    }
    if (depth > GRI_DOC_MAX_DEPTH) {
        FAIL_HERE(r, "nested more than %d deep", GRI_DOC_MAX_DEPTH);
    }
    if (!out->line) { // in a map the key's position stands there already
        out->line = (int)r->event.start_mark.line + 1;
        out->column = (int)r->event.start_mark.column + 1;
    }
    if (r->event.type == YAML_SCALAR_EVENT) {
        GR_TRY(read_scalar(r, out));
    } else if (r->event.type == YAML_SEQUENCE_START_EVENT) {
        GR_TRY(read_list(r, depth, out));
    } else {
        GR_TRY(read_map(r, depth, out));
    }
    GR_TRY(advance(r));
done:
    return err;
}

static gr_err read_document(reader *r, gr_node *out)
{
    gr_err err = GR_OK;
    GR_TRY(advance(r)); // the stream begins
    GR_TRY(advance(r));
    if (r->event.type == YAML_STREAM_END_EVENT) {
        FAIL_HERE(r, "the document is empty");
    }
    GR_TRY(advance(r));
    GR_TRY(read_value(r, 0, out));
    GR_TRY(advance(r)); // from the end of the document to what is behind it
    if (r->event.type != YAML_STREAM_END_EVENT) {
        FAIL_HERE(r, "a second document begins; one is expected");
    }
done:
    return err;
}

gr_err gri_yaml_read(gr_doc *doc, const char *name, gr_err mistake, const char *text,
                     size_t size, gr_node *out)
{
    gr_err err = GR_OK;
    reader r = {.doc = doc, .name = name, .mistake = mistake};
    if (!yaml_parser_initialize(&r.parser)) {
        GR_FAIL(GR_ERR_MEMORY, "%s: out of memory", name);
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    GR_TRY(read_document(&r, out));
done:
    if (r.have_event) {
        yaml_event_delete(&r.event);
    }
    yaml_parser_delete(&r.parser);
    return err;
}

gr_err gr_doc_parse_yaml(const char *name, const char *text, size_t size, gr_err mistake,
                         gr_doc **out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    const size_t mark = gri_doc_mark(text, size); // libyaml would count it as a column
    GR_TRY(gri_doc_create(name, mistake, &doc));
    GR_TRY(gri_yaml_read(doc, name, mistake, text + mark, size - mark, &doc->root));
    gri_doc_link(doc);
    *out = doc;
    doc = NULL;
done:
    gr_doc_destroy(&doc);
    return err;
}
