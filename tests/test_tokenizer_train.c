#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/formats/tokenizer_parts.h"
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

enum { ADDED = 12 };

static gr_err train(const char *const *texts, int64_t count, int64_t vocabulary,
                    gr_tokenizer **out)
{
    size_t sizes[64] = {0};
    GR_ASSERT(count <= 64);
    for (int64_t i = 0; i < count; i++) {
        sizes[i] = strlen(texts[i]);
    }
    return gr_tokenizer_train(texts, sizes, count, vocabulary, out);
}

/// 10 hug, 5 pug, 12 pun, 4 bun, 5 hugs: the counts of every pair can be done by hand.
static int64_t make_words(const char **texts)
{
    static const struct {
        const char *word;
        int count;
    } words[] = {{"hug", 10}, {"pug", 5}, {"pun", 12}, {"bun", 4}, {"hugs", 5}};
    int64_t n = 0;
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < words[i].count; k++) {
            texts[n++] = words[i].word;
        }
    }
    return n;
}

static void check_merge(const gr_tokenizer *t, int64_t rank, const char *left,
                        const char *right)
{
    if (GR_CHECK(rank < t->merge_count)) {
        GR_CHECK_STR(t->tokens[t->merges[rank].left].text, left);
        GR_CHECK_STR(t->tokens[t->merges[rank].right].text, right);
        GR_CHECK_INT(t->merges[rank].merged, 256 + rank);
    }
}

static void test_by_hand(void)
{
    const char *texts[64];
    int64_t n = make_words(texts);
    gr_tokenizer *t = NULL;
    if (!GR_CHECK_OK(train(texts, n, 256 + 7 + ADDED, &t))) {
        return;
    }
    check_merge(t, 0, "u", "g");   // 20
    check_merge(t, 1, "u", "n");   // 16
    check_merge(t, 2, "h", "ug");  // 15
    check_merge(t, 3, "p", "un");  // 12
    check_merge(t, 4, "p", "ug");  // 5, and "p" is a smaller id than "hug"
    check_merge(t, 5, "hug", "s"); // 5
    check_merge(t, 6, "b", "un");  // 4
    GR_CHECK_INT(t->merge_count, 7);
    GR_CHECK_INT(gr_tokenizer_size(t), 256 + 7 + ADDED);
    gr_tokenizer_destroy(&t);
    GR_CHECK(t == NULL);
}

static void test_ids(void)
{
    static const char *const added[ADDED] = {
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>",  "</img>", "<IMG_CONTEXT>",
        "<quad>",        "</quad>",      "<ref>",      "</ref>", "<box>",  "</box>"};
    gr_tokenizer *t = NULL;
    GR_CHECK_OK(train(NULL, 0, 256 + ADDED, &t));
    GR_CHECK_INT(gr_tokenizer_id(t, "!"), 0);          // byte 33
    GR_CHECK_INT(gr_tokenizer_id(t, "~"), 93);         // byte 126
    GR_CHECK_INT(gr_tokenizer_id(t, "\xc2\xa1"), 94);  // byte 161
    GR_CHECK_INT(gr_tokenizer_id(t, "\xc3\xbf"), 187); // byte 255
    GR_CHECK_INT(gr_tokenizer_id(t, "\xc4\x80"), 188); // byte 0, U+0100
    GR_CHECK_INT(gr_tokenizer_id(t, "\xc4\xa0"), 220); // space, U+0120
    GR_CHECK_INT(gr_tokenizer_id(t, "\xc5\x83"), 255); // byte 173, U+0143
    for (int i = 0; i < ADDED; i++) {
        GR_CHECK_INT(gr_tokenizer_id(t, added[i]), 256 + i);
        GR_CHECK(t->tokens[256 + i].special && !t->tokens[256 + i].vocabulary);
    }
    GR_CHECK_INT(gr_tokenizer_id(t, "<video>"), -1);
    gr_tokenizer_destroy(&t);
}

static void test_refused(void)
{
    const char *texts[64];
    int64_t n = make_words(texts);
    gr_tokenizer *t = NULL;
    GR_CHECK_ERR(train(texts, n, 256 + ADDED - 1, &t), GR_ERR_USAGE, "267 ids; expected 268");
    GR_CHECK_ERR(train(texts, n, 256 + 8 + ADDED, &t), GR_ERR_DATA,
                 "give 7 merges, so at most 275 ids (256 bytes, 12 markers); 276 were asked");
    const char *bad[] = {"fine", "ab\xc3(c"};
    GR_CHECK_ERR(train(bad, 2, 300, &t), GR_ERR_DATA,
                 "text 1: text is not UTF-8: byte 0xc3 at position 2 of 5");
    GR_CHECK(t == NULL);
}

