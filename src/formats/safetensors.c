#include "src/formats/safetensors.h"

#include "src/base/doc.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, MAX_DIMS = 8 };
static const uint64_t MAX_HEADER = 100000000;

/// An item while the header is read: its place is checked only after sorting.
typedef struct entry {
    gr_safetensor tensor;
    int64_t begin, end; ///< data_offsets
} entry;

/// What the header's checks share.
typedef struct header {
    const char *path;
    const char *text; ///< JSON, not NUL-terminated
    size_t text_size;
    const unsigned char *data; ///< behind the header
    int64_t data_size;
} header;

static gr_err find_header(const char *path, const gr_file_map *map, header *out)
{
    gr_err err = GR_OK;
    if (map->size < LENGTH_BYTES) {
        GR_FAIL(GR_ERR_DATA,
                "%s: not a safetensors file: %zu bytes, expected at least the %d of the header "
                "length; copy or write it again",
                path, map->size, LENGTH_BYTES);
    }
    uint64_t n = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) {
        n = n << 8 | map->data[i];
    }
    if (n > MAX_HEADER) {
        GR_FAIL(GR_ERR_DATA,
                "%s: header length %llu, expected at most %llu; this is not a safetensors file "
                "or its start is damaged",
                path, (unsigned long long)n, (unsigned long long)MAX_HEADER);
    }
    if (n > map->size - LENGTH_BYTES) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: header length %llu, but only %zu bytes follow; the file is cut short, copy "
            "it again",
            path, (unsigned long long)n, map->size - LENGTH_BYTES);
    }
    if (n == 0 || map->data[LENGTH_BYTES] != '{') {
        GR_FAIL(GR_ERR_DATA,
                "%s: the header must begin with '{', got %s; this is not a "
                "safetensors file",
                path, n == 0 ? "an empty header" : "another byte");
    }
    *out = (header){.path = path,
                    .text = (const char *)map->data + LENGTH_BYTES,
                    .text_size = (size_t)n,
                    .data = map->data + LENGTH_BYTES + n,
                    .data_size = (int64_t)(map->size - LENGTH_BYTES - (size_t)n)};
done:
    return err;
}

/// Metadata is checked for its form only; nothing here depends on its content.
static gr_err check_metadata(const header *h, const gr_node *node)
{
    gr_err err = GR_OK;
    if (node->type == GR_DOC_NULL) {
        return GR_OK;
    }
    if (node->type != GR_DOC_MAP) {
        GR_FAIL(GR_ERR_DATA, "%s: __metadata__: expected an object of strings, got %s", h->path,
                gr_doc_type_name(node->type));
    }
    for (int64_t i = 0; i < node->u.list.count; i++) {
        const gr_node *value = &node->u.list.items[i];
        if (value->type != GR_DOC_STRING) {
            GR_FAIL(GR_ERR_DATA, "%s: __metadata__: %s: expected a string, got %s", h->path,
                    value->key, gr_doc_type_name(value->type));
        }
    }
done:
    return err;
}

/// The child `key` of an entry, which must have this type.
static gr_err entry_field(const header *h, const gr_node *node, const char *key,
                          gr_doc_type type, const gr_node **out)
{
    gr_err err = GR_OK;
    const gr_node *field = gr_node_find(node, key);
    if (!field || field->type != type) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor %s: %s: expected %s, got %s", h->path, node->key, key,
                gr_doc_type_name(type), field ? gr_doc_type_name(field->type) : "nothing");
    }
    *out = field;
done:
    return err;
}

/// Item i of a list, which must be an integer of at least 0.
static gr_err entry_size(const header *h, const gr_node *list, int64_t i, int64_t *out)
{
    gr_err err = GR_OK;
    const gr_node *item = &list->u.list.items[i];
    if (item->type != GR_DOC_INT) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor %s: %s[%lld]: expected an integer, got %s", h->path,
                list->parent->key, list->key, (long long)i, gr_doc_type_name(item->type));
    }
    if (item->u.integer < 0) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor %s: %s[%lld]: expected at least 0, got %lld", h->path,
                list->parent->key, list->key, (long long)i, (long long)item->u.integer);
    }
    *out = item->u.integer;
