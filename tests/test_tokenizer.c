#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/str.h"
#include "src/formats/tokenizer_parts.h"
#include "tests/check.h"
#include "tests/utf8_support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/// The file that the tokenizers library wrote.
static gr_tokenizer *load_fixture(void)
{
    gr_tokenizer *t = NULL;
    char *dir = gr_str_format("%s/tests/fixtures/tokenizer", getenv("GR_SOURCE_DIR"));
    GR_CHECK_OK(gr_tokenizer_load(dir, &t));
    GR_FREE(dir);
    return t;
}

static void test_byte_symbols(void)
{
    unsigned char all[256];
    char symbols[GRI_SYMBOLS_SIZE(256)], back[GRI_SYMBOLS_SIZE(256)];
    size_t n = 0;
    for (int i = 0; i < 256; i++) {
        all[i] = (unsigned char)i;
    }
    (void)gri_symbols_of(all, 256, symbols);
    GR_CHECK(gri_symbols_to_bytes(symbols, back, &n));
    GR_CHECK_INT((int64_t)n, 256);
    GR_CHECK_BYTES(back, all, 256);
    GR_CHECK(!gri_symbols_to_bytes(" ", back, &n));
    GR_CHECK(!gri_symbols_to_bytes("\u0144", back, &n));
    GR_CHECK(!gri_symbols_to_bytes("\u00ad", back, &n));
    GR_CHECK(!gri_symbols_to_bytes("中", back, &n));
}

/// Random text that NFC leaves alone comes back byte for byte.
static void test_round_trip(void)
{
    static const uint32_t ranges[][2] = {
        {1, 0x80},          {0x20, 0x7F},        {0x80, 0x300},    {0x4E00, 0xA000},
        {0xAC00, 0xD7A4},   {0x3041, 0x3094},    {0xE000, 0xF900}, {0x1F300, 0x1F600},
        {0x20000, 0x2A6D0}, {0x10FFF0, 0x110000}};
    gr_tokenizer *t = load_fixture();
    for (uint64_t trial = 0; trial < 300; trial++) {
        char text[4 * 50 + 1], *back = NULL;
        size_t n = 0;
        gr_ids ids = {0};
        for (uint64_t i = 0; i < trial % 50; i++) {
            uint64_t draw = gr_rng_u64(3, trial, i);
            const uint32_t *range = ranges[draw % 10];
            n += put_character(range[0] + (uint32_t)(draw >> 32) % (range[1] - range[0]),
                               text + n);
        }
        text[n] = '\0';
        GR_CHECK_OK(gr_tokenizer_encode(t, text, n, false, &ids));
        GR_CHECK_OK(gr_tokenizer_decode(t, ids.data, ids.count, false, &back, NULL));
        GR_CHECK_STR(back, text);
        GR_FREE(back);
        gr_ids_fini(&ids);
    }
    gr_tokenizer_destroy(&t);
}

static void test_invalid_text(void)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"ab\xff", "byte 0xff at position 2 of 3"},
        {"\x80", "byte 0x80 at position 0 of 1"},
        {"\u00e9\xc3", "byte 0xc3 at position 2 of 3"},
        {"\xc0\x80", "byte 0xc0 at position 0 of 2"},
        {"a\xe0\x80\x80", "byte 0xe0 at position 1 of 4"},
        {"\xed\xa0\x80", "byte 0xed at position 0 of 3"},
        {"\xf4\x90\x80\x80", "byte 0xf4 at position 0 of 4"},
        {"中\xf0\x9f\x98", "byte 0xf0 at position 3 of 6"},
    };
    gr_tokenizer *t = load_fixture();
    gr_ids ids = {0};
    GR_CHECK_OK(gr_ids_add(&ids, 7));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        GR_CHECK_ERR(gr_tokenizer_encode(t, cases[i].text, strlen(cases[i].text), true, &ids),
                     GR_ERR_DATA, cases[i].message);
        GR_CHECK_INT(ids.count, 1);
    }
    gr_ids_fini(&ids);
    gr_tokenizer_destroy(&t);
}

