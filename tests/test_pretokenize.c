#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/str.h"
#include "src/formats/pretokenize.h"
#include "tests/check.h"
#include "tests/utf8_support.h"

#include <stdio.h>
#include <string.h>

/// The pieces of a text, joined by '|'.
static void join_pieces(const gri_splitter *splitter, const char *text, size_t size,
                        gr_str *got)
{
    gri_pieces pieces = {0};
    const char *piece = NULL;
    size_t n = 0;
    gr_str_clear(got);
    GR_CHECK_OK(gr_str_add(got, ""));
    GR_CHECK_OK(gri_pieces_normalize(&pieces, splitter, text, size, &text, &size));
    gri_pieces_begin(&pieces, splitter, text, size);
    while (GR_CHECK_OK(gri_pieces_next(&pieces, &piece, &n)) && n > 0) {
        GR_CHECK_OK(gr_str_add(got, got->size ? "|" : ""));
        GR_CHECK_OK(gr_str_add_bytes(got, piece, n));
    }
    gri_pieces_fini(&pieces);
}

static void check_pieces(const gri_splitter *splitter, const char *text, const char *want)
{
    gr_str got = {0};
    join_pieces(splitter, text, strlen(text), &got);
    GR_CHECK_STR(got.data, want);
    gr_str_fini(&got);
}

/// Beyond appendix B.4 of the specification, which is in src/formats/known.c.
static void test_qwen2(void)
{
    static const char *const cases[][2] = {
        {"", ""},
        // U+0085 is white space; U+180E is not, though PCRE2's own \s takes it.
        {"a\xc2\x85.\u180e.", "a|\xc2\x85|.\u180e."},
        {"it'S x'ſ x'ſt x'll've'", "it|'S| x|'ſ| x|'ſ|t| x|'ll|'ve|'"},
        {"''s 're'", "''|s| '|re|'"},
    };
    gri_splitter *splitter = NULL;
    GR_CHECK_OK(gri_splitter_create_qwen2(&splitter));
    GR_CHECK(gri_splitter_is_qwen2(splitter));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_pieces(splitter, cases[i][0], cases[i][1]);
    }
    gri_splitter_destroy(&splitter);
}

/// SmolLM2's: digits one by one, then GPT-2's expression; without NFC.
static void test_smollm2(void)
{
    gri_splitter *splitter = NULL;
    GR_CHECK_OK(gri_splitter_create(false, &splitter));
    GR_CHECK_OK(gri_splitter_add(splitter, GRI_STEP_EACH_DIGIT, NULL));
    GR_CHECK_OK(gri_splitter_add(splitter, GRI_STEP_GPT2, NULL));
    check_pieces(splitter, "Hello world's  12 apples!\n\nDON'T",
                 "Hello| world|'s|  |1|2| apples|!|\n|\n|DON|'|T");
    check_pieces(splitter, "  3 e\u0301", "  |3| e|\u0301");
    check_pieces(splitter, "a  ", "a|  ");
    check_pieces(splitter, "", "");
    gri_splitter_destroy(&splitter);
}

static void test_gpt2(void)
{
    gri_splitter *splitter = NULL;
    GR_CHECK_OK(gri_splitter_create(false, &splitter));
    GR_CHECK_OK(gri_splitter_add(splitter, GRI_STEP_GPT2, NULL));
    check_pieces(splitter, "Hello world's  1234 'll x'LL\t\n y_z",
                 "Hello| world|'s| | 1234| '|ll| x|'|LL|\t\n| y|_|z");
    gri_splitter_destroy(&splitter);
}

/// Steps in a row; each sees only its own piece.
static void test_steps(void)
{
    gri_splitter *splitter = NULL;
    GR_CHECK_OK(gri_splitter_create(false, &splitter));
    check_pieces(splitter, "one piece", "one piece");
    GR_CHECK_OK(gri_splitter_add(splitter, GRI_STEP_DIGITS, NULL));
    check_pieces(splitter, "ab12c345", "ab|12|c|345");
    GR_CHECK_OK(gri_splitter_add(splitter, GRI_STEP_EXPRESSION, "^.|b$"));
    check_pieces(splitter, "ab12c345", "a|b|1|2|c|3|45");
    GR_CHECK_OK(gri_splitter_add(splitter, GRI_STEP_EXPRESSION, "5"));
    check_pieces(splitter, "ab12c345", "a|b|1|2|c|3|4|5");
    while (splitter->count < GRI_STEPS_MAX) {
        GR_CHECK_OK(gri_splitter_add(splitter, GRI_STEP_DIGITS, NULL));
    }
    check_pieces(splitter, "ab12c345", "a|b|1|2|c|3|4|5");
    GR_CHECK_ERR(gri_splitter_add(splitter, GRI_STEP_DIGITS, NULL), GR_ERR_DATA,
                 "more than 8 pre-tokenizer steps");
    gri_splitter_destroy(&splitter);
}

