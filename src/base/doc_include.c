// `include` of a YAML document: other files' maps that this one changes.
#include "src/base/doc_private.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <string.h>

static const char include_key[] = "include";

enum { MOST_FILES = 256, MOST_NODES = 1 << 20 }; ///< of all that one document includes

/// What the document has included so far. A depth alone bounds nothing: seven files that each name the next one thirty times.
typedef struct tally {
    int files;
    int64_t nodes; ///< read and made by merging
} tally;

/// What is being resolved: the document, and the file it stands in, which relative names start from.
typedef struct includer {
    gr_doc *doc;
    const char *path;
    int depth;
    tally *tally;
} includer;

static gr_err resolve(const includer *in, gr_node *node);

static bool has_items(const gr_node *node)
{
    return node->type == GR_DOC_LIST || node->type == GR_DOC_MAP;
}

/// Returns how many nodes there are.
static int64_t name_file(gr_node *node, const char *file)
{
    int64_t count = 1;
    node->file = file;
    for (int64_t i = 0; has_items(node) && i < node->u.list.count; i++) {
        count += name_file(&node->u.list.items[i], file);
    }
    return count;
}

/// `named`: what names the files, for the message.
static gr_err count_nodes(const includer *in, const gr_node *named, int64_t count)
{
    gr_err err = GR_OK;
    in->tally->nodes += count;
    if (in->tally->nodes > MOST_NODES) {
        GR_TRY(gr_node_error(named, "the included files hold more than %d values together",
                             MOST_NODES));
    }
done:
    return err;
}

static gr_err count_file(const includer *in, const gr_node *named)
{
    gr_err err = GR_OK;
    if (in->depth >= GRI_DOC_MAX_INCLUDES) {
        GR_TRY(gr_node_error(
            named,
            "files include each other more than %d deep: is one of them included by itself?",
            GRI_DOC_MAX_INCLUDES));
    }
    if (++in->tally->files > MOST_FILES) {
        GR_TRY(gr_node_error(named,
                             "more than %d files are included, each counted as often as it is "
                             "named: does a file name another again and again?",
                             MOST_FILES));
    }
done:
    return err;
}

/// The place of an included file, from the folder of the file that names it.
static gr_err find_file(const includer *in, const char *name, char **out)
{
    gr_err err = GR_OK;
    char *folder = NULL;
    if (name[0] == '/') {
        GR_STRDUP(*out, name);
        goto done;
    }
    GR_TRY(gr_path_dir(in->path, &folder));
    if (strcmp(folder, ".") == 0) {
        GR_STRDUP(*out, name);
    } else {
        GR_TRY(gr_path_join(folder, name, out));
    }
done:
    GR_FREE(folder);
    return err;
}

/// Reads one file, all its own includes resolved.
static gr_err read_file(const includer *in, const gr_node *named, gr_node *out)
{
    gr_err err = GR_OK;
    char *path = NULL, *text = NULL;
    size_t size = 0;
    const char *name = NULL, *kept = NULL;
    GR_TRY(gri_node_string(named, &name));
    GR_TRY(count_file(in, named));
    GR_TRY(find_file(in, name, &path));
    GR_TRY(gri_doc_text(in->doc, path, strlen(path), &kept));
    err = gr_file_read(kept, GRI_DOC_YAML_MOST, &text, &size);
    if (err != GR_OK) {
        gr_node_context(named);
        goto done;
    }
    const size_t mark = gri_doc_mark(text, size);
    GR_TRY(gri_yaml_read(in->doc, kept, in->doc->mistake, text + mark, size - mark, out));
    const int64_t nodes = name_file(out, kept);
    gri_doc_link_from(out, in->doc);
    GR_TRY(count_nodes(in, named, nodes));
    const includer inner = {in->doc, kept, in->depth + 1, in->tally};
    GR_TRY(gr_node_expect(out, GR_DOC_MAP));
    GR_TRY(resolve(&inner, out));
done:
    GR_FREE(path);
    GR_FREE(text);
    return err;
}

/// The "name" entry of a list's item; NULL if it has none.
static const gr_node *name_of(const gr_node *item)
{
    const gr_node *name = item->type == GR_DOC_MAP ? gri_node_child(item, "name", 4) : NULL;
    return name && name->type == GR_DOC_STRING ? name : NULL;
}

static bool all_named(const gr_node *list)
{
    for (int64_t i = 0; i < list->u.list.count; i++) {
        if (!name_of(&list->u.list.items[i])) {
            return false;
        }
    }
    return list->u.list.count > 0;
}

