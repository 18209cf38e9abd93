#include "src/formats/pretokenize.h"

#include "src/base/mem.h"
#include "src/base/str.h"

#include <stdlib.h>
#include <utf8proc.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

const char *const gri_qwen2_pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

struct gri_splitter {
    char *pattern;
    pcre2_code *code;
};

size_t gri_utf8_step(const char *text, size_t size, bool *ok)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned char lead = s[0];
    // What the second byte may be: without overlong forms, surrogates and numbers above U+10FFFF.
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    size_t length = lead < 0x80   ? 1
                    : lead < 0xC2 ? 0
                    : lead < 0xE0 ? 2
                    : lead < 0xF0 ? 3
                    : lead < 0xF5 ? 4
                                  : 0;
    *ok = length == 1;
    size_t n = 1;
    while (n < length && n < size && s[n] >= low && s[n] <= high) {
        n++;
        low = 0x80;
        high = 0xBF;
    }
    *ok = n == length;
    return n;
}

gr_err gri_utf8_check(const char *text, size_t size)
{
    gr_err err = GR_OK;
    bool ok = true;
    size_t at = 0;
    while (at < size) {
        size_t n = gri_utf8_step(text + at, size - at, &ok);
        if (!ok) {
            GR_FAIL(GR_ERR_DATA, "text is not UTF-8: byte 0x%02x at position %zu of %zu",
                    (unsigned char)text[at], at, size);
        }
        at += n;
    }
done:
    return err;
}

/// In PCRE2 \s also takes U+180E, which is no white space since Unicode 6.3 and none for the engines that
/// tokenizer.json files are made for. The property means the same to all.
static gr_err translate(const char *pattern, gr_str *out)
{
    gr_err err = GR_OK;
    for (const char *p = pattern; *p; p++) {
        if (*p != '\\' || p[1] == '\0') {
            GR_TRY(gr_str_add_bytes(out, p, 1));
            continue;
        }
        p++;
        if (*p == 's' || *p == 'S') {
            GR_TRY(gr_str_add(out, *p == 's' ? "\\p{White_Space}" : "\\P{White_Space}"));
        } else {
            GR_TRY(gr_str_add_bytes(out, p - 1, 2));
        }
    }
done:
    return err;
}

gr_err gri_splitter_create(const char *pattern, gri_splitter **out)
{
    gr_err err = GR_OK;
    gri_splitter *splitter = NULL;
    gr_str translated = {0};
    int code = 0;
    size_t at = 0;
    GR_ALLOC(splitter, 1);
    GR_STRDUP(splitter->pattern, pattern);
    GR_TRY(translate(pattern, &translated));
    splitter->code = pcre2_compile((PCRE2_SPTR)translated.data, translated.size,
                                   PCRE2_UTF | PCRE2_UCP, &code, &at, NULL);
    if (!splitter->code) {
        char text[120] = "";
        (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
        GR_FAIL(GR_ERR_DATA, "pre-tokenizer expression: %s at offset %zu of %s", text, at,
                translated.data);
    }
    // Without a just-in-time compiler the same expression is interpreted.
    (void)pcre2_jit_compile(splitter->code, PCRE2_JIT_COMPLETE);
    *out = splitter;
    splitter = NULL;
done:
    gr_str_fini(&translated);
    gri_splitter_destroy(&splitter);
    return err;
}

void gri_splitter_destroy(gri_splitter **splitter)
{
    if (*splitter) {
        pcre2_code_free((*splitter)->code);
        GR_FREE((*splitter)->pattern);
    }
    GR_FREE(*splitter);
}

const char *gri_splitter_pattern(const gri_splitter *splitter)
{
    return splitter->pattern;
}

/// Characters below U+0300 (lead byte 0xCC) never change under NFC.
static bool surely_normal(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] >= 0xCC) {
            return false;
        }
    }
    return true;
}

static gr_err normalize(gri_pieces *pieces)
{
    gr_err err = GR_OK;
    utf8proc_uint8_t *normal = NULL;
    if (surely_normal(pieces->text, pieces->size)) {
        goto done;
    }
    utf8proc_ssize_t n =
        utf8proc_map((const utf8proc_uint8_t *)pieces->text, (utf8proc_ssize_t)pieces->size,
                     &normal, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n < 0) {
        GR_FAIL(n == UTF8PROC_ERROR_NOMEM ? GR_ERR_MEMORY : GR_ERR_DATA,
                "cannot normalise a text of %zu bytes: %s", pieces->size, utf8proc_errmsg(n));
    }
    pieces->normal = (char *)normal;
    pieces->text = pieces->normal;
    pieces->size = (size_t)n;
done:
    return err;
}

gr_err gri_pieces_begin(gri_pieces *pieces, const gri_splitter *splitter, const char *text,
                        size_t size)
{
    gr_err err = GR_OK;
    if (pieces->splitter != splitter) {
        gri_pieces_fini(pieces);
        pieces->match = pcre2_match_data_create_from_pattern(splitter->code, NULL);
        if (!pieces->match) {
            GR_FAIL(GR_ERR_MEMORY, "out of memory in PCRE2");
        }
        pieces->splitter = splitter;
    }
    free(pieces->normal);
    pieces->normal = NULL;
    pieces->text = text;
    pieces->size = size;
    pieces->at = 0;
    pieces->match_begin = 0;
    pieces->match_end = 0;
    GR_TRY(normalize(pieces));
done:
    return err;
}

/// The next match into match_begin and match_end; both at the end of the text if there is none.
static gr_err find_match(gri_pieces *pieces)
{
    gr_err err = GR_OK;
    pieces->match_begin = pieces->size;
    pieces->match_end = pieces->size;
    if (pieces->at == pieces->size) {
        goto done;
    }
    int found =
        pcre2_match(pieces->splitter->code, (PCRE2_SPTR)pieces->text, pieces->size, pieces->at,
                    PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, pieces->match, NULL);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
        char text[120] = "";
        (void)pcre2_get_error_message(found, (PCRE2_UCHAR *)text, sizeof text);
        GR_FAIL(GR_ERR_DATA, "pre-tokenizer expression at byte %zu of %zu: %s", pieces->at,
                pieces->size, text);
    }
    if (found > 0) {
        const size_t *span = pcre2_get_ovector_pointer(pieces->match);
        pieces->match_begin = span[0];
        pieces->match_end = span[1];
    }
done:
    return err;
}

gr_err gri_pieces_next(gri_pieces *pieces, const char **piece, size_t *size)
{
    gr_err err = GR_OK;
    if (pieces->at >= pieces->match_end) {
        GR_TRY(find_match(pieces));
    }
    // Text between two matches is a piece of its own.
    size_t end = pieces->at < pieces->match_begin ? pieces->match_begin : pieces->match_end;
    *piece = pieces->text + pieces->at;
    *size = end - pieces->at;
    pieces->at = end;
done:
    return err;
}

void gri_pieces_fini(gri_pieces *pieces)
{
    pcre2_match_data_free(pieces->match);
    free(pieces->normal);
    *pieces = (gri_pieces){0};
}
