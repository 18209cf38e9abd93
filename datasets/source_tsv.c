// VLMEvalKit's TSV: cells as pandas writes and reads them (quotes around cells with tabs, line ends or quotes), pictures in base64.
#include "datasets/source.h"

#include "src/base/digest.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <stdlib.h>
#include <string.h>

enum {
    SHORT = 64, ///< a picture's cell of at most so many characters is another row's index
    MOST_COLUMNS = 4096, ///< each name is compared with all others
};

/// A cell as it stands in the file.
typedef struct cell {
    const char *data;
    size_t size;
    bool quoted;
} cell;

typedef struct cells {
    cell *items; ///< [capacity]
    int64_t count, capacity;
} cells;

/// Where the row of an index begins.
typedef struct row {
    gr_digest index;
    const char *at;
} row;

typedef struct tsv_reader {
    gri_reader base;
    gr_file_map map;
    const char *start, *at, *end; ///< of the text, of what is not walked yet
    int64_t line;                 ///< of `at`, from 1
    cells header, cells;          ///< of the first row, of the current one
    gr_str *names;                ///< [header.count] columns
    row *rows;                    ///< [row_count], sorted by index
    int64_t row_count, row_capacity;
} tsv_reader;

static gr_err add_cell(cells *list, cell c)
{
    gr_err err = GR_OK;
    if (list->count == list->capacity) {
        int64_t capacity = list->capacity ? 2 * list->capacity : 16;
        GR_RESIZE(list->items, list->capacity, capacity);
        list->capacity = capacity;
    }
    list->items[list->count++] = c;
done:
    return err;
}

/// Behind a quoted cell's closing quote, or NULL when there is none.
static const char *skip_quoted(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '"' && (at + 1 == end || at[1] != '"')) {
            return at + 1;
        }
        at += *at == '"';
    }
    return NULL;
}

/// Reads the cells of the row at `*at` and moves behind it; *lines: how many lines it took.
static gr_err read_row(const tsv_reader *r, const char **at, cells *out, int64_t *lines)
{
    gr_err err = GR_OK;
    const char *p = *at, *stop = NULL;
    out->count = 0;
    for (bool more = true; more;) {
        cell c = {.data = p, .quoted = p < r->end && *p == '"'};
        if (c.quoted) {
            p = skip_quoted(p, r->end);
            if (!p) {
                long long line = 0, column = 0;
                gri_position(r->start, c.data, &line, &column);
                GR_FAIL(GR_ERR_DATA,
                        "%s:%lld:%lld: the quotes that begin here do not end: the file is "
                        "truncated",
                        r->base.file->path, line, column);
            }
        }
        while (p < r->end && *p != '\t' && *p != '\n') {
            p++;
        }
        stop = p;
        more = p < r->end && *p == '\t';
        if (!more && stop > c.data && stop[-1] == '\r') {
            stop--;
        }
        c.size = (size_t)(stop - c.data);
        GR_TRY(add_cell(out, c));
        p += p < r->end;
    }
    *lines = 0;
    for (const char *q = *at; (q = memchr(q, '\n', (size_t)(p - q))) != NULL; q++) {
        *lines += 1;
    }
    *at = p;
done:
    return err;
}

/// The cell's text, without quotes, appended.
static gr_err add_text(const cell *c, gr_str *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(out, ""));
    if (!c->quoted) {
        GR_TRY(gr_str_add_bytes(out, c->data, c->size));
        goto done;
    }
    const char *end = c->data + c->size, *from = c->data + 1;
    const char *close = skip_quoted(c->data, end) - 1;
    for (const char *p = from; p < close; p++) {
        if (*p == '"') { // the first of a pair
            GR_TRY(gr_str_add_bytes(out, from, (size_t)(p + 1 - from)));
            from = ++p + 1;
        }
    }
    GR_TRY(gr_str_add_bytes(out, from, (size_t)(close - from)));
    GR_TRY(gr_str_add_bytes(out, close + 1, (size_t)(end - close - 1)));
done:
    return err;
}

static int64_t find_column(const tsv_reader *r, const char *name)
{
    for (int64_t i = 0; i < r->header.count; i++) {
        if (strcmp(r->names[i].data, name) == 0) {
            return i;
        }
    }
    return -1;
}

/// Text of the current row's cell in this column, appended; false when there is no such column or the cell is empty.
static gr_err get_text(const tsv_reader *r, const cells *row_, const char *name, gr_str *out,
                       bool *there)
{
    gr_err err = GR_OK;
    int64_t i = find_column(r, name);
    GR_TRY(gr_str_add(out, ""));
    if (i >= 0 && i < row_->count) {
        GR_TRY(add_text(&row_->items[i], out));
    }
    *there = out->size > 0;
done:
    return err;
}