done:
    return err;
}

static gr_err read_dtype(const header *h, const gr_node *node, gr_safetensor *tensor)
{
    gr_err err = GR_OK;
    const gr_node *dtype = NULL;
    GR_TRY(entry_field(h, node, "dtype", GR_DOC_STRING, &dtype));
    if (strlen(dtype->u.string.data) != dtype->u.string.size ||
        !gr_dtype_parse(dtype->u.string.data, &tensor->dtype)) {
        GR_FAIL(GR_ERR_DATA,
                "%s: tensor %s: unknown dtype \"%s\"; convert the file to F32, F16 or BF16",
                h->path, node->key, dtype->u.string.data);
    }
done:
    return err;
}

static gr_err read_shape(const header *h, const gr_node *node, gr_safetensor *tensor)
{
    gr_err err = GR_OK;
    const gr_node *shape = NULL;
    GR_TRY(entry_field(h, node, "shape", GR_DOC_LIST, &shape));
    if (shape->u.list.count > MAX_DIMS) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor %s: shape: expected at most %d dimensions, got %lld",
                h->path, node->key, MAX_DIMS, (long long)shape->u.list.count);
    }
    tensor->ndim = (int)shape->u.list.count;
    tensor->count = 1;
    for (int i = 0; i < tensor->ndim; i++) {
        GR_TRY(entry_size(h, shape, i, &tensor->shape[i]));
        if (__builtin_mul_overflow(tensor->count, tensor->shape[i], &tensor->count)) {
            GR_FAIL(GR_ERR_DATA, "%s: tensor %s: shape: the product of its sizes overflows",
                    h->path, node->key);
        }
    }
done:
    return err;
}

static gr_err read_offsets(const header *h, const gr_node *node, entry *out)
{
    gr_err err = GR_OK;
    const gr_node *offsets = NULL;
    GR_TRY(entry_field(h, node, "data_offsets", GR_DOC_LIST, &offsets));
    if (offsets->u.list.count != 2) {
        GR_FAIL(GR_ERR_DATA,
                "%s: tensor %s: data_offsets: expected [begin, end], got %lld "
                "numbers",
                h->path, node->key, (long long)offsets->u.list.count);
    }
    GR_TRY(entry_size(h, offsets, 0, &out->begin));
    GR_TRY(entry_size(h, offsets, 1, &out->end));
    if (out->begin > out->end || out->end > h->data_size) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: tensor %s: data_offsets [%lld, %lld] do not lie in the %lld bytes of data; "
            "the file is cut short or damaged, copy it again",
            h->path, node->key, (long long)out->begin, (long long)out->end,
            (long long)h->data_size);
    }
    int64_t bytes = 0;
    if (__builtin_mul_overflow(out->tensor.count, (int64_t)gr_dtype_size(out->tensor.dtype),
                               &bytes) ||
        bytes != out->end - out->begin) {
        GR_FAIL(GR_ERR_DATA,
                "%s: tensor %s: %lld bytes of data, expected %lld elements of %zu bytes (%s)",
                h->path, node->key, (long long)(out->end - out->begin),
                (long long)out->tensor.count, gr_dtype_size(out->tensor.dtype),
                gr_dtype_name(out->tensor.dtype));
    }
done:
    return err;
}

static gr_err read_entry(const header *h, const gr_node *node, entry *out)
{
    gr_err err = GR_OK;
    if (node->type != GR_DOC_MAP) {
        GR_FAIL(GR_ERR_DATA, "%s: tensor %s: expected an object, got %s", h->path, node->key,
                gr_doc_type_name(node->type));
    }
    GR_TRY(read_dtype(h, node, &out->tensor));
    GR_TRY(read_shape(h, node, &out->tensor));
    GR_TRY(read_offsets(h, node, out));
    out->tensor.data = h->data + out->begin;
    GR_STRDUP(out->tensor.name, node->key);
done:
    return err;
}

/// By place; empty tensors at one place by name, so that the order is a function of the file.
static int compare_entries(const void *left, const void *right)
{
    const entry *a = left, *b = right;
    if (a->begin != b->begin) {
        return a->begin < b->begin ? -1 : 1;
    }
    if (a->end != b->end) {
        return a->end < b->end ? -1 : 1;
    }
    return strcmp(a->tensor.name, b->tensor.name);
}

