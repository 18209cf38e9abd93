// Typed answers about nodes, and errors that say where.
#include "src/base/doc_private.h"
#include "src/base/nearest.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 1024, SHOWN = 40 };

const char *gr_doc_type_name(gr_doc_type type)
{
    static const char *const names[] = {
        [GR_DOC_NULL] = "null", [GR_DOC_BOOL] = "boolean",  [GR_DOC_INT] = "integer",
        [GR_DOC_REAL] = "real", [GR_DOC_STRING] = "string", [GR_DOC_LIST] = "list",
        [GR_DOC_MAP] = "map",
    };
    return names[type];
}

gr_node *gri_node_child(const gr_node *map, const char *key, size_t size)
{
    for (int64_t i = 0; i < map->u.list.count; i++) {
        gr_node *item = &map->u.list.items[i];
        if (strncmp(item->key, key, size) == 0 && !item->key[size]) {
            return item;
        }
    }
    return NULL;
}

const gr_node *gr_node_find(const gr_node *map, const char *key)
{
    GR_ASSERT(map->type == GR_DOC_MAP);
    const gr_node *child = gri_node_child(map, key, strlen(key));
    return child && child->type != GR_DOC_NULL ? child : NULL;
}

void gri_node_path(const gr_node *node, char *path, size_t size)
{
    path[0] = '\0';
    if (!node->parent) {
        return;
    }
    gri_node_path(node->parent, path, size);
    size_t used = strlen(path);
    if (node->key) {
        snprintf(path + used, size - used, "%s%s", used ? "." : "", node->key);
    } else {
        snprintf(path + used, size - used, "[%" PRId64 "]",
                 (int64_t)(node - node->parent->u.list.items));
    }
}

/// The file that a node stands in.
static const char *file_of(const gr_node *node)
{
    return node->file ? node->file : node->doc->name;
}

/// "LINE:COLUMN:" and the key path.
static void describe_place(const gr_node *node, char *place, size_t place_size, char *path,
                           size_t path_size)
{
    place[0] = '\0';
    gri_node_path(node, path, path_size);
    if (node->line == GRI_DOC_FROM_SET) {
        snprintf(place, place_size, " --set:");
    } else if (node->line > 0) {
        snprintf(place, place_size, "%d:%d:", node->line, node->column);
    }
}

void gr_node_context(const gr_node *node)
{
    char path[TEXT_SIZE], place[64];
    describe_place(node, place, sizeof place, path, sizeof path);
    gr_err_context("%s:%s %s", file_of(node), place, path);
}

gr_err gr_node_error(const gr_node *node, const char *fmt, ...)
{
    gr_err err = GR_OK;
    char text[TEXT_SIZE], path[TEXT_SIZE], place[64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    describe_place(node, place, sizeof place, path, sizeof path);
    GR_FAIL(node->doc->mistake, "%s:%s %s%s%s", file_of(node), place, path, path[0] ? ": " : "",
            text);
done:
    return err;
}

/// What a node holds, for messages.
static void describe(const gr_node *node, char *text, size_t size)
{
    switch (node->type) {
    case GR_DOC_BOOL:
        snprintf(text, size, "%s", node->u.boolean ? "true" : "false");
        break;
    case GR_DOC_INT:
        snprintf(text, size, "the integer %" PRId64, node->u.integer);
        break;
    case GR_DOC_REAL:
        snprintf(text, size, "the real %g", node->u.real);
        break;
    case GR_DOC_STRING:
        snprintf(text, size, "the string \"%.*s\"%s", SHOWN, node->u.string.data,
                 node->u.string.size > SHOWN ? "..." : "");
        break;
    case GR_DOC_LIST:
        snprintf(text, size, "a list of %" PRId64, node->u.list.count);
        break;
    case GR_DOC_NULL:
        snprintf(text, size, "null");
        break;
    case GR_DOC_MAP:
        snprintf(text, size, "a map");
        break;
    }
}

/// Whether a text in the place of a map looks like a key and its value.
static bool lacks_space(const gr_node *node, const char *expected)
{
    const char *colon = node->type == GR_DOC_STRING ? strchr(node->u.string.data, ':') : NULL;
    return colon && colon > node->u.string.data && strcmp(expected, "a map") == 0;
}

static gr_err wrong(const gr_node *node, const char *expected)
{
    gr_err err = GR_OK;
    char found[TEXT_SIZE / 2];
    describe(node, found, sizeof found);
    GR_TRY(gr_node_error(
        node, "expected %s, found %s%s", expected, found,
        lacks_space(node, expected) ? " (YAML wants a space behind a key's colon)" : ""));
done:
    return err;
}

gr_err gr_node_expect(const gr_node *node, gr_doc_type type)
{
    gr_err err = GR_OK;
    char expected[32];
    const char *name = gr_doc_type_name(type);
    snprintf(expected, sizeof expected, "%s %s", strchr("aeiou", name[0]) ? "an" : "a", name);
    if (node->type != type) {
        GR_TRY(wrong(node, expected));
    }
done:
    return err;
}

/// "a, b, c", cut to `size`.
static void join(const char *const *words, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; words[i] && used < size; i++) {
        snprintf(text + used, size - used, "%s%s", i ? ", " : "", words[i]);
        used = strlen(text);
    }
}

