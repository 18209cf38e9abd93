#include "src/base/mem.h"
#include "src/formats/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

/// Input: a tokenizer.json, a NUL, and a text. If the file is taken, the text is encoded, twice the same, and
/// decoded. Without a NUL the input is a text for the two expressions
/// that are written out in C, which must cut it as PCRE2 does.

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_twice(const gr_tokenizer *t, const char *text, size_t size)
{
    gr_ids ids = {0}, again = {0};
    char *back = NULL;
    size_t back_size = 0;
    for (int special = 0; special < 2; special++) {
        ids.count = 0;
        again.count = 0;
        gr_err err = gr_tokenizer_encode(t, text, size, special, &ids);
        GR_ASSERT(gr_tokenizer_encode(t, text, size, special, &again) == err);
        GR_ASSERT(ids.count == again.count && (err == GR_OK || ids.count == 0));
        for (int64_t i = 0; i < ids.count; i++) {
            GR_ASSERT(ids.data[i] == again.data[i] && ids.data[i] >= 0 &&
                      ids.data[i] < gr_tokenizer_size(t));
        }
        if (err == GR_OK) {
            GR_ASSERT(gr_tokenizer_decode(t, ids.data, ids.count, special, &back, &back_size) ==
                      GR_OK);
            GR_ASSERT(gri_utf8_check(back, back_size) == GR_OK);
            GR_FREE(back);
        }
    }
    gr_ids_fini(&ids);
    gr_ids_fini(&again);
}

static void fuzz_file(const char *data, size_t json, size_t size)
{
    gr_tokenizer *t = NULL;
    if (gri_tokenizer_parse("fuzz.json", data, json, &t) == GR_OK) {
        encode_twice(t, data + json + 1, size - json - 1);
    }
    gr_tokenizer_destroy(&t);
}

static gri_splitter *splitter_of(const char *pattern, bool engine)
{
    gri_splitter *s = NULL;
    GR_ASSERT(gri_splitter_create(true, &s) == GR_OK);
    GR_ASSERT((engine ? gri_splitter_add_engine(s, pattern)
                      : gri_splitter_add(s, GRI_STEP_EXPRESSION, pattern)) == GR_OK);
    return s;
}

/// PCRE2 knows another version of Unicode: characters beyond this are left to the tests.
static bool all_old(const char *text, size_t size)
{
    uint32_t c = 0;
    for (size_t at = 0; at < size; at += gri_utf8_get(text + at, &c)) {
        if ((unsigned char)text[at] >= 0xC8) { // U+0200
            return false;
        }
    }
    return true;
}

static void fuzz_text(const char *text, size_t size)
{
    static gri_splitter *pairs[2][2];
    if (!pairs[0][0]) {
        pairs[0][0] = splitter_of(gri_qwen2_pattern, false);
        pairs[0][1] = splitter_of(gri_qwen2_pattern, true);
        pairs[1][0] = splitter_of(gri_gpt2_pattern, false);
        pairs[1][1] = splitter_of(gri_gpt2_pattern, true);
    }
    if (gri_utf8_check(text, size) != GR_OK) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        gri_pieces known = {0}, engine = {0};
        const char *normal = NULL, *a = NULL, *b = NULL;
        size_t m = 0, n = 0, p = 0, total = 0;
        GR_ASSERT(gri_pieces_normalize(&known, pairs[i][0], text, size, &normal, &m) == GR_OK);
        GR_ASSERT(gri_utf8_check(normal, m) == GR_OK);
        bool compare = all_old(normal, m);
        gri_pieces_begin(&known, pairs[i][0], normal, m);
        gri_pieces_begin(&engine, pairs[i][1], normal, m);
        do {
            GR_ASSERT(gri_pieces_next(&known, &a, &n) == GR_OK);
            total += n;
            if (compare) {
                GR_ASSERT(gri_pieces_next(&engine, &b, &p) == GR_OK && a == b && n == p);
            }
        } while (n > 0);
        GR_ASSERT(total == m);
        gri_pieces_fini(&known);
        gri_pieces_fini(&engine);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *nul = size ? memchr(text, '\0', size) : NULL;
    if (nul) {
        fuzz_file(text, (size_t)(nul - text), size);
    } else {
        // A text of its own size, so that a read behind it is seen.
        char *copy = malloc(size ? size : 1);
        GR_ASSERT(copy != NULL);
        memcpy(copy, text ? text : "", size);
        fuzz_text(copy, size);
        free(copy);
    }
    return 0;
}