/// Merges stay inside pieces: "a b" has no pair across the space but (space, b).
static void test_pieces(void)
{
    const char *texts[] = {"ab1 ab1 ab1"};
    gr_tokenizer *t = NULL;
    GR_CHECK_OK(train(texts, 1, 256 + 2 + ADDED, &t));
    check_merge(t, 0, "a", "b");
    check_merge(t, 1, "\xc4\xa0", "ab");
    gr_tokenizer_destroy(&t);
    GR_CHECK_ERR(train(texts, 1, 256 + 3 + ADDED, &t), GR_ERR_DATA, "give 2 merges");
}

/// The same by counting everything anew for each merge.
typedef struct plain_word {
    int32_t ids[64];
    int size;
} plain_word;

static gri_merge best_plain(const plain_word *words, int count, int64_t *best_count)
{
    gri_merge best = {0};
    *best_count = 0;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k + 1 < words[i].size; k++) {
            int32_t left = words[i].ids[k], right = words[i].ids[k + 1];
            int64_t n = 0;
            for (int j = 0; j < count; j++) {
                for (int q = 0; q + 1 < words[j].size; q++) {
                    n += words[j].ids[q] == left && words[j].ids[q + 1] == right;
                }
            }
            bool smaller = left < best.left || (left == best.left && right < best.right);
            if (n > *best_count || (n == *best_count && smaller)) {
                best = (gri_merge){.left = left, .right = right};
                *best_count = n;
            }
        }
    }
    return best;
}

static void merge_plain(plain_word *w, gri_merge m)
{
    int kept = 0;
    for (int k = 0; k < w->size; k++) {
        if (k + 1 < w->size && w->ids[k] == m.left && w->ids[k + 1] == m.right) {
            w->ids[kept++] = m.merged;
            k++;
        } else {
            w->ids[kept++] = w->ids[k];
        }
    }
    w->size = kept;
}

/// Random words of few letters have long runs, ties, and the same token from different pairs.
static void check_random(uint64_t seed, int letters)
{
    enum { WORDS = 24, LENGTH = 40 };
    char text[WORDS][LENGTH + 1];
    const char *texts[WORDS];
    plain_word words[WORDS];
    gr_tokenizer *t = NULL;
    for (int i = 0; i < WORDS; i++) {
        int length = 1 + (int)(gr_rng_u64(seed, 1, (uint64_t)i) % LENGTH);
        for (int k = 0; k < length; k++) {
            uint64_t draw = gr_rng_u64(seed, 2, (uint64_t)(i * LENGTH + k));
            text[i][k] = (char)('a' + (int)(draw % (uint64_t)letters));
            words[i].ids[k] = text[i][k] - '!';
        }
        text[i][length] = '\0';
        words[i].size = length;
        texts[i] = text[i];
    }
    int64_t vocabulary = 256 + 60 + ADDED;
    GR_CHECK_OK(train(texts, WORDS, vocabulary, &t));
    for (int64_t rank = 0; t && rank < t->merge_count; rank++) {
        int64_t count = 0;
        gri_merge want = best_plain(words, WORDS, &count);
        gri_merge got = t->merges[rank];
        GR_CHECK_INT(got.left, want.left);
        GR_CHECK_INT(got.right, want.right);
        for (int i = 0; i < WORDS; i++) {
            merge_plain(&words[i], got);
        }
    }
    gr_tokenizer_destroy(&t);
}

static void test_against_plain(void)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        check_random(seed, 2 + (int)seed % 4);
    }
}

/// The order of the texts does not matter, only what is in them.
static void test_order(void)
{
    const char *texts[64], *back[64];
    int64_t n = make_words(texts);
    gr_tokenizer *a = NULL, *b = NULL;
    for (int64_t i = 0; i < n; i++) {
        back[i] = texts[n - 1 - i];
    }
    GR_CHECK_OK(train(texts, n, 256 + 7 + ADDED, &a));
    GR_CHECK_OK(train(back, n, 256 + 7 + ADDED, &b));
    GR_CHECK_BYTES(a->merges, b->merges, 7 * sizeof *a->merges);
    gr_tokenizer_destroy(&a);
    gr_tokenizer_destroy(&b);
}

static void test_allocation_failures(void)
{
    const char *texts[] = {"hug hugs caf\xc3\xa9 e\xcc\x81"};
    int64_t used = gr_mem_used();
    gr_err err = GR_ERR_MEMORY;
    int failures = 0;
    for (int n = 1; err == GR_ERR_MEMORY && n < 5000; n++) {
        gr_tokenizer *t = NULL;
        gr_mem_fail_at(n);
        err = train(texts, 1, 256 + 4 + ADDED, &t);
        gr_mem_fail_at(0);
        failures += err == GR_ERR_MEMORY;
        gr_tokenizer_destroy(&t);
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_OK(err);
    GR_CHECK(failures > 300);
}

static const gr_test tests[] = {
    {"by_hand", test_by_hand},
    {"ids", test_ids},
    {"refused", test_refused},
    {"pieces", test_pieces},
    {"against_plain", test_against_plain},
    {"order", test_order},
    {"allocation_failures", test_allocation_failures},
};
GR_TEST_MAIN("tokenizer_train", tests)