/// Entries must cover the data end to end.
static gr_err check_places(const header *h, const entry *entries, int64_t count)
{
    gr_err err = GR_OK;
    int64_t end = 0;
    for (int64_t i = 0; i < count; i++) {
        if (entries[i].begin != end) {
            GR_FAIL(
                GR_ERR_DATA,
                "%s: tensor %s begins at byte %lld of the data, expected %lld: tensors must "
                "lie end to end, without %s; write the file again",
                h->path, entries[i].tensor.name, (long long)entries[i].begin, (long long)end,
                entries[i].begin < end ? "overlap" : "holes");
        }
        end = entries[i].end;
    }
    if (end != h->data_size) {
        GR_FAIL(GR_ERR_DATA,
                "%s: the tensors end at byte %lld of the data, expected its end at %lld; the "
                "file has bytes that belong to no tensor, copy or write it again",
                h->path, (long long)end, (long long)h->data_size);
    }
done:
    return err;
}

static void free_entries(entry *entries, int64_t count)
{
    for (int64_t i = 0; entries && i < count; i++) {
        GR_FREE(entries[i].tensor.name);
    }
    GR_FREE(entries);
}

/// All tensors of the header, sorted and checked. *count entries are owned by the caller.
static gr_err read_entries(const header *h, const gr_node *root, entry **out, int64_t *count)
{
    gr_err err = GR_OK;
    entry *entries = NULL;
    int64_t n = 0;
    GR_ALLOC(entries, root->u.list.count);
    for (int64_t i = 0; i < root->u.list.count; i++) {
        const gr_node *node = &root->u.list.items[i];
        if (strcmp(node->key, "__metadata__") == 0) {
            GR_TRY(check_metadata(h, node));
        } else {
            GR_TRY(read_entry(h, node, &entries[n]));
            n++;
        }
    }
    qsort(entries, (size_t)n, sizeof *entries, compare_entries);
    GR_TRY(check_places(h, entries, n));
    *out = entries;
    *count = n;
    entries = NULL;
done:
    free_entries(entries, n);
    return err;
}

gr_err gr_safetensors_open(const char *path, gr_safetensors **out)
{
    gr_err err = GR_OK;
    gr_safetensors *file = NULL;
    gr_doc *doc = NULL;
    entry *entries = NULL;
    int64_t count = 0;
    header h = {0};
    GR_ALLOC(file, 1);
    GR_STRDUP(file->path, path);
    GR_TRY(gr_file_map_open(path, &file->map));
    GR_TRY(find_header(path, &file->map, &h));
    GR_TRY(gr_doc_parse_json(path, h.text, h.text_size, GR_ERR_DATA, &doc));
    GR_TRY(read_entries(&h, gr_doc_root(doc), &entries, &count));
    GR_ALLOC(file->items, count);
    GR_TRY(gr_names_reserve(&file->names, count));
    for (; file->count < count; file->count++) {
        file->items[file->count] = entries[file->count].tensor;
        gr_names_add(&file->names, entries[file->count].tensor.name, file->count);
        entries[file->count].tensor.name = NULL;
    }
    gr_names_sort(&file->names);
    *out = file;
    file = NULL;
done:
    free_entries(entries, count);
    gr_doc_destroy(&doc);
    gr_safetensors_close(&file);
    return err;
}

void gr_safetensors_close(gr_safetensors **file)
{
    if (!*file) {
        return;
    }
    for (int64_t i = 0; i < (*file)->count; i++) {
        GR_FREE((*file)->items[i].name);
    }
    GR_FREE((*file)->items);
    gr_names_fini(&(*file)->names);
    GR_FREE((*file)->path);
    gr_file_map_close(&(*file)->map);
    GR_FREE(*file);
}

const gr_safetensor *gr_safetensors_find(const gr_safetensors *file, const char *name)
{
    const int64_t i = gr_names_find(&file->names, name);
    return i < 0 ? NULL : &file->items[i];
}
