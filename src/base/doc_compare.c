#include "src/base/doc_private.h"

#include "src/base/mem.h"

#include <string.h>

static const gr_node *first_difference(const gr_node *a, const gr_node *b);

static const gr_node *difference_of_lists(const gr_node *a, const gr_node *b)
{
    const int64_t n = a->u.list.count, m = b->u.list.count;
    const gr_node *found = NULL;
    for (int64_t i = 0; i < n && i < m && !found; i++) {
        found = first_difference(&a->u.list.items[i], &b->u.list.items[i]);
    }
    return found ? found : n > m ? &a->u.list.items[m] : m > n ? &b->u.list.items[n] : NULL;
}

static const gr_node *difference_of_maps(const gr_node *a, const gr_node *b)
{
    for (int64_t i = 0; i < a->u.list.count; i++) {
        const gr_node *mine = &a->u.list.items[i];
        const gr_node *other = gri_node_child(b, mine->key, strlen(mine->key));
        const gr_node *found = other ? first_difference(mine, other) : mine;
        if (found) {
            return found;
        }
    }
    for (int64_t i = 0; i < b->u.list.count; i++) {
        const gr_node *theirs = &b->u.list.items[i];
        if (!gri_node_child(a, theirs->key, strlen(theirs->key))) {
            return theirs;
        }
    }
    return NULL;
}

static bool is_number(const gr_node *node)
{
    return node->type == GR_DOC_INT || node->type == GR_DOC_REAL;
}

static double number(const gr_node *node)
{
    return node->type == GR_DOC_INT ? (double)node->u.integer : node->u.real;
}

static bool same_scalar(const gr_node *a, const gr_node *b)
{
    switch (a->type) {
    case GR_DOC_BOOL:
        return a->u.boolean == b->u.boolean;
    case GR_DOC_INT:
        return a->u.integer == b->u.integer;
    case GR_DOC_STRING:
        return a->u.string.size == b->u.string.size &&
               memcmp(a->u.string.data, b->u.string.data, a->u.string.size) == 0;
    default:
        return true; // null
    }
}

/// The node of `a` (or of `b`, where only that has it) at which they part; NULL: nowhere.
static const gr_node *first_difference(const gr_node *a, const gr_node *b)
{
    if (is_number(a) && is_number(b) && (a->type == GR_DOC_REAL || b->type == GR_DOC_REAL)) {
        return number(a) == number(b) ? NULL : a; // 1 and 1.0 say the same
    }
    if (a->type != b->type) {
        return a;
    }
    if (a->type == GR_DOC_LIST) {
        return difference_of_lists(a, b);
    }
    return a->type == GR_DOC_MAP ? difference_of_maps(a, b) : same_scalar(a, b) ? NULL : a;
}

gr_err gr_doc_difference(const gr_doc *a, const gr_doc *b, char **path)
{
    gr_err err = GR_OK;
    char text[256] = "";
    const gr_node *found = first_difference(gr_doc_root(a), gr_doc_root(b));
    *path = NULL;
    if (found) {
        gri_node_path(found, text, sizeof text);
        GR_STRDUP(*path, text);
    }
done:
    return err;
}
