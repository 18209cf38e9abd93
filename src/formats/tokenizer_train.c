#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/tokenizer_parts.h"

#include <string.h>

/// Byte-pair encoding learned from word counts. The texts are cut into pieces once; each different piece is a word
/// with a count. Of every pair of neighbouring ids we keep how often it occurs and in which words it once did, so
/// a merge touches only its own words. Source: Sennrich et al., "Neural machine translation of rare words with
/// subword units", ACL 2016.

static const char *const added_tokens[] = {
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>",  "</img>", "<IMG_CONTEXT>",
    "<quad>",        "</quad>",      "<ref>",      "</ref>", "<box>",  "</box>",
};
enum { ADDED_COUNT = sizeof added_tokens / sizeof added_tokens[0] };

typedef struct word {
    char *text;    ///< key of the word table
    int32_t *ids;  ///< shrinks as merges are made
    int64_t size;  ///< ids in use
    int64_t count; ///< occurrences in the texts
} word;

typedef struct pair {
    int32_t left, right;
    int64_t count;
    gr_ids words; ///< where the pair is, or was; may repeat
} pair;

/// What a pair promised when it was put into the heap; out of date when its count has changed since.
typedef struct offer {
    int64_t count;
    int64_t pair;
} offer;

typedef struct trainer {
    gr_tokenizer *tokenizer;
    gri_text_table word_table;
    word *words;
    int64_t word_count, word_room;
    gri_pair_table pair_table;
    pair *pairs;
    int64_t pair_count, pair_room;
    offer *heap; ///< best first
    int64_t heap_count, heap_room;
    gr_ids changed; ///< pairs that the current merge made more frequent; may repeat
} trainer;

static void trainer_fini(trainer *r)
{
    gr_tokenizer_destroy(&r->tokenizer);
    gri_text_table_fini(&r->word_table);
    for (int64_t i = 0; i < r->word_count; i++) {
        GR_FREE(r->words[i].text);
        GR_FREE(r->words[i].ids);
    }
    GR_FREE(r->words);
    gri_pair_table_fini(&r->pair_table);
    for (int64_t i = 0; i < r->pair_count; i++) {
        gr_ids_fini(&r->pairs[i].words);
    }
    GR_FREE(r->pairs);
    GR_FREE(r->heap);
    gr_ids_fini(&r->changed);
}

/// More frequent first, then the smaller pair of ids.
static bool better(const trainer *r, offer a, offer b)
{
    if (a.count != b.count) {
        return a.count > b.count;
    }
    const pair *p = &r->pairs[a.pair], *q = &r->pairs[b.pair];
    return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static gr_err heap_push(trainer *r, offer o)
{
    gr_err err = GR_OK;
    if (r->heap_count == r->heap_room) {
        int64_t room = r->heap_room ? r->heap_room * 2 : 1024;
        GR_RESIZE(r->heap, r->heap_count, room);
        r->heap_room = room;
    }
    int64_t i = r->heap_count++;
    while (i > 0 && better(r, o, r->heap[(i - 1) / 2])) {
        r->heap[i] = r->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    r->heap[i] = o;
done:
    return err;
}

static offer heap_pop(trainer *r)
{
    offer top = r->heap[0];
    offer last = r->heap[--r->heap_count];
    int64_t i = 0;
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child + 1 < r->heap_count && better(r, r->heap[child + 1], r->heap[child])) {
            child++;
        }
        if (child >= r->heap_count || !better(r, r->heap[child], last)) {
            break;
        }
        r->heap[i] = r->heap[child];
        i = child;
    }
    r->heap[i] = last;
    return top;
}

static gr_err add_word(trainer *r, const char *piece, size_t size)
{
    gr_err err = GR_OK;
    int32_t known = gri_text_table_find(&r->word_table, piece, size);
    if (known >= 0) {
        r->words[known].count++;
        goto done;
    }
    if (r->word_count == r->word_room) {
        int64_t room = r->word_room ? r->word_room * 2 : 1024;
        GR_RESIZE(r->words, r->word_count, room);
        r->word_room = room;
    }
    word *w = &r->words[r->word_count++];
    GR_ALLOC(w->text, size);
    memcpy(w->text, piece, size);
    GR_ALLOC(w->ids, size);
    for (size_t i = 0; i < size; i++) {
        w->ids[i] = r->tokenizer->byte_ids[(unsigned char)piece[i]];
    }
    w->size = (int64_t)size;
    w->count = 1;
    GR_TRY(gri_text_table_put(&r->word_table, w->text, size, (int32_t)(r->word_count - 1)));
done:
    return err;
}

