// LLaVA JSON and JSONL. The list is cut into records by their brackets, without a tree of the whole file: a record
// that is no JSON is one bad record, and memory does not grow with the file.
#include "datasets/source.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <string.h>

typedef struct llava_reader {
    gri_reader base;
    gr_file_map map;
    const char *at, *end; ///< what is not walked yet
    bool lines;           ///< JSONL
    const char *record;   ///< the current one
    size_t size;
} llava_reader;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(llava_reader *r)
{
    while (r->at < r->end && is_blank(*r->at)) {
        r->at++;
    }
}

/// An error of the whole file, at a place in it.
static gr_err complain(const llava_reader *r, const char *at, const char *what)
{
    gr_err err = GR_OK;
    long long line = 1, column = 1;
    if (r->map.data) {
        gri_position((const char *)r->map.data, at, &line, &column);
    }
    if (r->base.place.number < 0) {
        GR_FAIL(GR_ERR_DATA, "%s:%lld:%lld: %s (before the first record)", r->base.file->path,
                line, column, what);
    }
    GR_FAIL(GR_ERR_DATA, "%s:%lld:%lld: %s (behind record %lld)", r->base.file->path, line,
            column, what, (long long)r->base.place.number);
done:
    return err;
}

static gr_err next_line(gri_reader *self, bool wanted, bool *there)
{
    llava_reader *r = (llava_reader *)self;
    (void)wanted;
    *there = false;
    while (!*there && r->at < r->end) {
        const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
        end = end ? end + 1 : r->end;
        r->record = r->at;
        r->size = (size_t)(end - r->at);
        r->base.place.number++;
        for (const char *p = r->at; p < end && !*there; p++) {
            *there = !is_blank(*p);
        }
        r->at = end;
    }
    return GR_OK;
}

/// Moves over one value up to the comma or bracket behind it. *closed: brackets and quotes were.
static void skip_value(llava_reader *r, bool *closed)
{
    int64_t depth = 0;
    bool text = false;
    for (; r->at < r->end; r->at++) {
        char c = *r->at;
        if (text) {
            if (c == '\\' && r->at + 1 < r->end) {
                r->at++;
            }
            text = c != '"';
        } else if (depth == 0 && (c == ',' || c == ']' || c == '}')) {
            break;
        } else {
            text = c == '"';
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        }
    }
    *closed = r->at < r->end;
}

static gr_err end_list(llava_reader *r)
{
    gr_err err = GR_OK;
    r->at++;
    skip_blanks(r);
    if (r->at < r->end) {
        GR_TRY(complain(r, r->at, "something stands behind the list of records"));
    }
    r->record = NULL;
done:
    return err;
}

static gr_err next_item(gri_reader *self, bool wanted, bool *there)
{
    gr_err err = GR_OK;
    llava_reader *r = (llava_reader *)self;
    bool first = r->base.place.number < 0, closed = false;
    (void)wanted;
    *there = false;
    skip_blanks(r);
    if (r->at < r->end && *r->at == ']') {
        GR_TRY(end_list(r));
        goto done;
    }
    if (!first) {
        if (r->at < r->end && *r->at != ',') {
            GR_TRY(complain(r, r->at, "expected a comma or the end of the list"));
        }
        r->at += r->at < r->end;
        skip_blanks(r);
    }
    r->record = r->at;
    skip_value(r, &closed);
    if (!closed) {
        GR_TRY(complain(r, r->at, "the file ends inside the list of records: it is truncated"));
    }
    r->size = (size_t)(r->at - r->record);
    if (r->size == 0) {
        GR_TRY(complain(r, r->at, "expected a record"));
    }
    r->base.place.number++;
    *there = true;
done:
    return err;
}

/// The record's id in new memory: a string, an integer's digits, or "#NUMBER" when it has none.
static gr_err find_id(const gr_node *node, int64_t number, char **out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    const gr_node *id = gr_node_find(node, "id");
    if (!id) {
        *out = gr_str_format("#%lld", (long long)number);
    } else if (id->type == GR_DOC_INT) {
        *out = gr_str_format("%lld", (long long)id->u.integer);
    } else {
        const char *text = NULL;
        GR_TRY(gr_node_get_string(node, "id", &text));
        *out = gr_mem_strdup(text);
    }
    err = *out ? GR_OK : GR_ERR_MEMORY;
done:
    return err;
}