/// Each maximal broken beginning of a character becomes one U+FFFD; special tokens can be left out.
static void test_decode(void)
{
    gr_tokenizer *t = load_fixture();
    static const unsigned char bytes[] = {'a',  0xE4, 0xBD, 'b',  0xFF,
                                          0xC0, 0xF0, 0x9F, 0x98, 0x80};
    int32_t ids[16];
    int n = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        ids[n++] = t->byte_ids[bytes[i]];
    }
    ids[n++] = gr_tokenizer_id(t, "<|im_end|>");
    char *text = NULL;
    GR_CHECK_OK(gr_tokenizer_decode(t, ids, n, false, &text, NULL));
    GR_CHECK_STR(text, "a\ufffdb\ufffd\ufffd\U0001f600<|im_end|>");
    GR_FREE(text);
    GR_CHECK_OK(gr_tokenizer_decode(t, ids, n, true, &text, NULL));
    GR_CHECK_STR(text, "a\ufffdb\ufffd\ufffd\U0001f600");
    GR_FREE(text);
    // A NUL is a byte like others.
    size_t size = 0;
    ids[1] = t->byte_ids[0];
    ids[2] = t->byte_ids['b'];
    GR_CHECK_OK(gr_tokenizer_decode(t, ids, 3, false, &text, &size));
    GR_CHECK_INT((int64_t)size, 3);
    GR_CHECK_BYTES(text, "a\0b", 4);
    GR_FREE(text);
    GR_CHECK_OK(gr_tokenizer_decode(t, NULL, 0, false, &text, NULL));
    GR_CHECK_STR(text, "");
    GR_FREE(text);
    ids[0] = 912;
    GR_CHECK_ERR(gr_tokenizer_decode(t, ids, n, false, &text, NULL), GR_ERR_DATA,
                 "id 912 is no token; the tokenizer has 912");
    ids[0] = -1;
    GR_CHECK_ERR(gr_tokenizer_decode(t, ids, n, false, &text, NULL), GR_ERR_DATA,
                 "id -1 is no token");
    gr_tokenizer_destroy(&t);
}

/// The longest added token at the leftmost place wins.
static void test_longest_added(void)
{
    gr_tokenizer *t = load_fixture(), *more = NULL;
    gr_ids ids = {0};
    GR_CHECK_OK(gr_tokenizer_save(t, gr_test_dir(), NULL));
    GR_CHECK_OK(gr_tokenizer_load(gr_test_dir(), &more));
    gri_text_table_fini(&more->literal.ids);
    GR_FREE(more->literal.sizes);
    GR_FREE(more->normalized.sizes);
    GR_FREE(more->piece_bytes);
    gri_text_table_fini(&more->pieces);
    more->literal.count = 0;
    GR_CHECK_OK(gri_tokenizer_set(more, 912, (gri_token){.text = "<img>!", .added = true}));
    GR_CHECK_OK(gri_tokenizer_set(more, 913, (gri_token){.text = "g>!!", .added = true}));
    GR_CHECK_OK(gri_tokenizer_seal(more));
    static const int32_t want[] = {912, 0, 903, 913};
    GR_CHECK_OK(gr_tokenizer_encode(more, "<img>!!<img>g>!!", 16, true, &ids));
    GR_CHECK_INT(ids.count, 4);
    GR_CHECK_BYTES(ids.data, want, sizeof want);
    gr_ids_fini(&ids);
    gr_tokenizer_destroy(&t);
    gr_tokenizer_destroy(&more);
}

/// Every token that the table of whole pieces has is what the merges alone make of its bytes, and every other one is not.
static void test_whole_pieces(void)
{
    gr_tokenizer *t = load_fixture();
    gri_text_table pieces = t->pieces, none = {0};
    int64_t whole = 0;
    for (int32_t id = 0; id < t->count; id++) {
        char bytes[256];
        size_t n = 0;
        gr_ids ids = {0};
        if (!t->tokens[id].vocabulary ||
            !GR_CHECK(gri_symbols_to_bytes(t->tokens[id].text, bytes, &n))) {
            continue;
        }
        bool valid = gri_utf8_check(bytes, n) == GR_OK;
        bool found = gri_text_table_find(&pieces, bytes, n) == id;
        whole += found;
        if (valid) {
            t->pieces = none;
            gri_splitter *splitter = t->splitter, *plain = NULL;
            GR_CHECK_OK(gri_splitter_create(false, &plain));
            t->splitter = plain;
            GR_CHECK_OK(gr_tokenizer_encode(t, bytes, n, false, &ids));
            GR_CHECK_INT(ids.count == 1 && ids.data[0] == id, found);
            t->splitter = splitter;
            gri_splitter_destroy(&plain);
            t->pieces = pieces;
        }
        gr_ids_fini(&ids);
    }
    GR_CHECK(whole > 800);
    gr_tokenizer_destroy(&t);
}