static bool is_empty_line(const cells *row_)
{
    return row_->count == 1 && row_->items[0].size == 0;
}

static gr_err next_row(gri_reader *self, bool wanted, bool *there)
{
    gr_err err = GR_OK;
    tsv_reader *r = (tsv_reader *)self;
    (void)wanted;
    *there = false;
    while (!*there && r->at < r->end) {
        int64_t lines = 0;
        r->base.place.number = r->line;
        GR_TRY(read_row(r, &r->at, &r->cells, &lines));
        r->line += lines;
        *there = !is_empty_line(&r->cells);
    }
done:
    return err;
}

static int by_index(const void *a, const void *b)
{
    const row *x = a, *y = b;
    int order = memcmp(&x->index, &y->index, sizeof x->index);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/// Whether a cell of a picture ends as one: a list closed, base64 in fours (or another row's index).
static bool is_whole_picture(const cell *c)
{
    const char *text = c->data + c->quoted;
    const size_t size = c->size - (c->quoted ? 2 : 0);
    return size <= SHORT || (*text == '[' ? text[size - 1] == ']' : size % 4 == 0);
}

/// Whether the file seems to end in the middle of its last row: cells are missing, or its last cell is a picture whose base64 is not
/// whole. `line` is where the row begins.
static gr_err check_last_row(const tsv_reader *r, const cells *last, int64_t line)
{
    gr_err err = GR_OK;
    const bool ended = r->end > r->start && r->end[-1] == '\n';
    const int64_t have = last->count, want = r->header.count;
    if (have == 0) {
        goto done;
    }
    if (have < want) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s:%lld: the last row has %lld cell%s, but the header names %lld columns: the file is truncated",
            r->base.file->path, (long long)line, (long long)have, have == 1 ? "" : "s",
            (long long)want);
    }
    if (!ended && have == want && strcmp(r->names[want - 1].data, "image") == 0 &&
        !is_whole_picture(&last->items[have - 1])) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s:%lld: the file ends inside the last row's image, without a line end: it is truncated",
            r->base.file->path, (long long)line);
    }
done:
    return err;
}

/// Notes where each index stands, for pictures that refer to it. Every row is walked: a file that is cut is found now.
static gr_err index_rows(tsv_reader *r)
{
    gr_err err = GR_OK;
    gr_str index = {0};
    cells last = {0};
    int64_t last_line = 0;
    bool there = false, named = false;
    const char *start = r->at;
    const int64_t line = r->line;
    do {
        const char *at = r->at;
        GR_TRY(next_row(&r->base, false, &there));
        if (there) { // its cells become the last row's, whose memory takes the next
            const cells row_ = r->cells;
            r->cells = last;
            last = row_;
            last_line = r->base.place.number;
        }
        gr_str_clear(&index);
        GR_TRY(get_text(r, &last, "index", &index, &named));
        if (!there || !named) {
            continue;
        }
        if (r->row_count == r->row_capacity) {
            int64_t capacity = r->row_capacity ? 2 * r->row_capacity : 256;
            GR_RESIZE(r->rows, r->row_capacity, capacity);
            r->row_capacity = capacity;
        }
        r->rows[r->row_count++] = (row){gr_digest_of(index.data, index.size), at};
    } while (there);
    GR_TRY(check_last_row(r, &last, last_line));
    if (r->row_count > 0) {
        qsort(r->rows, (size_t)r->row_count, sizeof *r->rows, by_index);
    }
    r->at = start;
    r->line = line;
    r->base.place.number = 0;
    if (r->end > r->start && r->end[-1] != '\n') {
        r->base.notice =
            "the last line has no line end: if the file was cut there, its last cell is not whole";
    }
done:
    GR_FREE(last.items);
    gr_str_fini(&index);
    return err;
}