/// An expression that leaves gaps: they are pieces too.
static void test_gaps(void)
{
    gri_splitter *splitter = NULL;
    GR_CHECK_OK(gri_splitter_create(false, &splitter));
    GR_CHECK_OK(gri_splitter_add(splitter, GRI_STEP_EXPRESSION, "[0-9]+"));
    check_pieces(splitter, "ab12c3", "ab|12|c|3");
    check_pieces(splitter, "12ab", "12|ab");
    check_pieces(splitter, "none", "none");
    GR_CHECK_ERR(gri_splitter_add(splitter, GRI_STEP_EXPRESSION, "a(b"), GR_ERR_DATA,
                 "expression: missing closing parenthesis");
    GR_CHECK_ERR(gri_splitter_add(splitter, GRI_STEP_EXPRESSION, "a\\C"), GR_ERR_DATA, "\\C");
    gri_splitter_destroy(&splitter);
}

/// Whether one character is a piece of its own kind: cut from a text of itself.
static bool engine_matches(const gri_splitter *engine, const char *text, size_t n)
{
    // "x" follows, so that the match or its absence shows in where the first piece ends.
    char both[8];
    gri_pieces pieces = {0};
    const char *piece = NULL;
    size_t size = 0;
    memcpy(both, text, n);
    both[n] = '\0';
    gri_pieces_begin(&pieces, engine, both, n);
    GR_CHECK_OK(gri_pieces_next(&pieces, &piece, &size));
    bool matched = pieces.cuts[0].match_begin == 0 && pieces.cuts[0].match_end == n;
    gri_pieces_fini(&pieces);
    return matched && size == n && piece == both;
}

/// Our classes against PCRE2's, code point by code point. PCRE2 knows the Unicode of its version: where ours say more, it must
/// say that the code point is unassigned; where it says more, ours must have nothing. `same[c]` tells who agrees.
static void compare_class(const char *expression, unsigned flag, const gri_splitter *ours,
                          bool *same)
{
    gri_splitter *engine = NULL, *unassigned = NULL;
    int different = 0;
    GR_CHECK_OK(gri_splitter_create(false, &engine));
    GR_CHECK_OK(gri_splitter_add_engine(engine, expression));
    GR_CHECK_OK(gri_splitter_create(false, &unassigned));
    GR_CHECK_OK(gri_splitter_add_engine(unassigned, "\\p{Cn}"));
    for (uint32_t c = 0; c < GRI_CODE_POINTS; c++) {
        char text[4];
        if (c >= 0xD800 && c < 0xE000) {
            continue;
        }
        size_t n = put_character(c, text);
        bool mine = ours->classes[c] & flag, theirs = engine_matches(engine, text, n);
        if (mine != theirs) {
            same[c] = false;
            different++;
            if (c < 0x300 || (mine && !engine_matches(unassigned, text, n))) {
                printf("    U+%04X and %s\n", c, expression);
                GR_CHECK(false);
            }
        }
    }
    GR_CHECK(different < 20000);
    gri_splitter_destroy(&engine);
    gri_splitter_destroy(&unassigned);
}

static void compare_random(const char *pattern, const bool *same)
{
    static const char *const words[] = {"'s", "'LL", "'ſ", "\r\n",   "\n", "  ",
                                        " ",  "\t",  "'",  "'re",    "ab", "1",
                                        "!",  ".",   "é",  "\u3000", "中", "\u0301"};
    static const uint32_t limits[] = {0x80, 0x300, 0x3000, 0x10000, 0x20000, GRI_CODE_POINTS};
    gri_splitter *known = NULL, *engine = NULL;
    gr_str a = {0}, b = {0};
    GR_CHECK_OK(gri_splitter_create(false, &known));
    GR_CHECK_OK(gri_splitter_add(known, GRI_STEP_EXPRESSION, pattern));
    GR_CHECK(known->steps[0].known != NULL && known->steps[0].code == NULL);
    GR_CHECK_OK(gri_splitter_create(false, &engine));
    GR_CHECK_OK(gri_splitter_add_engine(engine, pattern));
    for (uint64_t trial = 0; trial < 20000; trial++) {
        char text[4 * 24 + 1];
        size_t n = 0;
        for (uint64_t i = 0; i < trial % 24; i++) {
            uint64_t draw = gr_rng_u64(5, trial, i);
            uint32_t c = (uint32_t)(draw >> 32) % limits[draw / 4 % 6];
            if (draw % 4 == 0 && same[c] && !(c >= 0xD800 && c < 0xE000)) {
                n += put_character(c, text + n);
            } else {
                const char *word = words[draw / 24 % (sizeof words / sizeof *words)];
                memcpy(text + n, word, strlen(word));
                n += strlen(word);
            }
        }
        text[n] = '\0';
        join_pieces(known, text, n, &a);
        join_pieces(engine, text, n, &b);
        if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0) {
            GR_CHECK_STR(a.data, b.data);
        }
    }
    gr_str_fini(&a);
    gr_str_fini(&b);
    gri_splitter_destroy(&known);
    gri_splitter_destroy(&engine);
}