/// The child that takes the place of `item`: of a map by its key, of a list of named maps by its name.
static const gr_node *successor(const gr_node *over, const gr_node *item)
{
    if (over->type == GR_DOC_MAP) {
        return gri_node_child(over, item->key, strlen(item->key));
    }
    const gr_node *name = name_of(item);
    for (int64_t i = 0; i < over->u.list.count; i++) {
        const gr_node *other = name_of(&over->u.list.items[i]);
        if (other->u.string.size == name->u.string.size &&
            memcmp(other->u.string.data, name->u.string.data, name->u.string.size) == 0) {
            return &over->u.list.items[i];
        }
    }
    return NULL;
}

static bool merges(const gr_node *base, const gr_node *over)
{
    return base->type == over->type &&
           (base->type == GR_DOC_MAP ||
            (base->type == GR_DOC_LIST && all_named(base) && all_named(over)));
}

/// Each is compared with all others, so maps and lists of named maps hold no more than a map of one file.
static gr_err check_names(const gr_node *named, int64_t count)
{
    gr_err err = GR_OK;
    if (count > GRI_DOC_MOST_KEYS) {
        GR_TRY(gr_node_error(
            named, "a map, or a list of maps with names, that is put together has more than %d",
            GRI_DOC_MOST_KEYS));
    }
done:
    return err;
}

/// `over` on top of `base`: maps by key, lists of named maps by name, new ones behind; everything else is replaced. `named`: for messages.
static gr_err merge(const includer *in, const gr_node *named, const gr_node *base,
                    const gr_node *over, gr_node *out)
{
    gr_err err = GR_OK;
    gr_node *items = NULL;
    int64_t count = 0;
    if (!merges(base, over)) {
        *out = *over;
        goto done;
    }
    const int64_t most = base->u.list.count + over->u.list.count;
    GR_TRY(check_names(named, base->u.list.count));
    GR_TRY(check_names(named, over->u.list.count));
    GR_TRY(count_nodes(in, named, most));
    GR_TRY(gri_doc_nodes(in->doc, most, &items));
    for (int64_t i = 0; i < base->u.list.count; i++) {
        const gr_node *item = &base->u.list.items[i], *next = successor(over, item);
        const char *key = item->key;
        if (next) {
            GR_TRY(merge(in, named, item, next, &items[count]));
        } else {
            items[count] = *item;
        }
        items[count++].key = key;
    }
    for (int64_t i = 0; i < over->u.list.count; i++) {
        const gr_node *item = &over->u.list.items[i];
        const bool second = successor(over, item) != item; // of one name: for others to refuse
        if (second || !successor(base, item)) {
            items[count++] = *item;
        }
    }
    GR_TRY(check_names(named, count));
    *out = *over;
    out->u.list.items = items;
    out->u.list.count = count;
done:
    return err;
}

/// A map without its `include`, which lies at `at`.
static gr_err without(gr_doc *doc, const gr_node *map, int64_t at, gr_node *out)
{
    gr_err err = GR_OK;
    gr_node *items = NULL;
    const int64_t count = map->u.list.count - 1;
    GR_TRY(gri_doc_nodes(doc, count, &items));
    for (int64_t i = 0; i < count; i++) {
        items[i] = map->u.list.items[i < at ? i : i + 1];
    }
    *out = *map;
    out->u.list.items = items;
    out->u.list.count = count;
done:
    return err;
}

/// The files that `named` names, later ones on top, and `map` on top of all.
static gr_err include(const includer *in, const gr_node *named, int64_t at, gr_node *map)
{
    gr_err err = GR_OK;
    const bool several = named->type == GR_DOC_LIST;
    const int64_t count = several ? named->u.list.count : 1;
    gr_node own = {0}, sum = {0};
    for (int64_t i = 0; i < count; i++) {
        gr_node next = {0};
        GR_TRY(read_file(in, several ? &named->u.list.items[i] : named, &next));
        GR_TRY(merge(in, named, i == 0 ? &next : &sum, &next, &sum));
    }
    GR_TRY(without(in->doc, map, at, &own));
    GR_TRY(merge(in, named, count == 0 ? &own : &sum, &own, map));
    map->key = own.key;
done:
    return err;
}

static gr_err resolve(const includer *in, gr_node *node)
{
    gr_err err = GR_OK;
    int64_t at = -1;
    for (int64_t i = 0; has_items(node) && i < node->u.list.count; i++) {
        gr_node *item = &node->u.list.items[i];
        GR_TRY(resolve(in, item));
        at = item->key && strcmp(item->key, include_key) == 0 ? i : at;
    }
    if (at >= 0) {
        GR_TRY(include(in, &node->u.list.items[at], at, node));
    }
done:
    return err;
}

gr_err gr_doc_include(gr_doc *doc)
{
    gr_err err = GR_OK;
    tally sum = {0};
    const includer in = {doc, doc->name, 0, &sum};
    GR_TRY(resolve(&in, &doc->root));
    gri_doc_link(doc);
done:
    return err;
}
