// The tree and its memory. doc_json.c and doc_yaml.c read, doc_include.c and doc_set.c change, doc_node.c answers.
#include "src/base/doc.h"

#include "src/base/doc_private.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <string.h>

enum { BLOCK_SIZE = 1 << 14 };

struct gri_doc_block {
    gri_doc_block *next;
    char *data;
    size_t used, size;
};

gr_err gri_doc_create(const char *name, gr_err mistake, gr_doc **out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    GR_ALLOC(doc, 1);
    doc->mistake = mistake;
    GR_STRDUP(doc->name, name);
    *out = doc;
    doc = NULL;
done:
    gr_doc_destroy(&doc);
    return err;
}

void gr_doc_destroy(gr_doc **doc)
{
    if (*doc) {
        for (gri_doc_block *b = (*doc)->blocks; b;) {
            gri_doc_block *next = b->next;
            GR_FREE(b->data);
            GR_FREE(b);
            b = next;
        }
        GR_FREE((*doc)->name);
    }
    GR_FREE(*doc);
}

static gr_err add_block(gr_doc *doc, size_t bytes)
{
    gr_err err = GR_OK;
    gri_doc_block *block = NULL;
    GR_ALLOC(block, 1);
    block->size = bytes > BLOCK_SIZE ? bytes : BLOCK_SIZE;
    GR_ALLOC(block->data, block->size);
    block->next = doc->blocks;
    doc->blocks = block;
    block = NULL;
done:
    GR_FREE(block);
    return err;
}

static gr_err take(gr_doc *doc, size_t bytes, void **out)
{
    gr_err err = GR_OK;
    size_t rounded = (bytes + 15) / 16 * 16;
    if (!doc->blocks || doc->blocks->size - doc->blocks->used < rounded) {
        GR_TRY(add_block(doc, rounded));
    }
    *out = doc->blocks->data + doc->blocks->used;
    doc->blocks->used += rounded;
done:
    return err;
}

gr_err gri_doc_nodes(gr_doc *doc, int64_t count, gr_node **out)
{
    gr_err err = GR_OK;
    void *memory = NULL;
    GR_TRY(take(doc, (size_t)count * sizeof(gr_node), &memory));
    *out = memory;
done:
    return err;
}

gr_err gri_doc_text(gr_doc *doc, const char *data, size_t size, const char **out)
{
    gr_err err = GR_OK;
    void *memory = NULL;
    GR_TRY(take(doc, size + 1, &memory));
    if (size) {
        memcpy(memory, data, size);
    }
    *out = memory;
done:
    return err;
}

static bool has_children(const gr_node *node)
{
    return node->type == GR_DOC_LIST || node->type == GR_DOC_MAP;
}

void gri_doc_link_from(gr_node *node, gr_doc *doc)
{
    node->doc = doc;
    if (has_children(node)) {
        for (int64_t i = 0; i < node->u.list.count; i++) {
            node->u.list.items[i].parent = node;
            gri_doc_link_from(&node->u.list.items[i], doc);
        }
    }
}

void gri_doc_link(gr_doc *doc)
{
    gri_doc_link_from(&doc->root, doc);
}

const gr_node *gr_doc_root(const gr_doc *doc)
{
    return &doc->root;
}

const char *gr_doc_name(const gr_doc *doc)
{
    return doc->name;
}

size_t gri_doc_mark(const char *text, size_t size)
{
    return size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static bool ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

gr_err gr_doc_load(const char *path, gr_err mistake, gr_doc **out)
{
    gr_err err = GR_OK;
    char *text = NULL;
    size_t size = 0;
    bool json = ends_in(path, ".json");
    if (!json && !ends_in(path, ".yaml") && !ends_in(path, ".yml") && gr_file_exists(path)) {
        GR_FAIL(mistake, "%s: expected a name that ends in .json, .yaml or .yml", path);
    }
    GR_TRY(gr_file_read(path, json ? 0 : GRI_DOC_YAML_MOST, &text, &size));
    GR_TRY(json ? gr_doc_parse_json(path, text, size, mistake, out)
                : gr_doc_parse_yaml(path, text, size, mistake, out));
done:
    GR_FREE(text);
    return err;
}

void gr_node_write(gr_json *j, const gr_node *node)
{
    switch (node->type) {
    case GR_DOC_NULL:
        gr_json_null(j, node->key);
        break;
    case GR_DOC_BOOL:
        gr_json_bool(j, node->key, node->u.boolean);
        break;
    case GR_DOC_INT:
        gr_json_int(j, node->key, node->u.integer);
        break;
    case GR_DOC_REAL:
        gr_json_real(j, node->key, node->u.real);
        break;
    case GR_DOC_STRING:
        gr_json_string_bytes(j, node->key, node->u.string.data, node->u.string.size);
        break;
    case GR_DOC_LIST:
    case GR_DOC_MAP:
        (node->type == GR_DOC_LIST ? gr_json_list_begin : gr_json_map_begin)(j, node->key);
        for (int64_t i = 0; i < node->u.list.count; i++) {
            gr_node_write(j, &node->u.list.items[i]);
        }
        (node->type == GR_DOC_LIST ? gr_json_list_end : gr_json_map_end)(j);
        break;
    }
}

gr_err gr_doc_to_json(const gr_doc *doc, char **text)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    gr_node_write(&j, &doc->root);
    GR_TRY(gr_json_finish(&j));
    *text = j.text.data;
    j.text = (gr_str){0};
done:
    gr_json_fini(&j);
    return err;
}