/// What would be lost in silence.
static gr_err check_kinds(const gr_node *node)
{
    static const char *const others[] = {"video", "videos", "audio", "audios"};
    gr_err err = GR_OK;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const gr_node *other = gr_node_find(node, others[i]);
        if (other && !(other->type == GR_DOC_LIST && other->u.list.count == 0)) {
            GR_TRY(gr_node_error(other, "the record has a %s; only pictures can be imported",
                                 others[i]));
        }
    }
    if (gr_node_find(node, "image") && gr_node_find(node, "images")) {
        GR_TRY(gr_node_error(node, "the record has both \"image\" and \"images\""));
    }
done:
    return err;
}

static gr_err read_pictures(const gri_reader *r, const gr_node *node, gri_record *out)
{
    gr_err err = GR_OK;
    const gr_node *image = gr_node_find(node, "image");
    image = image ? image : gr_node_find(node, "images");
    if (!image) {
        goto done;
    }
    bool list = image->type == GR_DOC_LIST;
    for (int64_t i = 0; i < (list ? image->u.list.count : 1); i++) {
        const gr_node *item = list ? &image->u.list.items[i] : image;
        GR_TRY(gr_node_expect(item, GR_DOC_STRING));
        GR_TRY(gri_record_picture_file(out, r->options, r->file->images, item->u.string.data,
                                       item->u.string.size));
    }
done:
    return err;
}

static gr_err read_record(gri_reader *self, gri_record *out)
{
    // The id is kept as the source, so that equal conversations about equal pictures have equal content ids.
    static const char *const left_out[] = {"image", "images", "id", NULL};
    gr_err err = GR_OK;
    llava_reader *r = (llava_reader *)self;
    gr_doc *doc = NULL;
    char *name = gr_str_format(r->lines ? "%s:%lld" : "%s[%lld]", self->file->path,
                               (long long)self->place.number);
    if (!name) {
        return GR_ERR_MEMORY;
    }
    GR_TRY(gr_doc_parse_json(name, r->record, r->size, GR_ERR_DATA, &doc));
    const gr_node *node = gr_doc_root(doc);
    GR_TRY(find_id(node, self->place.number, &out->source));
    GR_TRY(check_kinds(node));
    GR_TRY(read_pictures(self, node, out));
    GR_TRY(gri_record_finish(out, node, left_out, self->file->task));
done:
    gr_doc_destroy(&doc);
    GR_FREE(name);
    return err;
}

static void destroy(gri_reader *self)
{
    llava_reader *r = (llava_reader *)self;
    gr_file_map_close(&r->map);
    gr_mem_free(r);
}

gr_err gri_llava_open(const gri_source_file *file, const gr_import_options *options,
                      gri_reader **out)
{
    gr_err err = GR_OK;
    llava_reader *r = NULL;
    GR_ALLOC(r, 1);
    r->lines = gri_ends_in(file->path, ".jsonl");
    r->base = (gri_reader){.file = file,
                           .options = options,
                           .place = {r->lines ? "line" : "index", r->lines ? 0 : -1},
                           .next = r->lines ? next_line : next_item,
                           .read = read_record,
                           .destroy = destroy};
    GR_TRY(gr_file_map_open(file->path, &r->map));
    r->at = r->map.data ? (const char *)r->map.data : "";
    r->end = r->at + r->map.size;
    if (r->map.size >= 3 && memcmp(r->at, "\xef\xbb\xbf", 3) == 0) { // byte order mark
        r->at += 3;
    }
    if (!r->lines) {
        skip_blanks(r);
        if (r->at == r->end || *r->at != '[') {
            GR_TRY(complain(r, r->at, "expected a list of records"));
        }
        r->at++;
    }
    *out = &r->base;
    r = NULL;
done:
    if (r) {
        destroy(&r->base);
    }
    return err;
}