static gr_err add_text(trainer *r, gri_pieces *pieces, const char *text, size_t size)
{
    gr_err err = GR_OK;
    const char *piece = NULL;
    size_t n = 0;
    GR_TRY(gri_utf8_check(text, size));
    GR_TRY(gri_pieces_normalize(pieces, r->tokenizer->splitter, text, size, &text, &size));
    gri_pieces_begin(pieces, r->tokenizer->splitter, text, size);
    for (;;) {
        GR_TRY(gri_pieces_next(pieces, &piece, &n));
        if (n == 0) {
            break;
        }
        GR_TRY(add_word(r, piece, n));
    }
done:
    return err;
}

/// Adds `change` occurrences of a pair in word `at`.
static gr_err count_pair(trainer *r, int32_t left, int32_t right, int64_t change, int64_t at)
{
    gr_err err = GR_OK;
    int64_t i = gri_pair_table_find(&r->pair_table, left, right);
    if (i < 0) {
        if (r->pair_count == r->pair_room) {
            int64_t room = r->pair_room ? r->pair_room * 2 : 1024;
            GR_RESIZE(r->pairs, r->pair_count, room);
            r->pair_room = room;
        }
        i = r->pair_count++;
        r->pairs[i] = (pair){.left = left, .right = right};
        GR_TRY(gri_pair_table_put(&r->pair_table, left, right, i));
    }
    pair *p = &r->pairs[i];
    p->count += change;
    if (change > 0) {
        if (p->words.count == 0 || p->words.data[p->words.count - 1] != at) {
            GR_TRY(gr_ids_add(&p->words, (int32_t)at));
        }
        GR_TRY(gr_ids_add(&r->changed, (int32_t)i));
    }
done:
    return err;
}

/// Offers the pairs whose counts have grown; those that have shrunk are corrected when they come up.
static gr_err offer_changed(trainer *r)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < r->changed.count; i++) {
        int32_t at = r->changed.data[i];
        if (i == 0 || at != r->changed.data[i - 1]) {
            GR_TRY(heap_push(r, (offer){.count = r->pairs[at].count, .pair = at}));
        }
    }
    r->changed.count = 0;
done:
    return err;
}

static gr_err count_words(trainer *r)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < r->word_count; i++) {
        const word *w = &r->words[i];
        for (int64_t k = 0; k + 1 < w->size; k++) {
            GR_TRY(count_pair(r, w->ids[k], w->ids[k + 1], w->count, i));
        }
    }
    // Every pair once, with its full count.
    r->changed.count = 0;
    for (int64_t i = 0; i < r->pair_count; i++) {
        GR_TRY(heap_push(r, (offer){.count = r->pairs[i].count, .pair = i}));
    }
done:
    return err;
}

/// Replaces the pair from left to right in one word and counts the neighbours anew.
static gr_err merge_in_word(trainer *r, gri_merge m, int64_t at)
{
    gr_err err = GR_OK;
    word *w = &r->words[at];
    int64_t kept = 0;
    for (int64_t k = 0; k < w->size; k++) {
        bool here = k + 1 < w->size && w->ids[k] == m.left && w->ids[k + 1] == m.right;
        if (!here) {
            w->ids[kept++] = w->ids[k];
            continue;
        }
        if (kept > 0) {
            GR_TRY(count_pair(r, w->ids[kept - 1], m.left, -w->count, at));
            GR_TRY(count_pair(r, w->ids[kept - 1], m.merged, w->count, at));
        }
        if (k + 2 < w->size) {
            GR_TRY(count_pair(r, m.right, w->ids[k + 2], -w->count, at));
            GR_TRY(count_pair(r, m.merged, w->ids[k + 2], w->count, at));
        }
        w->ids[kept++] = m.merged;
        k++;
    }
    w->size = kept;
done:
    return err;
}

/// The best pair that is still true, or -1.
static gr_err best_pair(trainer *r, int64_t *out)
{
    gr_err err = GR_OK;
    *out = -1;
    while (*out < 0 && r->heap_count > 0) {
        offer top = heap_pop(r);
        int64_t now = r->pairs[top.pair].count;
        if (now == top.count && now > 0) {
            *out = top.pair;
        } else if (now > 0) {
            GR_TRY(heap_push(r, (offer){.count = now, .pair = top.pair}));
        }
    }
done:
    return err;
}

/// Id of the merged token; the same text can arise from two pairs and is one token.
static gr_err merged_id(trainer *r, const pair *p, int32_t *out)
{
    gr_err err = GR_OK;
    gr_tokenizer *t = r->tokenizer;
    gr_str text = {0};
    GR_TRY(gr_str_add(&text, t->tokens[p->left].text));
    GR_TRY(gr_str_add(&text, t->tokens[p->right].text));
    int32_t id = gri_text_table_find(&t->ids, text.data, text.size);
    if (id < 0) {
        id = (int32_t)t->count;
        GR_TRY(gri_tokenizer_set(t, id, (gri_token){.text = text.data, .vocabulary = true}));
    }
    *out = id;
done:
    gr_str_fini(&text);
    return err;
}

