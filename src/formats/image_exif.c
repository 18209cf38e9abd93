#include "src/base/mem.h"
#include "src/formats/image_codec.h"

#include <string.h>

/// EXIF orientation: one number, found the same way in all three containers. Nothing here can fail: what is broken or
/// out of place says nothing about the pixels, and the picture counts as upright. XMP is not read.

enum { UPRIGHT = 1, TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY = 12 };

typedef struct span {
    const unsigned char *data;
    size_t size;
} span;

static uint32_t read_int(const unsigned char *p, int bytes, bool little)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value = value << 8 | p[little ? bytes - 1 - i : i];
    }
    return value;
}

/// A TIFF header and its first directory: byte order, 42, offset; count, then entries of tag, type, count, value.
static int orientation_of_tiff(span s)
{
    if (s.size >= 6 && memcmp(s.data, "Exif\0\0", 6) == 0) {
        s = (span){s.data + 6, s.size - 6};
    }
    if (s.size < 8 || (memcmp(s.data, "II*\0", 4) != 0 && memcmp(s.data, "MM\0*", 4) != 0)) {
        return UPRIGHT;
    }
    bool little = s.data[0] == 'I';
    size_t at = read_int(s.data + 4, 4, little);
    if (at > s.size - 2) {
        return UPRIGHT;
    }
    size_t entries = read_int(s.data + at, 2, little);
    for (at += 2; entries > 0 && s.size - at >= ENTRY; entries--, at += ENTRY) {
        const unsigned char *entry = s.data + at;
        if (read_int(entry, 2, little) == TAG_ORIENTATION) {
            uint32_t value = read_int(entry + 8, 2, little);
            bool good = read_int(entry + 2, 2, little) == TYPE_SHORT &&
                        read_int(entry + 4, 4, little) == 1 && value >= 1 && value <= 8;
            return good ? (int)value : UPRIGHT;
        }
    }
    return UPRIGHT;
}

/// Segments of FF, kind, 16-bit size with its own two bytes; up to the first scan.
static span find_in_jpeg(span s)
{
    size_t at = 2;
    while (s.size - at >= 4 && s.data[at] == 0xFF) {
        unsigned kind = s.data[at + 1];
        if (kind == 0xFF) { // fill byte
            at++;
            continue;
        }
        size_t size = read_int(s.data + at + 2, 2, false);
        if (kind == 0xDA || size < 2 || size > s.size - at - 2) {
            break;
        }
        if (kind == 0xE1 && size >= 8 && memcmp(s.data + at + 4, "Exif\0\0", 6) == 0) {
            return (span){s.data + at + 4, size - 2};
        }
        at += 2 + size;
    }
    return (span){0};
}

/// Chunks of size, kind, data, checksum.
static span find_in_png(span s)
{
    size_t at = 8;
    while (s.size - at >= 12) {
        size_t size = read_int(s.data + at, 4, false);
        if (size > s.size - at - 12) {
            break;
        }
        if (memcmp(s.data + at + 4, "eXIf", 4) == 0) {
            return (span){s.data + at + 8, size};
        }
        at += 12 + size;
    }
    return (span){0};
}

/// Chunks of kind, size, data, padded to even sizes.
static span find_in_webp(span s)
{
    size_t at = 12;
    while (s.size - at >= 8) {
        size_t size = read_int(s.data + at + 4, 4, true);
        if (size > s.size - at - 8) {
            break;
        }
        if (memcmp(s.data + at, "EXIF", 4) == 0) {
            return (span){s.data + at + 8, size};
        }
        at += 8 + size;
        at += at < s.size ? size % 2 : 0;
    }
    return (span){0};
}

int gr_image_orientation(const void *data, size_t size)
{
    const char *kind = gr_image_kind(data, size);
    const span file = {data, size};
    span exif = {0};
    if (kind && strcmp(kind, "jpeg") == 0) {
        exif = find_in_jpeg(file);
    } else if (kind && strcmp(kind, "png") == 0) {
        exif = find_in_png(file);
    } else if (kind) {
        exif = find_in_webp(file);
    }
    return exif.data ? orientation_of_tiff(exif) : UPRIGHT;
}

gr_err gri_image_turn(int orientation, gr_image *image)
{
    gr_err err = GR_OK;
    gr_image out = {0};
    if (orientation == UPRIGHT) {
        return GR_OK;
    }
    // Bits of the eight ways: which of the stored axes run backwards, and whether they change places.
    bool back_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool back_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    bool swapped = orientation >= 5;
    out.width = swapped ? image->height : image->width;
    out.height = swapped ? image->width : image->height;
    GR_ALLOC(out.rgb, out.width * out.height * 3);
    unsigned char *to = out.rgb;
    for (int64_t y = 0; y < out.height; y++) {
        for (int64_t x = 0; x < out.width; x++, to += 3) {
            int64_t from_x = swapped ? y : x, from_y = swapped ? x : y;
            from_x = back_x ? image->width - 1 - from_x : from_x;
            from_y = back_y ? image->height - 1 - from_y : from_y;
            memcpy(to, image->rgb + (from_y * image->width + from_x) * 3, 3);
        }
    }
    gr_image_fini(image);
    *image = out;
done:
    return err;
}