/// The expressions written out in C cut as PCRE2 does.
static void test_against_engine(void)
{
    gri_splitter *ours = NULL;
    bool *same = gr_mem_alloc(GRI_CODE_POINTS, sizeof *same);
    memset(same, true, GRI_CODE_POINTS);
    GR_CHECK_OK(gri_splitter_create(false, &ours));
    compare_class("\\p{L}", GRI_LETTER, ours, same);
    compare_class("\\p{N}", GRI_NUMBER, ours, same);
    compare_class("\\s", GRI_SPACE, ours, same);
    compare_random(gri_qwen2_pattern, same);
    compare_random(gri_gpt2_pattern, same);
    gri_splitter_destroy(&ours);
    GR_FREE(same);
}

static void check_nfc(const char *text, const char *want)
{
    gri_splitter *s = NULL;
    gri_pieces pieces = {0};
    const char *got = NULL;
    size_t n = 0;
    GR_CHECK_OK(gri_splitter_create(true, &s));
    // Twice, so that kept memory matters.
    for (int i = 0; i < 2; i++) {
        GR_CHECK_OK(gri_pieces_normalize(&pieces, s, text, strlen(text), &got, &n));
        GR_CHECK_INT((int64_t)n, (int64_t)strlen(want));
        GR_CHECK_BYTES(got, want, strlen(want) < n ? strlen(want) : n);
    }
    GR_CHECK((got == text) == (strcmp(text, want) == 0));
    gri_pieces_fini(&pieces);
    gri_splitter_destroy(&s);
}

/// What the tokenizers library's NFC gives (Unicode 9).
static void test_nfc(void)
{
    check_nfc("", "");
    check_nfc("plain", "plain");
    check_nfc("e\u0301te\u0301.", "été.");
    check_nfc("x\u0301\u0323y", "x\u0323\u0301y");         // order
    check_nfc("é\u0323", "\u1eb9\u0301");                  // taken apart and composed anew
    check_nfc("\u1112\u1161\u11ab", "\ud55c");             // Hangul
    check_nfc("\uac00\u11a8\uac01", "\uac01\uac01");       // a syllable of two and a third
    check_nfc("\u2126\u212b\ufb01", "\u03a9\u00c5\ufb01"); // replaced; a ligature is not
    check_nfc("\u0929\u0928\u093c", "\u0929\u0929");
    check_nfc("\u0301a", "\u0301a");
    // Newer than Unicode 9: left alone, though utf8proc knows it to be a mark of class 230 and to compose.
    check_nfc("a\u0898\u0323", "a\u0898\u0323");
    check_nfc("\U00011935\U00011930", "\U00011935\U00011930");
}

/// Half a million marks in the wrong order: a sort that swaps neighbours would take hours.
static void test_many_marks(void)
{
    enum { COUNT = 250000 };
    char *text = gr_mem_alloc(4 * COUNT + 1, 1), *want = gr_mem_alloc(4 * COUNT + 1, 1);
    for (int i = 0; i < COUNT; i++) {
        memcpy(text + 4 * i, "\u0301\u0323", 4);
        memcpy(want + 2 * i, "\u0323", 2);
        memcpy(want + 2 * COUNT + 2 * i, "\u0301", 2);
    }
    check_nfc(text, want);
    GR_FREE(text);
    GR_FREE(want);
}

static void test_allocation_failures(void)
{
    int64_t used = gr_mem_used();
    gr_err err = GR_ERR_MEMORY;
    int failures = 0;
    for (int n = 1; err == GR_ERR_MEMORY && n < 100; n++) {
        gri_splitter *s = NULL;
        gri_pieces pieces = {0};
        const char *out = NULL;
        size_t size = 0;
        gr_mem_fail_at(n);
        err = gri_splitter_create(true, &s);
        err = err == GR_OK ? gri_splitter_add(s, GRI_STEP_EXPRESSION, "a\\s") : err;
        err = err == GR_OK ? gri_pieces_normalize(&pieces, s, "e\u0301!", 4, &out, &size) : err;
        gr_mem_fail_at(0);
        failures += err == GR_ERR_MEMORY;
        gri_pieces_fini(&pieces);
        gri_splitter_destroy(&s);
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_OK(err);
    GR_CHECK(failures >= 6);
}

static const gr_test tests[] = {
    {"qwen2", test_qwen2},
    {"smollm2", test_smollm2},
    {"gpt2", test_gpt2},
    {"steps", test_steps},
    {"gaps", test_gaps},
    {"against_engine", test_against_engine},
    {"nfc", test_nfc},
    {"many_marks", test_many_marks},
    {"allocation_failures", test_allocation_failures},
};
GR_TEST_MAIN("pretokenize", tests)
