#include "src/base/doc_private.h"

#include <jansson.h>
#include <string.h>

static gr_err convert(gr_doc *doc, const json_t *value, int depth, gr_node *out);

static gr_err convert_object(gr_doc *doc, const json_t *value, int depth, gr_node *out)
{
    gr_err err = GR_OK;
    json_t *object = (json_t *)(uintptr_t)value; // iterating changes nothing
    out->type = GR_DOC_MAP;
    GR_TRY(gri_doc_nodes(doc, (int64_t)json_object_size(value), &out->u.list.items));
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        gr_node *item = &out->u.list.items[out->u.list.count++];
        GR_TRY(gri_doc_text(doc, key, strlen(key), &item->key));
        GR_TRY(convert(doc, json_object_iter_value(it), depth + 1, item));
    }
done:
    return err;
}

static gr_err convert_array(gr_doc *doc, const json_t *value, int depth, gr_node *out)
{
    gr_err err = GR_OK;
    out->type = GR_DOC_LIST;
    GR_TRY(gri_doc_nodes(doc, (int64_t)json_array_size(value), &out->u.list.items));
    for (size_t i = 0; i < json_array_size(value); i++) {
        gr_node *item = &out->u.list.items[out->u.list.count++];
        GR_TRY(convert(doc, json_array_get(value, i), depth + 1, item));
    }
done:
    return err;
}

static gr_err convert(gr_doc *doc, const json_t *value, int depth, gr_node *out)
{
    gr_err err = GR_OK;
    if (depth > GRI_DOC_MAX_DEPTH) {
        GR_FAIL(doc->mistake, "%s: nested more than %d deep", doc->name, GRI_DOC_MAX_DEPTH);
    }
    switch (json_typeof(value)) {
    case JSON_NULL:
        out->type = GR_DOC_NULL;
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        out->type = GR_DOC_BOOL;
        out->u.boolean = json_is_true(value);
        break;
    case JSON_INTEGER:
        out->type = GR_DOC_INT;
        out->u.integer = json_integer_value(value);
        break;
    case JSON_REAL:
        out->type = GR_DOC_REAL;
        out->u.real = json_real_value(value);
        break;
    case JSON_STRING:
        out->type = GR_DOC_STRING;
        out->u.string.size = json_string_length(value);
        GR_TRY(gri_doc_text(doc, json_string_value(value), json_string_length(value),
                            &out->u.string.data));
        break;
    case JSON_ARRAY:
        GR_TRY(convert_array(doc, value, depth, out));
        break;
    case JSON_OBJECT:
        GR_TRY(convert_object(doc, value, depth, out));
        break;
    }
done:
    return err;
}

gr_err gr_doc_parse_json(const char *name, const char *text, size_t size, gr_err mistake,
                         gr_doc **out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    json_error_t error;
    json_t *value = NULL;
    GR_TRY(gri_doc_create(name, mistake, &doc));
    if (gri_doc_mark(text, size)) {
        GR_FAIL(
            mistake,
            "%s:1:1: starts with a byte order mark (EF BB BF), which JSON has not: save it as UTF-8 without one",
            name);
    }
    value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
                       &error);
    if (!value) {
        bool memory = json_error_code(&error) == json_error_out_of_memory;
        GR_FAIL(memory ? GR_ERR_MEMORY : mistake, "%s:%d:%d: %s", name,
                error.line > 0 ? error.line : 1, error.column > 0 ? error.column : 1,
                error.text);
    }
    GR_TRY(convert(doc, value, 0, &doc->root));
    gri_doc_link(doc);
    *out = doc;
    doc = NULL;
done:
    json_decref(value);
    gr_doc_destroy(&doc);
    return err;
}
