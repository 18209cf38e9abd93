/// The section with the recipes, and in what they differ.

#include "src/base/mem.h"
#include "src/eval/report_private.h"

#include <string.h>

/// Leaves of a recipe as "stages.warm-up.steps" and their JSON: what two recipes are compared by.
typedef struct leaves {
    char **keys, **values;
    int64_t count;
} leaves;

static void leaves_fini(leaves *l)
{
    for (int64_t i = 0; i < l->count; i++) {
        GR_FREE(l->keys[i]);
        GR_FREE(l->values[i]);
    }
    GR_FREE(l->keys);
    GR_FREE(l->values);
}

static gr_err add_leaf(leaves *l, const char *key, const gr_node *node)
{
    gr_err err = GR_OK;
    gr_json json = {0};
    gr_node copy = *node;
    const int64_t n = l->count;
    copy.key = NULL;
    gr_node_write(&json, &copy);
    GR_TRY(gr_json_finish(&json));
    GR_RESIZE(l->keys, n, n + 1);
    GR_RESIZE(l->values, n, n + 1);
    l->count = n + 1;
    GR_STRDUP(l->keys[n], key);
    GR_STRDUP(l->values[n], json.text.data);
done:
    gr_json_fini(&json);
    return err;
}

/// Items of a list go by their "name", else by their number.
static gr_err add_leaves(leaves *l, const char *at, const gr_node *node)
{
    gr_err err = GR_OK;
    char *key = NULL;
    const bool inner = node->type == GR_DOC_MAP || node->type == GR_DOC_LIST;
    if (!inner || node->u.list.count == 0) {
        return add_leaf(l, at, node);
    }
    for (int64_t i = 0; i < node->u.list.count; i++) {
        const gr_node *one = &node->u.list.items[i];
        const char *name = one->key ? one->key : gri_text_of(one, "name");
        key = *name ? gr_str_format("%s%s%s", at, *at ? "." : "", name)
                    : gr_str_format("%s[%lld]", at, (long long)i);
        GR_TRY(key ? GR_OK : GR_ERR_MEMORY);
        GR_TRY(add_leaves(l, key, one));
        GR_FREE(key);
    }
done:
    GR_FREE(key);
    return err;
}

static const char *find_leaf(const leaves *l, const char *key)
{
    for (int64_t i = 0; i < l->count; i++) {
        if (strcmp(l->keys[i], key) == 0) {
            return l->values[i];
        }
    }
    return "";
}

/// Whether some run has another value than run 0 has.
static bool differs(const leaves *all, int64_t count, const char *key)
{
    for (int64_t r = 1; r < count; r++) {
        if (strcmp(find_leaf(&all[r], key), find_leaf(&all[0], key)) != 0) {
            return true;
        }
    }
    return false;
}

static bool was_listed(const leaves *all, int64_t run, const char *key)
{
    for (int64_t r = 0; r < run; r++) {
        if (*find_leaf(&all[r], key)) {
            return true;
        }
    }
    return false;
}

static int64_t put_differences(gri_page *p, gri_runs runs, const leaves *all)
{
    int64_t rows = 0;
    for (int64_t r = 0; r < runs.count; r++) {
        for (int64_t i = 0; i < all[r].count; i++) {
            const char *key = all[r].keys[i];
            if (was_listed(all, r, key) || !differs(all, runs.count, key)) {
                continue;
            }
            gri_put(p, "<tr><th scope=\"row\"><code>");
            gri_text(p, key);
            gri_put(p, "</code></th>");
            for (int64_t other = 0; other < runs.count; other++) {
                const char *value = find_leaf(&all[other], key);
                gri_put(p, "<td><code>");
                gri_text(p, value);
                gri_put(p, *value ? "</code></td>" : "&ndash;</code></td>");
            }
            gri_put(p, "</tr>");
            rows++;
        }
    }
    return rows;
}

static gr_err compare_recipes(gri_page *p, gri_runs runs)
{
    gr_err err = GR_OK;
    leaves *all = NULL;
    GR_ALLOC(all, runs.count);
    for (int64_t r = 0; r < runs.count; r++) {
        if (runs.items[r].recipe) {
            GR_TRY(add_leaves(&all[r], "", gr_doc_root(runs.items[r].recipe)));
        }
    }
    gri_put(
        p,
        "<h3>Differences</h3><div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">Key</th>");
    for (int64_t r = 0; r < runs.count; r++) {
        gri_put(p, "<th scope=\"col\">");
        gri_put_name(p, runs, r);
        gri_put(p, "</th>");
    }
    gri_put(p, "</tr></thead><tbody>");
    if (put_differences(p, runs, all) == 0) {
        gri_putf(p, "<tr><td colspan=\"%lld\">The recipes say the same.</td></tr>",
                 (long long)runs.count + 1);
    }
    gri_end_table(p);
done:
    for (int64_t r = 0; all && r < runs.count; r++) {
        leaves_fini(&all[r]);
    }
    GR_FREE(all);
    return err;
}

void gri_put_recipes(gri_page *p, gri_runs runs)
{
    gri_put(p, "<section id=\"recipe\"><h2>Recipe</h2>");
    if (runs.count > 1 && p->err == GR_OK) {
        p->err = compare_recipes(p, runs);
    }
    for (int64_t r = 0; r < runs.count; r++) {
        gr_json json = {.indent = 2};
        if (!runs.items[r].recipe) {
            gri_put(p, "<p>There is no recipe.json.</p>");
            continue;
        }
        gr_node_write(&json, gr_doc_root(runs.items[r].recipe));
        p->err = p->err ? p->err : gr_json_finish(&json);
        gri_put(p, "<details><summary>As resolved");
        if (runs.count > 1) {
            gri_put(p, ", of ");
            gri_put_name(p, runs, r);
        }
        gri_put(p, "</summary><pre>");
        gri_text(p, json.text.data);
        gri_put(p, "</pre></details>");
        gr_json_fini(&json);
    }
    gri_put(p, "</section>");
}