static gr_err check_key(const gr_node *item, const char *const *allowed)
{
    gr_err err = GR_OK;
    int64_t count = 0;
    char known[TEXT_SIZE / 2];
    while (allowed[count] && strcmp(item->key, allowed[count]) != 0) {
        count++;
    }
    if (allowed[count]) {
        goto done;
    }
    const size_t key = strcspn(item->key, ":");
    if (item->key[key] && item->type == GR_DOC_NULL) {
        GR_TRY(gr_node_error(
            item, "unknown key \"%s\": YAML wants a space behind the colon: \"%.*s: %s\"",
            item->key, (int)key, item->key, item->key + key + 1));
    }
    const char *nearest = gr_nearest(item->key, allowed, count);
    if (nearest) {
        GR_TRY(gr_node_error(item, "unknown key \"%s\"; did you mean \"%s\"?", item->key,
                             nearest));
    }
    join(allowed, known, sizeof known);
    GR_TRY(gr_node_error(item, "unknown key \"%s\"; known are: %s", item->key, known));
done:
    return err;
}

gr_err gr_node_check_keys(const gr_node *map, const char *const *allowed)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_expect(map, GR_DOC_MAP));
    for (int64_t i = 0; i < map->u.list.count; i++) {
        GR_TRY(check_key(&map->u.list.items[i], allowed));
    }
done:
    return err;
}

/// The child under `key`; NULL if it is absent and need not be there.
static gr_err find(const gr_node *map, const char *key, bool required, const gr_node **out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_expect(map, GR_DOC_MAP));
    *out = gr_node_find(map, key);
    if (!*out && required) {
        GR_TRY(gr_node_error(map, "the key \"%s\" is missing", key));
    }
done:
    return err;
}

static gr_err read_int(const gr_node *node, int64_t min, int64_t max, int64_t *out)
{
    gr_err err = GR_OK;
    char expected[128];
    int64_t value = 0;
    bool ok = node->type == GR_DOC_INT;
    if (ok) {
        value = node->u.integer;
    } else if (node->type == GR_DOC_REAL && fabs(node->u.real) < 0x1p63 &&
               trunc(node->u.real) == node->u.real) {
        value = (int64_t)node->u.real;
        ok = true;
    }
    if (!ok || value < min || value > max) {
        if (max == INT64_MAX) {
            snprintf(expected, sizeof expected, "an integer of at least %" PRId64, min);
        } else {
            snprintf(expected, sizeof expected, "an integer from %" PRId64 " to %" PRId64, min,
                     max);
        }
        GR_TRY(wrong(node, expected));
    }
    *out = value;
done:
    return err;
}