/// A run of a million letters is one piece; a merge loop that rescans it would take hours.
static void test_long_piece(void)
{
    enum { SIZE = 1000000 };
    gr_tokenizer *t = load_fixture();
    char *text = gr_mem_alloc(SIZE, 1), *back = NULL;
    gr_ids ids = {0};
    memset(text, 'a', SIZE);
    for (int i = 0; i < SIZE; i += 7) {
        text[i] = 'n';
    }
    GR_CHECK_OK(gr_tokenizer_encode(t, text, SIZE, true, &ids));
    GR_CHECK_OK(gr_tokenizer_decode(t, ids.data, ids.count, false, &back, NULL));
    GR_CHECK_INT((int64_t)strlen(back), SIZE);
    GR_CHECK_BYTES(back, text, SIZE);
    GR_FREE(text);
    GR_FREE(back);
    gr_ids_fini(&ids);
    gr_tokenizer_destroy(&t);
}

typedef struct thread_job {
    const gr_tokenizer *tokenizer;
    gr_ids ids;
} thread_job;

static void *encode_often(void *argument)
{
    thread_job *job = argument;
    for (int i = 0; i < 200; i++) {
        static const char text[] = "The cafe\u0301 <|im_end|> 图像中有 12 foxes\n\n";
        if (gr_tokenizer_encode(job->tokenizer, text, sizeof text - 1, true, &job->ids) !=
            GR_OK) {
            return job;
        }
    }
    return NULL;
}

static void test_threads(void)
{
    gr_tokenizer *t = load_fixture();
    thread_job jobs[4] = {0};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        jobs[i].tokenizer = t;
        GR_CHECK_INT(pthread_create(&threads[i], NULL, encode_often, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        GR_CHECK_INT(pthread_join(threads[i], &failed), 0);
        GR_CHECK(failed == NULL);
        GR_CHECK_INT(jobs[i].ids.count, jobs[0].ids.count);
        GR_CHECK_BYTES(jobs[i].ids.data, jobs[0].ids.data,
                       (size_t)jobs[0].ids.count * sizeof(int32_t));
    }
    for (int i = 0; i < 4; i++) {
        gr_ids_fini(&jobs[i].ids);
    }
    gr_tokenizer_destroy(&t);
}

static void test_encode_allocation_failures(void)
{
    static const char text[] =
        "cafe\u0301 <img> a rather long text, so that the list of ids has to grow more than once";
    gr_tokenizer *t = load_fixture();
    int64_t used = gr_mem_used();
    gr_err err = GR_ERR_MEMORY;
    int failures = 0;
    for (int n = 1; err == GR_ERR_MEMORY && n < 50; n++) {
        gr_ids ids = {0};
        gr_mem_fail_at(n);
        err = gr_tokenizer_encode(t, text, sizeof text - 1, true, &ids);
        gr_mem_fail_at(0);
        failures += err == GR_ERR_MEMORY;
        gr_ids_fini(&ids);
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_OK(err);
    GR_CHECK(failures >= 4);
    gr_tokenizer_destroy(&t);
}

static const gr_test tests[] = {
    {"byte_symbols", test_byte_symbols},
    {"round_trip", test_round_trip},
    {"invalid_text", test_invalid_text},
    {"decode", test_decode},
    {"longest_added", test_longest_added},
    {"whole_pieces", test_whole_pieces},
    {"long_piece", test_long_piece},
    {"threads", test_threads},
    {"encode_allocation_failures", test_encode_allocation_failures},
};
GR_TEST_MAIN("tokenizer", tests)
