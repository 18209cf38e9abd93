#include "src/base/mem.h"
#include "src/formats/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/// Only stretches of characters that NFC can change are normalised, each with the character in front of it if that one may
/// change with it. The library's NFC knows Unicode 9; characters that are newer have no flags, so utf8proc never sees
/// them and all versions of it give the same result.

enum {
    EXPANSION = 4, ///< code points of one canonical decomposition at most
    CLASS_SHIFT = 56,
    INDEX_SHIFT = 21,
};

void gri_nfc_memory_fini(gri_nfc_memory *memory)
{
    GR_FREE(memory->text);
    GR_FREE(memory->points);
    GR_FREE(memory->order);
    *memory = (gri_nfc_memory){0};
}

static gr_err point_room(gri_nfc_memory *m, size_t need)
{
    gr_err err = GR_OK;
    if (need > m->point_room) {
        size_t room = need < 64 ? 64 : need * 2;
        GR_FREE(m->points);
        GR_FREE(m->order);
        m->point_room = 0;
        GR_ALLOC(m->points, room);
        GR_ALLOC(m->order, room);
        m->point_room = room;
    }
done:
    return err;
}

static gr_err text_room(gri_nfc_memory *m, size_t need)
{
    gr_err err = GR_OK;
    if (need > m->text_room) {
        size_t room = need + need / 2 + 64;
        GR_RESIZE(m->text, m->text_room, room);
        m->text_room = room;
    }
done:
    return err;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/// Marks between two starters go in the order of their classes, stably. utf8proc's own ordering takes time in the
/// square of their number.
static void order_marks(gri_nfc_memory *m, size_t count)
{
    for (size_t begin = 0; begin < count;) {
        size_t n = 0;
        bool ordered = true;
        for (; begin + n < count; n++) {
            int32_t c = m->points[begin + n];
            uint64_t class = (uint64_t)utf8proc_get_property(c)->combining_class;
            if (class == 0) {
                break;
            }
            m->order[n] = class << CLASS_SHIFT | (uint64_t)n << INDEX_SHIFT | (uint32_t)c;
            ordered &= n == 0 || m->order[n - 1] < m->order[n];
        }
        if (!ordered) {
            qsort(m->order, n, sizeof *m->order, compare);
            for (size_t i = 0; i < n; i++) {
                m->points[begin + i] = (int32_t)(m->order[i] & ((1U << INDEX_SHIFT) - 1));
            }
        }
        begin += n + 1;
    }
}

/// NFC of one stretch into memory->points.
static gr_err compose(gri_nfc_memory *m, const char *text, size_t size, size_t *count)
{
    gr_err err = GR_OK;
    size_t n = 0;
    GR_TRY(point_room(m, size * EXPANSION));
    for (size_t at = 0; at < size;) {
        uint32_t c = 0;
        int boundary = 0;
        at += gri_utf8_get(text + at, &c);
        utf8proc_ssize_t got =
            utf8proc_decompose_char((int32_t)c, m->points + n, EXPANSION,
                                    UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &boundary);
        GR_ASSERT(got >= 1 && got <= EXPANSION);
        n += (size_t)got;
    }
    order_marks(m, n);
    utf8proc_ssize_t composed = utf8proc_normalize_utf32(m->points, (utf8proc_ssize_t)n,
                                                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    GR_ASSERT(composed >= 0);
    *count = (size_t)composed;
done:
    return err;
}

/// Appends the stretch text[begin, end) in NFC, and before it what lies between *taken and it, unless the stretch is in
/// NFC already and nothing was changed before it.
static gr_err add_stretch(gri_nfc_memory *m, const char *text, size_t begin, size_t end,
                          size_t *taken, size_t *used)
{
    gr_err err = GR_OK;
    size_t count = 0;
    GR_TRY(compose(m, text + begin, end - begin, &count));
    // Room first, so that the encoded stretch can be compared where it will stay.
    GR_TRY(text_room(m, *used + (begin - *taken) + count * 4));
    char *to = m->text + *used + (begin - *taken);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += (size_t)utf8proc_encode_char(m->points[i], (utf8proc_uint8_t *)to + n);
    }
    if (n != end - begin || memcmp(to, text + begin, n) != 0) {
        memcpy(m->text + *used, text + *taken, begin - *taken);
        *used += begin - *taken + n;
        *taken = end;
    }
done:
    return err;
}

gr_err gri_nfc(const uint8_t *classes, gri_nfc_memory *memory, const char *text, size_t size,
               const char **out, size_t *out_size)
{
    gr_err err = GR_OK;
    size_t taken = 0, used = 0; // of text, of memory->text
    size_t before = 0, at = 0;  // the last character that is not movable, and the next one
    bool first = false;         // the last character may compose with the next
    while (at < size) {
        uint32_t c = 0;
        size_t n = gri_utf8_get(text + at, &c);
        if (!(classes[c] & GRI_NFC_MOVABLE)) {
            first = classes[c] & GRI_NFC_FIRST;
            before = at;
            at += n;
            continue;
        }
        size_t begin = first ? before : at;
        do {
            at += n;
            n = at < size ? gri_utf8_get(text + at, &c) : 0;
        } while (n && classes[c] & GRI_NFC_MOVABLE);
        GR_TRY(add_stretch(memory, text, begin, at, &taken, &used));
        first = false;
    }
    *out = text;
    *out_size = size;
    if (taken > 0) {
        GR_TRY(text_room(memory, used + size - taken));
        memcpy(memory->text + used, text + taken, size - taken);
        *out = memory->text;
        *out_size = used + size - taken;
    }
done:
    return err;
}
