#include "src/formats/pretokenize.h"

#include <string.h>

/// The two expressions that nearly all tokenizers of this kind have, written out. Alternatives are tried in order, as an
/// engine does; each function says which one it is in. tests/test_pretokenize.c compares with PCRE2.

const char *const gri_qwen2_pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char *const gri_gpt2_pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

enum { ANY = GRI_LETTER | GRI_NUMBER | GRI_SPACE };

/// Class of the character at `at`, and its length.
static inline unsigned class_at(const uint8_t *classes, const char *text, size_t at, size_t *n)
{
    uint32_t c = 0;
    *n = gri_utf8_get(text + at, &c);
    return classes[c] & ANY;
}

/// End of the run of characters of class `want` from `at` on; 0: those of no class.
static inline size_t run_end(const uint8_t *classes, const char *text, size_t at, size_t end,
                             unsigned want)
{
    size_t n = 0;
    while (at < end && class_at(classes, text, at, &n) == want) {
        at += n;
    }
    return at;
}

/// 's, 't, 're, 've, 'm, 'll, 'd: the bytes after the apostrophe, 0 if there is no such thing. `fold`: in any case, in
/// which U+017F (long s) is an s.
static size_t contraction(const char *text, size_t at, size_t end, bool fold)
{
    if (at == end) {
        return 0;
    }
    if (fold && end - at >= 2 && memcmp(text + at, "\xc5\xbf", 2) == 0) {
        return 2;
    }
    int lower = fold ? 0x20 : 0; // sets the bit by which ASCII's small letters differ
    int a = text[at] | lower, b = at + 1 < end ? text[at + 1] | lower : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') {
        return 1;
    }
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 2 : 0;
}

/// \s+(?!\S)|\s+ at `at`: a run leaves its last character to what follows, unless it is that character or the text ends.
static size_t space_end(const uint8_t *classes, const char *text, size_t at, size_t end)
{
    size_t last = at, next = at, n = 0;
    while (next < end && class_at(classes, text, next, &n) == GRI_SPACE) {
        last = next;
        next += n;
    }
    return next == end || last == at ? next : last;
}

/// End of the last \r or \n in the run of white space at `at`; 0 if there is none.
static size_t newline_end(const uint8_t *classes, const char *text, size_t at, size_t end)
{
    size_t found = 0, n = 0;
    while (at < end && class_at(classes, text, at, &n) == GRI_SPACE) {
        if (text[at] == '\n' || text[at] == '\r') {
            found = at + 1;
        }
        at += n;
    }
    return found;
}

size_t gri_match_qwen2(const uint8_t *classes, const char *text, size_t at, size_t end)
{
    size_t n = 0, m = 0;
    if (text[at] == '\'' && (n = contraction(text, at + 1, end, true)) > 0) {
        return at + 1 + n;
    }
    unsigned class = class_at(classes, text, at, &n);
    size_t next = at + n;
    if (class == GRI_LETTER) { // [^\r\n\p{L}\p{N}]?\p{L}+
        return run_end(classes, text, next, end, GRI_LETTER);
    }
    if (class == GRI_NUMBER) { // \p{N}
        return next;
    }
    bool newline = text[at] == '\n' || text[at] == '\r';
    unsigned after = next < end ? class_at(classes, text, next, &m) : GRI_SPACE;
    if (!newline && after == GRI_LETTER) {
        return run_end(classes, text, next + m, end, GRI_LETTER);
    }
    if (class == 0 || (text[at] == ' ' && after == 0)) { // ` ?[^\s\p{L}\p{N}]+[\r\n]*`
        next = run_end(classes, text, next, end, 0);
        while (next < end && (text[next] == '\n' || text[next] == '\r')) {
            next++;
        }
        return next;
    }
    next = newline_end(classes, text, at, end); // \s*[\r\n]+
    return next ? next : space_end(classes, text, at, end);
}

size_t gri_match_gpt2(const uint8_t *classes, const char *text, size_t at, size_t end)
{
    size_t n = 0;
    if (text[at] == '\'' && (n = contraction(text, at + 1, end, false)) > 0) {
        return at + 1 + n;
    }
    unsigned class = class_at(classes, text, at, &n);
    if (text[at] == ' ' && at + 1 < end) { // ` ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+`
        size_t m = 0;
        unsigned after = class_at(classes, text, at + 1, &m);
        if (after != GRI_SPACE) {
            return run_end(classes, text, at + 1 + m, end, after);
        }
    }
    return class == GRI_SPACE ? space_end(classes, text, at, end)
                              : run_end(classes, text, at + n, end, class);
}
