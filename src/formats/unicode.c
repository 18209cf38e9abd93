#include "src/formats/unicode.h"

#include "src/base/mem.h"
#include "src/formats/unicode_ranges.h"

#include <string.h>

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
        uint64_t eight = 0;
        if (at + sizeof eight <= size) {
            memcpy(&eight, text + at, sizeof eight);
            if (!(eight & 0x8080808080808080U)) { // ASCII
                at += sizeof eight;
                continue;
            }
        }
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

#define MARK(classes, ranges, flags)                                                           \
    mark(classes, ranges, sizeof(ranges) / sizeof *(ranges), flags)
static void mark(uint8_t *classes, const gri_range *ranges, size_t count, uint8_t flags)
{
    for (size_t i = 0; i < count; i++) {
        for (uint32_t c = ranges[i].first; c <= ranges[i].last; c++) {
            classes[c] |= flags;
        }
    }
}

gr_err gri_unicode_create(uint8_t **classes)
{
    gr_err err = GR_OK;
    uint8_t *c = NULL;
    GR_ALLOC(c, GRI_CODE_POINTS);
    MARK(c, gri_letters, GRI_LETTER);
    MARK(c, gri_numbers, GRI_NUMBER | GRI_DIGIT);
    MARK(c, gri_more_digits, GRI_DIGIT);
    MARK(c, gri_spaces, GRI_SPACE);
    MARK(c, gri_nfc_movable, GRI_NFC_MOVABLE);
    MARK(c, gri_nfc_first, GRI_NFC_FIRST);
    *classes = c;
done:
    return err;
}