/// The row of this index; it must be the only one.
static gr_err find_row(const tsv_reader *r, const char *index, const char **out)
{
    gr_err err = GR_OK;
    const gr_digest wanted = gr_digest_of(index, strlen(index));
    int64_t low = 0, high = r->row_count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (memcmp(&r->rows[middle].index, &wanted, sizeof wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == r->row_count || !gr_digest_equal(r->rows[low].index, wanted)) {
        GR_FAIL(GR_ERR_DATA, "the image is \"%s\", and no row has this index", index);
    }
    if (low + 1 < r->row_count && gr_digest_equal(r->rows[low + 1].index, wanted)) {
        GR_FAIL(GR_ERR_DATA, "the image is \"%s\", and several rows have this index", index);
    }
    *out = r->rows[low].at;
done:
    return err;
}

static int base64_value(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static gr_err decode_base64(const char *text, size_t size, char **data, size_t *out)
{
    gr_err err = GR_OK;
    unsigned char *bytes = NULL;
    size_t n = 0;
    unsigned held = 0;
    while (size > 0 && text[size - 1] == '=') {
        size--;
    }
    GR_ALLOC(bytes, size / 4 * 3 + 4);
    for (size_t i = 0; i < size; i++) {
        int value = base64_value(text[i]);
        if (value < 0) {
            GR_FAIL(GR_ERR_DATA, "the image is no base64: byte %d at %zu",
                    (unsigned char)text[i], i);
        }
        held = held << 6 | (unsigned)value;
        if (i % 4 > 0) {
            bytes[n++] = (unsigned char)(held >> (6 - 2 * (i % 4)));
        }
    }
    if (size % 4 == 1) {
        GR_FAIL(GR_ERR_DATA, "the image is no base64: %zu characters, one too many", size);
    }
    *data = (char *)bytes;
    *out = n;
    bytes = NULL;
done:
    GR_FREE(bytes);
    return err;
}

/// What is done with each text of a cell: a picture in base64, or the name of one.
typedef gr_err take_fn(const tsv_reader *r, const char *text, size_t size, gri_record *out);

static gr_err take_base64(const tsv_reader *r, const char *text, size_t size, gri_record *out)
{
    gr_err err = GR_OK;
    char *data = NULL;
    size_t bytes = 0;
    GR_TRY(decode_base64(text, size, &data, &bytes));
    GR_TRY(gri_record_picture(out, r->base.options, "image", &data, bytes));
done:
    GR_FREE(data);
    return err;
}

static gr_err take_name(const tsv_reader *r, const char *text, size_t size, gri_record *out)
{
    gr_err err = GR_OK;
    char *name = NULL;
    GR_ALLOC(name, size + 1);
    memcpy(name, text, size);
    GR_TRY(gri_record_picture_file(out, r->base.options, r->base.file->images, name, size));
done:
    GR_FREE(name);
    return err;
}

/// Takes a text, or each of a list as Python writes it: ['...', '...'].
static gr_err take_all(const tsv_reader *r, const gr_str *text, take_fn *take, gri_record *out)
{
    gr_err err = GR_OK;
    const char *p = text->data, *end = text->data + text->size;
    if (*p != '[' || end[-1] != ']') {
        GR_TRY(take(r, p, text->size, out));
        goto done;
    }
    for (p++, end--; p < end;) {
        p += strspn(p, " ,\n");
        const char *close = p < end && (*p == '\'' || *p == '"')
                                ? memchr(p + 1, *p, (size_t)(end - p - 1))
                                : NULL;
        if (!close && p < end) {
            GR_FAIL(GR_ERR_DATA, "the cell begins as a list, but is none of quoted texts");
        }
        if (close) {
            GR_TRY(take(r, p + 1, (size_t)(close - p - 1), out));
            p = close + 1;
        }
    }
done:
    return err;
}

/// The text that holds the current row's picture: its own cell, or that of the row it names.
static gr_err find_picture(const tsv_reader *r, gr_str *text, bool *there)
{
    gr_err err = GR_OK;
    cells other = {0};
    const char *at = NULL;
    int64_t lines = 0;
    GR_TRY(get_text(r, &r->cells, "image", text, there));
    if (*there && text->size <= SHORT) {
        GR_TRY(find_row(r, text->data, &at));
        GR_TRY(read_row(r, &at, &other, &lines));
        char name[SHORT + 1];
        memcpy(name, text->data, text->size + 1);
        gr_str_clear(text);
        GR_TRY(get_text(r, &other, "image", text, there));
        if (text->size <= SHORT) {
            GR_FAIL(GR_ERR_DATA,
                    "the image is \"%s\", and the row of this index has none itself", name);
        }
    }
done:
    GR_FREE(other.items);
    return err;
}

static gr_err read_pictures(const tsv_reader *r, gri_record *out)
{
    gr_err err = GR_OK;
    gr_str text = {0};
    bool there = false;
    GR_TRY(find_picture(r, &text, &there));
    if (there) {
        GR_TRY(take_all(r, &text, take_base64, out));
        goto done;
    }
    gr_str_clear(&text);
    GR_TRY(get_text(r, &r->cells, "image_path", &text, &there));
    if (there) {
        GR_TRY(take_all(r, &text, take_name, out));
    }
done:
    gr_str_fini(&text);
    return err;
}

/// *letters: which options the row has, A in the lowest bit.
static gr_err add_options(const tsv_reader *r, gr_str *prompt, unsigned *letters)
{
    gr_err err = GR_OK;
    gr_str text = {0};
    bool any = false, there = false;
    for (char letter[2] = "A"; letter[0] <= 'Z'; letter[0]++) {
        gr_str_clear(&text);
        GR_TRY(get_text(r, &r->cells, letter, &text, &there));
        if (there) {
            GR_TRY(gr_str_addf(prompt, "%s%s. ", any ? "" : "Options:\n", letter));
            GR_TRY(gr_str_add_bytes(prompt, text.data, text.size));
            GR_TRY(gr_str_add(prompt, "\n"));
            *letters |= 1u << (letter[0] - 'A');
            any = true;
        }
    }
    if (any) {
        GR_TRY(
            gr_str_add(prompt, "Please select the correct answer from the options above. \n"));
    }
done:
    gr_str_fini(&text);
    return err;
}

/// The question as VLMEvalKit puts it: with a hint or options in its form for multiple choice, else alone.
static gr_err write_prompt(const tsv_reader *r, gr_str *prompt, unsigned *letters)
{
    gr_err err = GR_OK;
    gr_str hint = {0}, question = {0}, options = {0};
    bool hinted = false, asked = false;
    GR_TRY(get_text(r, &r->cells, "hint", &hint, &hinted));
    GR_TRY(get_text(r, &r->cells, "question", &question, &asked));
    GR_TRY(add_options(r, &options, letters));
    if (!asked) {
        GR_FAIL(GR_ERR_DATA, "the row has no question");
    }
    if (hinted) {
        GR_TRY(gr_str_addf(prompt, "Hint: %s\n", hint.data));
    }
    if (hinted || options.size > 0) {
        GR_TRY(gr_str_addf(prompt, "Question: %s\n%s", question.data,
                           options.data ? options.data : ""));
    } else {
        GR_TRY(gr_str_add(prompt, question.data));
    }
done:
    gr_str_fini(&hint);
    gr_str_fini(&question);
    gr_str_fini(&options);
    return err;
}

/// Where there are options, an answer of one letter is one of them. `letters`: as add_options has them.
static gr_err check_answer(const gr_str *answer, unsigned letters)
{
    gr_err err = GR_OK;
    const char letter = answer->data[0];
    const bool chosen = letters != 0 && answer->size == 1 && letter >= 'A' && letter <= 'Z';
    if (chosen && !(letters >> (letter - 'A') & 1)) {
        GR_FAIL(GR_ERR_DATA, "the answer is %c, and the row has no option of this letter",
                letter);
    }
done:
    return err;
}

/// The conversation, then all cells but the picture's and the index.
static gr_err write_record(const tsv_reader *r, int64_t images, gr_json *j)
{
    gr_err err = GR_OK;
    gr_str text = {0}, prompt = {0};
    bool there = false;
    unsigned letters = 0;
    GR_TRY(write_prompt(r, &prompt, &letters));
    GR_TRY(get_text(r, &r->cells, "answer", &text, &there));
    if (!there) {
        GR_FAIL(GR_ERR_DATA, "the row has no answer");
    }
    GR_TRY(check_answer(&text, letters));
    gr_json_map_begin(j, NULL);
    gri_conversation_put(j, images, prompt.data, text.data, text.size);
    for (int64_t i = 0; i < r->cells.count; i++) {
        const char *name = r->names[i].data;
        gr_str_clear(&text);
        GR_TRY(add_text(&r->cells.items[i], &text));
        if (text.size > 0 && strcmp(name, "image") != 0 && strcmp(name, "index") != 0) {
            gr_json_string_bytes(j, name, text.data, text.size);
        }
    }
    gr_json_map_end(j);
    GR_TRY(gr_json_finish(j));
    if (j->replaced) {
        GR_FAIL(GR_ERR_DATA, "a cell is no UTF-8");
    }
done:
    gr_str_fini(&text);
    gr_str_fini(&prompt);
    return err;
}

static gr_err read_labels(const tsv_reader *r, gri_record *out, gr_str *category)
{
    gr_err err = GR_OK;
    gr_str index = {0};
    bool there = false;
    GR_TRY(get_text(r, &r->cells, "index", &index, &there));
    out->source = there ? gr_mem_strdup(index.data)
                        : gr_str_format("#%lld", (long long)r->base.place.number);
    if (!out->source) {
        GR_TRY(GR_ERR_MEMORY);
    }
    GR_TRY(gri_check_utf8("the index", out->source, strlen(out->source)));
    GR_TRY(get_text(r, &r->cells, "category", category, &there));
    if (!there) {
        GR_TRY(gr_str_add(category, r->base.file->task));
    }
done:
    gr_str_fini(&index);
    return err;
}

static gr_err read_record(gri_reader *self, gri_record *out)
{
    static const char *const left_out[] = {NULL};
    gr_err err = GR_OK;
    tsv_reader *r = (tsv_reader *)self;
    gr_doc *doc = NULL;
    gr_json j = {0};
    gr_str category = {0};
    char name[64];
    snprintf(name, sizeof name, "line %lld", (long long)self->place.number);
    GR_TRY(read_labels(r, out, &category));
    if (r->cells.count != r->header.count) {
        GR_FAIL(GR_ERR_DATA, "%lld cells, but the header names %lld columns",
                (long long)r->cells.count, (long long)r->header.count);
    }
    for (int64_t i = 0; i < r->cells.count; i++) {
        if (memchr(r->cells.items[i].data, '\0', r->cells.items[i].size)) {
            GR_FAIL(GR_ERR_DATA, "the cell \"%s\" holds a NUL", r->names[i].data);
        }
    }
    GR_TRY(read_pictures(r, out));
    GR_TRY(write_record(r, out->images, &j));
    GR_TRY(gr_doc_parse_json(name, j.text.data, j.text.size, GR_ERR_DATA, &doc));
    GR_TRY(gri_record_finish(out, gr_doc_root(doc), left_out, category.data));
done:
    gr_doc_destroy(&doc);
    gr_json_fini(&j);
    gr_str_fini(&category);
    return err;
}

static gr_err read_header(tsv_reader *r)
{
    gr_err err = GR_OK;
    int64_t lines = 0;
    GR_TRY(read_row(r, &r->at, &r->header, &lines));
    if (r->header.count > MOST_COLUMNS) {
        GR_FAIL(GR_ERR_DATA,
                "%s:1: the header has %lld columns, at most %d are expected: is it a table of "
                "VLMEvalKit's form?",
                r->base.file->path, (long long)r->header.count, MOST_COLUMNS);
    }
    r->line += lines;
    GR_ALLOC(r->names, r->header.count);
    for (int64_t i = 0; i < r->header.count; i++) {
        GR_TRY(add_text(&r->header.items[i], &r->names[i]));
        for (int64_t k = 0; k < i; k++) {
            if (strcmp(r->names[k].data, r->names[i].data) == 0) {
                GR_FAIL(GR_ERR_DATA, "%s:1: two columns are named \"%s\"", r->base.file->path,
                        r->names[i].data);
            }
        }
    }
    if (find_column(r, "question") < 0 || find_column(r, "conversations") >= 0) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s:1: expected a header with a column \"question\" (and none \"conversations\") "
            "between tabs",
            r->base.file->path);
    }
done:
    return err;
}

