#include "src/base/mem.h"
#include "src/formats/tokenizer_parts.h"

#include <string.h>

enum { NO_RANK = INT32_MAX };

/// One symbol of a piece, in a list linked by index. The rank is that of the pair with the next symbol, `merged` what
/// it gives.
typedef struct cell {
    int32_t id, rank, merged, previous, next;
} cell;

/// Memory of one call, grown to the longest piece.
typedef struct workspace {
    gri_pieces pieces;
    bool special; ///< added tokens are looked for
    cell *cells;
    uint64_t
        *heap; ///< smallest first: rank in the high half, index of the left cell in the low
    size_t room, heap_count;
} workspace;

static void workspace_fini(workspace *w)
{
    gri_pieces_fini(&w->pieces);
    GR_FREE(w->cells);
    GR_FREE(w->heap);
}

/// A piece of n symbols pushes n - 1 pairs at first and at most two for each of its n - 1 merges.
static gr_err make_room(workspace *w, size_t n)
{
    gr_err err = GR_OK;
    if (n > w->room) {
        size_t room = n < 64 ? 64 : n;
        GR_FREE(w->cells);
        GR_FREE(w->heap);
        w->room = 0;
        GR_ALLOC(w->cells, room);
        GR_ALLOC(w->heap, room * 3);
        w->room = room;
    }
done:
    return err;
}

static void heap_push(workspace *w, uint64_t entry)
{
    size_t i = w->heap_count++;
    while (i > 0 && w->heap[(i - 1) / 2] > entry) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = entry;
}

static uint64_t heap_pop(workspace *w)
{
    uint64_t top = w->heap[0];
    uint64_t last = w->heap[--w->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < w->heap_count && w->heap[child + 1] < w->heap[child]) {
            child++;
        }
        if (child >= w->heap_count || w->heap[child] >= last) {
            break;
        }
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

/// Looks up the pair that begins at cell i and puts it into the heap.
static void offer_pair(const gr_tokenizer *t, workspace *w, int32_t i)
{
    cell *left = &w->cells[i];
    left->rank = NO_RANK;
    if (left->next < 0) {
        return;
    }
    int64_t merge = gri_pair_table_find(&t->ranks, left->id, w->cells[left->next].id);
    if (merge >= 0) {
        left->rank = (int32_t)(merge >> 32);
        left->merged = (int32_t)merge;
        heap_push(w, (uint64_t)left->rank << 32 | (uint32_t)i);
    }
}

static void merge_at(const gr_tokenizer *t, workspace *w, int32_t i)
{
    cell *left = &w->cells[i];
    cell *right = &w->cells[left->next];
    left->id = left->merged;
    left->next = right->next;
    right->rank = NO_RANK;
    if (left->next >= 0) {
        w->cells[left->next].previous = i;
    }
    offer_pair(t, w, i);
    if (left->previous >= 0) {
        offer_pair(t, w, left->previous);
    }
}

static gr_err missing_byte(const gr_tokenizer *t, const char *piece, size_t n)
{
    gr_err err = GR_OK;
    size_t i = 0;
    while (i + 1 < n && t->byte_ids[(unsigned char)piece[i]] >= 0) {
        i++;
    }
    GR_FAIL(GR_ERR_DATA, "the text has a byte 0x%02x, for which the vocabulary has no token",
            (unsigned char)piece[i]);
done:
    return err;
}

/// Always the pair of the lowest rank, the leftmost first. An entry is out of date when its cell no longer has its
/// rank; pairs at one cell only grow, so a rank never comes back there. Leaves the list of symbols in w->cells.
static gr_err merge_piece(const gr_tokenizer *t, workspace *w, const char *piece, size_t n)
{
    gr_err err = GR_OK;
    GR_TRY(make_room(w, n));
    int32_t all = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t id = t->byte_ids[(unsigned char)piece[i]];
        all |= id;
        w->cells[i] = (cell){
            .id = id, .previous = (int32_t)i - 1, .next = i + 1 < n ? (int32_t)i + 1 : -1};
    }
    if (all < 0) {
        GR_TRY(missing_byte(t, piece, n));
    }
    w->heap_count = 0;
    for (size_t i = 0; i < n; i++) {
        offer_pair(t, w, (int32_t)i);
    }
    while (w->heap_count > 0) {
        uint64_t entry = heap_pop(w);
        int32_t i = (int32_t)(entry & UINT32_MAX);
        if (w->cells[i].rank == (int32_t)(entry >> 32)) {
            merge_at(t, w, i);
        }
    }
done:
    return err;
}

static gr_err encode_piece(const gr_tokenizer *t, workspace *w, const char *piece, size_t n,
                           gr_ids *out)
{
    gr_err err = GR_OK;
    int32_t whole = gri_text_table_find(&t->pieces, piece, n);
    if (whole >= 0) {
        GR_TRY(gr_ids_add(out, whole));
        goto done;
    }
    GR_TRY(merge_piece(t, w, piece, n));
    for (int32_t i = 0; i >= 0; i = w->cells[i].next) {
        GR_TRY(gr_ids_add(out, w->cells[i].id));
    }
done:
    return err;
}