static gr_err make_merge(trainer *r, int64_t at)
{
    gr_err err = GR_OK;
    gr_ids words = {0};
    gri_merge m = {.left = r->pairs[at].left, .right = r->pairs[at].right};
    GR_TRY(merged_id(r, &r->pairs[at], &m.merged));
    if (gri_pair_table_find(&r->tokenizer->ranks, m.left, m.right) < 0) {
        GR_TRY(gri_tokenizer_add_merge(r->tokenizer, m));
    }
    // Taken away first: counting may move the pairs.
    words = r->pairs[at].words;
    r->pairs[at].words = (gr_ids){0};
    for (int64_t i = 0; i < words.count; i++) {
        GR_TRY(merge_in_word(r, m, words.data[i]));
    }
    r->pairs[at].count = 0;
    GR_TRY(offer_changed(r));
done:
    gr_ids_fini(&words);
    return err;
}

/// The 256 byte symbols, in the order of their characters: printable bytes first.
static gr_err add_alphabet(gr_tokenizer *t)
{
    gr_err err = GR_OK;
    int32_t id = 0;
    for (int group = 0; group < 3; group++) {
        for (int i = 0; i < 256; i++) {
            unsigned char byte = (unsigned char)i;
            char symbol[GRI_SYMBOLS_SIZE(1)];
            size_t n = gri_symbols_of(&byte, 1, symbol);
            // ASCII, then the printable rest (U+00A1 to U+00FF), then the stand-ins from U+0100.
            int own = n == 1 ? 0 : (unsigned char)symbol[0] < 0xC4 ? 1 : 2;
            if (own == group) {
                GR_TRY(
                    gri_tokenizer_set(t, id, (gri_token){.text = symbol, .vocabulary = true}));
                t->byte_ids[byte] = id++;
            }
        }
    }
done:
    return err;
}

static gr_err learn(trainer *r, int64_t vocabulary)
{
    gr_err err = GR_OK;
    GR_TRY(count_words(r));
    while (r->tokenizer->count < vocabulary - ADDED_COUNT) {
        int64_t best = -1;
        GR_TRY(best_pair(r, &best));
        if (best < 0) {
            GR_FAIL(
                GR_ERR_DATA,
                "the texts give %lld merges, so at most %lld ids (256 bytes, %d markers); %lld were asked "
                "for: give more text, or ask for %lld or fewer (--vocabulary %lld)",
                (long long)(r->tokenizer->count - 256),
                (long long)(r->tokenizer->count + ADDED_COUNT), (int)ADDED_COUNT,
                (long long)vocabulary, (long long)(r->tokenizer->count + ADDED_COUNT),
                (long long)(r->tokenizer->count + ADDED_COUNT));
        }
        GR_TRY(make_merge(r, best));
    }
done:
    return err;
}

gr_err gr_text_check(const char *name, const char *text, size_t size)
{
    gr_err err = GR_OK;
    GR_TRY_CONTEXT(gri_utf8_check(text, size), "%s", name);
done:
    return err;
}

gr_err gr_tokenizer_train(const char *const *texts, const size_t *sizes, int64_t count,
                          int64_t vocabulary, gr_tokenizer **out)
{
    gr_err err = GR_OK;
    trainer r = {0};
    gri_pieces pieces = {0};
    gri_splitter *splitter = NULL;
    if (vocabulary < 256 + ADDED_COUNT || vocabulary > 1 << 24) {
        GR_FAIL(GR_ERR_USAGE,
                "a vocabulary of %lld ids; expected %d (256 bytes, %d added tokens) to %d",
                (long long)vocabulary, 256 + ADDED_COUNT, (int)ADDED_COUNT, 1 << 24);
    }
    GR_TRY(gri_splitter_create_qwen2(&splitter));
    GR_TRY(gri_tokenizer_create(&splitter, &r.tokenizer));
    GR_TRY(add_alphabet(r.tokenizer));
    for (int64_t i = 0; i < count; i++) {
        GR_TRY_CONTEXT(add_text(&r, &pieces, texts[i], sizes[i]), "text %lld", (long long)i);
    }
    GR_TRY(learn(&r, vocabulary));
    for (int i = 0; i < ADDED_COUNT; i++) {
        gri_token token = {.text = (char *)added_tokens[i], .added = true, .special = true};
        GR_TRY(gri_tokenizer_set(r.tokenizer, (int32_t)r.tokenizer->count, token));
    }
    GR_TRY(gri_tokenizer_seal(r.tokenizer));
    *out = r.tokenizer;
    r.tokenizer = NULL;
done:
    gri_splitter_destroy(&splitter);
    gri_pieces_fini(&pieces);
    trainer_fini(&r);
    return err;
}
