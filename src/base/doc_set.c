#include "src/base/doc_private.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_DIGITS = 9 };

/// One step of a path: a name, or the number in brackets.
typedef struct part {
    const char *name; ///< not ended by a NUL
    size_t size;
    int64_t index; ///< -1: this is a name
} part;

/// Number of a list item, -1 if the text is none.
static int64_t parse_index(const char *text, size_t size)
{
    if (size == 0 || size > INDEX_DIGITS || strspn(text, "0123456789") < size) {
        return -1;
    }
    return strtoll(text, NULL, 10);
}

/// Cuts the first part off `*rest`, which points into `path`.
static gr_err next_part(const char *path, const char **rest, part *out)
{
    gr_err err = GR_OK;
    const char *p = *rest;
    if (*p == '[') {
        size_t size = strcspn(p + 1, "]");
        out->index = parse_index(p + 1, size);
        if (out->index < 0 || p[1 + size] != ']') {
            GR_FAIL(GR_ERR_USAGE, "--set %s: expected a number in brackets at \"%s\"", path, p);
        }
        p += size + 2;
    } else {
        p += p != path && *p == '.';
        *out = (part){.name = p, .size = strcspn(p, ".["), .index = -1};
        if (out->size == 0) {
            GR_FAIL(GR_ERR_USAGE, "--set %s: expected a key at \"%s\"", path, p);
        }
        p += out->size;
    }
    if (*p && *p != '.' && *p != '[') {
        GR_FAIL(GR_ERR_USAGE, "--set %s: expected \".\" or \"[\" at \"%s\"", path, p);
    }
    *rest = p;
done:
    return err;
}

/// The item whose "name" entry is this text.
static gr_node *item_named(const gr_node *list, const char *name, size_t size)
{
    for (int64_t i = 0; i < list->u.list.count; i++) {
        gr_node *item = &list->u.list.items[i];
        const gr_node *entry =
            item->type == GR_DOC_MAP ? gri_node_child(item, "name", 4) : NULL;
        if (entry && entry->type == GR_DOC_STRING && entry->u.string.size == size &&
            memcmp(entry->u.string.data, name, size) == 0) {
            return item;
        }
    }
    return NULL;
}

static gr_err step_into_list(const char *path, const gr_node *list, const part *p,
                             gr_node **child)
{
    gr_err err = GR_OK;
    char where[512];
    gri_node_path(list, where, sizeof where);
    int64_t index = p->index >= 0 ? p->index : parse_index(p->name, p->size);
    *child = p->index < 0 ? item_named(list, p->name, p->size) : NULL;
    if (!*child && index >= 0 && index < list->u.list.count) {
        *child = &list->u.list.items[index];
    }
    if (!*child && index >= 0) {
        GR_FAIL(GR_ERR_USAGE, "--set %s: %s has items 0 to %" PRId64 ", not %" PRId64, path,
                where, list->u.list.count - 1, index);
    }
    if (!*child) {
        GR_FAIL(GR_ERR_USAGE, "--set %s: no item of %s has the name \"%.*s\"", path, where,
                (int)p->size, p->name);
    }
done:
    return err;
}

/// The child that a part names; NULL where a map has no such key yet.
static gr_err step_into(const char *path, const gr_node *node, const part *p, gr_node **child)
{
    gr_err err = GR_OK;
    char where[512];
    gri_node_path(node, where, sizeof where);
    if (node->type == GR_DOC_LIST) {
        GR_TRY(step_into_list(path, node, p, child));
    } else if (node->type == GR_DOC_MAP && p->index < 0) {
        *child = gri_node_child(node, p->name, p->size);
    } else {
        GR_FAIL(GR_ERR_USAGE, "--set %s: %s (%s) has no %s", path, where,
                gr_doc_type_name(node->type), p->index < 0 ? "keys" : "numbered items");
    }
done:
    return err;
}

/// Wraps `value` into new maps, one for each part of `rest`.
static gr_err build(gr_doc *doc, const char *path, const char *rest, const gr_node *value,
                    gr_node *out)
{
    gr_err err = GR_OK;
    part p = {0};
    if (!*rest) {
        *out = *value;
        goto done;
    }
    GR_TRY(next_part(path, &rest, &p));
    if (p.index >= 0) {
        GR_FAIL(GR_ERR_USAGE, "--set %s: there is no list to take item %" PRId64 " of", path,
                p.index);
    }
    gr_node *item;
    GR_TRY(gri_doc_nodes(doc, 1, &item));
    GR_TRY(build(doc, path, rest, value, item));
    GR_TRY(gri_doc_text(doc, p.name, p.size, &item->key));
    *out = (gr_node){.type = GR_DOC_MAP, .line = GRI_DOC_FROM_SET};
    out->u.list.items = item;
    out->u.list.count = 1;
done:
    return err;
}

/// Adds a key to a map: its children move to a longer place.
static gr_err add_key(gr_doc *doc, gr_node *map, const part *p, const gr_node *value)
{
    gr_err err = GR_OK;
    int64_t count = map->u.list.count;
    gr_node *items, item = *value;
    GR_TRY(gri_doc_nodes(doc, count + 1, &items));
    GR_TRY(gri_doc_text(doc, p->name, p->size, &item.key));
    if (count) {
        memcpy(items, map->u.list.items, (size_t)count * sizeof *items);
    }
    items[count] = item;
    map->u.list.items = items;
    map->u.list.count++;
done:
    return err;
}

static void replace(gr_node *node, const gr_node *value)
{
    const char *key = node->key;
    *node = *value;
    node->key = key;
}

/// Puts `value` at the path. Nothing changes before everything is known to work.
static gr_err put(gr_doc *doc, const char *path, const gr_node *value)
{
    gr_err err = GR_OK;
    gr_node *node = &doc->root, *child = NULL;
    gr_node built = {0};
    part p = {0};
    const char *rest = path;
    bool missing = false;
    while (*rest && node->type != GR_DOC_NULL && !missing) {
        GR_TRY(next_part(path, &rest, &p));
        GR_TRY(step_into(path, node, &p, &child));
        missing = child == NULL;
        node = missing ? node : child;
    }
    GR_TRY(build(doc, path, rest, value, &built));
    if (missing) {
        GR_TRY(add_key(doc, node, &p, &built));
    } else {
        replace(node, &built);
    }
    gri_doc_link(doc);
done:
    return err;
}

static void mark_from_set(gr_node *node)
{
    node->line = GRI_DOC_FROM_SET;
    node->column = 0;
    if (node->type == GR_DOC_LIST || node->type == GR_DOC_MAP) {
        for (int64_t i = 0; i < node->u.list.count; i++) {
            mark_from_set(&node->u.list.items[i]);
        }
    }
}

gr_err gr_doc_set(gr_doc *doc, const char *path, const char *value)
{
    gr_err err = GR_OK;
    gr_node node = {0};
    char *name = gr_str_format("--set %s", path);
    if (!name) {
        GR_TRY(GR_ERR_MEMORY);
    }
    if (!*path) {
        GR_FAIL(GR_ERR_USAGE, "--set: expected key.path=value");
    }
    if (value[strspn(value, " \t\n")]) { // nothing at all is null
        GR_TRY(gri_yaml_read(doc, name, GR_ERR_USAGE, value, strlen(value), &node));
    }
    mark_from_set(&node);
    GR_TRY(put(doc, path, &node));
done:
    GR_FREE(name);
    return err;
}