/// Whether `token` is the only symbol that its bytes become.
static gr_err is_whole(const gr_tokenizer *t, workspace *w, const char *bytes, size_t n,
                       int32_t token, bool *out)
{
    gr_err err = GR_OK;
    *out = true;
    for (size_t i = 0; i < n; i++) {
        *out &= t->byte_ids[(unsigned char)bytes[i]] >= 0;
    }
    if (*out && !t->ignore_merges) {
        GR_TRY(merge_piece(t, w, bytes, n));
        *out = w->cells[0].id == token && w->cells[0].next < 0;
    }
    *out |= t->ignore_merges;
done:
    return err;
}

/// Most pieces of real text are a token each. Which tokens the merges make of their own bytes is found once, so that
/// such a piece needs one look and no merges.
gr_err gri_tokenizer_index_pieces(gr_tokenizer *t)
{
    gr_err err = GR_OK;
    workspace w = {0};
    size_t room = 0;
    for (int64_t i = 0; i < t->count; i++) {
        room += t->tokens[i].vocabulary ? strlen(t->tokens[i].text) : 0;
    }
    GR_ALLOC(t->piece_bytes, room);
    char *bytes = t->piece_bytes;
    for (int32_t i = 0; i < t->count; i++) {
        size_t n = 0;
        bool whole = false;
        if (!t->tokens[i].vocabulary || !gri_symbols_to_bytes(t->tokens[i].text, bytes, &n)) {
            continue;
        }
        GR_TRY(is_whole(t, &w, bytes, n, i, &whole));
        if (whole) {
            GR_TRY(gri_text_table_put(&t->pieces, bytes, n, i));
            bytes += n;
        }
    }
done:
    workspace_fini(&w);
    return err;
}

typedef gr_err encode_fn(const gr_tokenizer *t, workspace *w, const char *text, size_t size,
                         gr_ids *out);

static gr_err encode_pieces(const gr_tokenizer *t, workspace *w, const char *text, size_t size,
                            gr_ids *out)
{
    gr_err err = GR_OK;
    const char *piece = NULL;
    size_t n = 0;
    gri_pieces_begin(&w->pieces, t->splitter, text, size);
    for (;;) {
        GR_TRY(gri_pieces_next(&w->pieces, &piece, &n));
        if (n == 0) {
            break;
        }
        GR_TRY(encode_piece(t, w, piece, n, out));
    }
done:
    return err;
}

/// Id of the longest added token at the start of `text`, or -1.
static int32_t added_at(const gri_added *added, const char *text, size_t size)
{
    if (!added->lead[(unsigned char)text[0]]) {
        return -1;
    }
    int32_t id = -1;
    for (int64_t i = 0; i < added->count && id < 0; i++) {
        if (added->sizes[i] <= size) {
            id = gri_text_table_find(&added->ids, text, added->sizes[i]);
        }
    }
    return id;
}

/// Cuts added tokens out of the text and leaves what lies between them to `rest`.
static gr_err encode_around(const gr_tokenizer *t, workspace *w, const gri_added *added,
                            const char *text, size_t size, encode_fn *rest, gr_ids *out)
{
    gr_err err = GR_OK;
    size_t begin = 0;
    for (size_t at = 0; w->special && added->count > 0 && at < size;) {
        int32_t id = added_at(added, text + at, size - at);
        if (id < 0) {
            at++;
            continue;
        }
        GR_TRY(rest(t, w, text + begin, at - begin, out));
        GR_TRY(gr_ids_add(out, id));
        at += strlen(t->tokens[id].text);
        begin = at;
    }
    GR_TRY(rest(t, w, text + begin, size - begin, out));
done:
    return err;
}

static gr_err encode_text(const gr_tokenizer *t, workspace *w, const char *text, size_t size,
                          gr_ids *out)
{
    gr_err err = GR_OK;
    GR_TRY(gri_pieces_normalize(&w->pieces, t->splitter, text, size, &text, &size));
    GR_TRY(encode_around(t, w, &t->normalized, text, size, encode_pieces, out));
done:
    return err;
}

gr_err gr_tokenizer_encode(const gr_tokenizer *tokenizer, const char *text, size_t size,
                           bool special, gr_ids *out)
{
    gr_err err = GR_OK;
    workspace w = {.special = special};
    int64_t count = out->count;
    // NFC can make text three times as long, and positions are 32 bits.
    if (size > INT32_MAX / 3) {
        GR_FAIL(GR_ERR_DATA, "a text of %zu bytes; at most %d can be encoded at once", size,
                INT32_MAX / 3);
    }
    GR_TRY(gri_utf8_check(text, size));
    GR_TRY(encode_around(tokenizer, &w, &tokenizer->literal, text, size, encode_text, out));
done:
    if (err != GR_OK) {
        out->count = count;
    }
    workspace_fini(&w);
    return err;
}
