#ifndef SRC_FORMATS_UNICODE_H
#define SRC_FORMATS_UNICODE_H

/// What text work needs of Unicode: checking UTF-8, classes of code points, NFC. The classes are those of the tokenizers
/// library that all models were trained with, whatever versions of Unicode the installed libraries have, so a
/// text has the same ids on every machine.

#include "src/base/err.h"

#include <stdint.h>

/// Length of the character at `text` (`size` >= 1 bytes left). If it is invalid *ok is false and the length is that of
/// the longest beginning of a character, as Unicode recommends for replacement (at least 1).
size_t gri_utf8_step(const char *text, size_t size, bool *ok);
/// GR_ERR_DATA with the byte's position if `text` is not UTF-8.
GR_MUST_CHECK gr_err gri_utf8_check(const char *text, size_t size);

/// Decodes the character at `text`, which must be valid; returns its length.
static inline size_t gri_utf8_get(const char *text, uint32_t *c)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) {
        *c = s[0];
        return 1;
    }
    if (s[0] < 0xE0) {
        *c = (s[0] & 0x1FU) << 6 | (s[1] & 0x3FU);
        return 2;
    }
    if (s[0] < 0xF0) {
        *c = (s[0] & 0x0FU) << 12 | (s[1] & 0x3FU) << 6 | (s[2] & 0x3FU);
        return 3;
    }
    *c = (s[0] & 0x07U) << 18 | (s[1] & 0x3FU) << 12 | (s[2] & 0x3FU) << 6 | (s[3] & 0x3FU);
    return 4;
}

enum {
    GRI_LETTER = 1, ///< \p{L}
    GRI_NUMBER = 2, ///< \p{N}
    GRI_SPACE = 4,  ///< \s
    GRI_DIGIT = 8,  ///< what the step Digits cuts at
    GRI_NFC_MOVABLE =
        16, ///< NFC may replace it, move it, or compose it with a character before it
    GRI_NFC_FIRST = 32, ///< a movable character behind it may change it
    GRI_CODE_POINTS = 0x110000,
};
/// One byte of the flags above for each of the GRI_CODE_POINTS code points, in new memory (GR_FREE).
GR_MUST_CHECK gr_err gri_unicode_create(uint8_t **classes);

/// Memory of gri_nfc, kept from call to call. Zero it; fini.
typedef struct gri_nfc_memory {
    char *text; ///< the last result that differed from its text
    size_t text_room;
    int32_t *points;
    uint64_t *order;
    size_t point_room;
} gri_nfc_memory;
void gri_nfc_memory_fini(gri_nfc_memory *memory);
/// NFC of valid UTF-8: *out is `text` itself if that is in NFC already, else memory->text until the next call.
GR_MUST_CHECK gr_err gri_nfc(const uint8_t *classes, gri_nfc_memory *memory, const char *text,
                             size_t size, const char **out, size_t *out_size);

#endif