static void destroy(gri_reader *self)
{
    tsv_reader *r = (tsv_reader *)self;
    for (int64_t i = 0; r->names && i < r->header.count; i++) {
        gr_str_fini(&r->names[i]);
    }
    GR_FREE(r->names);
    GR_FREE(r->header.items);
    GR_FREE(r->cells.items);
    GR_FREE(r->rows);
    gr_file_map_close(&r->map);
    gr_mem_free(r);
}

gr_err gri_tsv_open(const gri_source_file *file, const gr_import_options *options,
                    gri_reader **out)
{
    gr_err err = GR_OK;
    tsv_reader *r = NULL;
    GR_ALLOC(r, 1);
    r->base = (gri_reader){.file = file,
                           .options = options,
                           .place = {"line", 0},
                           .next = next_row,
                           .read = read_record,
                           .destroy = destroy};
    GR_TRY(gr_file_map_open(file->path, &r->map));
    r->start = r->at = r->map.data ? (const char *)r->map.data : "";
    r->end = r->at + r->map.size;
    r->line = 1;
    if (r->map.size >= 3 && memcmp(r->at, "\xef\xbb\xbf", 3) == 0) { // byte order mark
        r->at += 3;
    }
    GR_TRY(read_header(r));
    GR_TRY(index_rows(r));
    *out = &r->base;
    r = NULL;
done:
    if (r) {
        destroy(&r->base);
    }
    return err;
}