static gr_err read_real(const gr_node *node, double min, double max, double *out)
{
    gr_err err = GR_OK;
    char expected[128];
    double value = node->type == GR_DOC_INT    ? (double)node->u.integer
                   : node->type == GR_DOC_REAL ? node->u.real
                                               : NAN;
    if (!(value >= min && value <= max)) { // a NaN fails here too
        snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
        GR_TRY(wrong(node, expected));
    }
    *out = value;
done:
    return err;
}

gr_err gri_node_string(const gr_node *node, const char **out)
{
    gr_err err = GR_OK;
    if (node->type != GR_DOC_STRING) {
        bool scalar = node->type != GR_DOC_LIST && node->type != GR_DOC_MAP;
        GR_TRY(wrong(node, scalar ? "a string (quotes make it one)" : "a string"));
    }
    if (strlen(node->u.string.data) != node->u.string.size) {
        GR_TRY(gr_node_error(node, "the string holds a NUL"));
    }
    *out = node->u.string.data;
done:
    return err;
}

gr_err gr_node_get_int(const gr_node *map, const char *key, int64_t min, int64_t max,
                       int64_t *out)
{
    gr_err err = GR_OK;
    const gr_node *node;
    GR_TRY(find(map, key, true, &node));
    GR_TRY(read_int(node, min, max, out));
done:
    return err;
}

gr_err gr_node_opt_int(const gr_node *map, const char *key, int64_t min, int64_t max,
                       int64_t *out)
{
    gr_err err = GR_OK;
    const gr_node *node;
    GR_TRY(find(map, key, false, &node));
    GR_TRY(node ? read_int(node, min, max, out) : GR_OK);
done:
    return err;
}

gr_err gr_node_get_real(const gr_node *map, const char *key, double min, double max,
                        double *out)
{
    gr_err err = GR_OK;
    const gr_node *node;
    GR_TRY(find(map, key, true, &node));
    GR_TRY(read_real(node, min, max, out));
done:
    return err;
}

gr_err gr_node_opt_real(const gr_node *map, const char *key, double min, double max,
                        double *out)
{
    gr_err err = GR_OK;
    const gr_node *node;
    GR_TRY(find(map, key, false, &node));
    GR_TRY(node ? read_real(node, min, max, out) : GR_OK);
done:
    return err;
}

gr_err gr_node_opt_bool(const gr_node *map, const char *key, bool *out)
{
    gr_err err = GR_OK;
    const gr_node *node;
    GR_TRY(find(map, key, false, &node));
    if (node && node->type != GR_DOC_BOOL) {
        GR_TRY(wrong(node, "true or false"));
    }
    *out = node ? node->u.boolean : *out;
done:
    return err;
}

gr_err gr_node_get_string(const gr_node *map, const char *key, const char **out)
{
    gr_err err = GR_OK;
    const gr_node *node;
    GR_TRY(find(map, key, true, &node));
    GR_TRY(gri_node_string(node, out));
done:
    return err;
}

gr_err gr_node_opt_string(const gr_node *map, const char *key, const char **out)
{
    gr_err err = GR_OK;
    const gr_node *node;
    GR_TRY(find(map, key, false, &node));
    GR_TRY(node ? gri_node_string(node, out) : GR_OK);
done:
    return err;
}

static gr_err get_typed(const gr_node *map, const char *key, gr_doc_type type,
                        const gr_node **out)
{
    gr_err err = GR_OK;
    const gr_node *node;
    GR_TRY(find(map, key, true, &node));
    GR_TRY(gr_node_expect(node, type));
    *out = node;
done:
    return err;
}

gr_err gr_node_get_list(const gr_node *map, const char *key, const gr_node **out)
{
    return get_typed(map, key, GR_DOC_LIST, out);
}

gr_err gr_node_get_map(const gr_node *map, const char *key, const gr_node **out)
{
    return get_typed(map, key, GR_DOC_MAP, out);
}
