#include "src/base/mem.h"
#include "src/formats/image_codec.h"

#include <string.h>

/// Orientation: one number, found the same way in all three containers; in EXIF, and where that does not say it in XMP, as
/// exif_transpose of Pillow 11 finds it, whatever the type of the number. Nothing here can fail: what is broken or out of
/// place says nothing about the pixels, and the picture counts as upright. XMP that a PNG holds compressed is not read (Pillow does).

enum { UNSAID = 0, UPRIGHT = 1, TAG_ORIENTATION = 0x0112, ENTRY = 12, INSIDE = 4 };

typedef struct span {
    const unsigned char *data;
    size_t size;
} span;

static uint64_t read_int(const unsigned char *p, int bytes, bool little)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value = value << 8 | p[little ? bytes - 1 - i : i];
    }
    return value;
}

/// The types of a field.
enum tiff_type {
    BYTE = 1, // these three are bytes and no numbers
    ASCII = 2,
    UNDEFINED = 7,
    SHORT = 3,
    LONG = 4,
    RATIONAL = 5,
    SBYTE = 6,
    SSHORT = 8,
    SLONG = 9,
    SRATIONAL = 10,
    FLOAT = 11,
    DOUBLE = 12,
    IFD = 13,
    LONG8 = 16,
    TYPES
};
static const unsigned char type_size[TYPES] = {
    [BYTE] = 1,     [ASCII] = 1,  [UNDEFINED] = 1, [SHORT] = 2, [LONG] = 4,
    [RATIONAL] = 8, [SBYTE] = 1,  [SSHORT] = 2,    [SLONG] = 4, [SRATIONAL] = 8,
    [FLOAT] = 4,    [DOUBLE] = 8, [IFD] = 4,       [LONG8] = 8,
};

/// What a value says. Negative integers need no care: read as unsigned they are far from 1 to 8.
static int orientation_of_value(unsigned type, const unsigned char *p, bool little)
{
    const uint64_t bits = read_int(p, type_size[type], little);
    double value = (double)bits;
    if (type == BYTE || type == ASCII || type == UNDEFINED) {
        return UPRIGHT;
    }
    if (type == FLOAT) {
        const uint32_t half = (uint32_t)bits;
        float single;
        memcpy(&single, &half, sizeof single);
        value = (double)single;
    } else if (type == DOUBLE) {
        memcpy(&value, &bits, sizeof value);
    } else if (type == RATIONAL) {
        value = (double)read_int(p, 4, little) / (double)read_int(p + 4, 4, little);
    } else if (type == SRATIONAL) {
        value = (double)(int32_t)read_int(p, 4, little) /
                (double)(int32_t)read_int(p + 4, 4, little);
    }
    for (int i = 2; i <= 8; i++) {
        if (value == i) { // never when it is not finite
            return i;
        }
    }
    return UPRIGHT;
}

/// Byte order and 42, which may stand in the other order.
static bool is_tiff(span s)
{
    return s.size >= 8 && (memcmp(s.data, "II*\0", 4) == 0 || memcmp(s.data, "MM\0*", 4) == 0 ||
                           memcmp(s.data, "II\0*", 4) == 0 || memcmp(s.data, "MM*\0", 4) == 0);
}

/// A TIFF header and its first directory: byte order, 42, offset; count, then entries of tag, type, count and the value, or its
/// offset where it takes more than four bytes. The last entry counts, the first of its values; a value out of the file
/// ends the directory. UNSAID without an entry that has a value.
static int orientation_of_tiff(span s)
{
    int said = UNSAID;
    while (s.size >= 6 && memcmp(s.data, "Exif\0\0", 6) == 0) {
        s = (span){s.data + 6, s.size - 6};
    }
    if (!is_tiff(s)) {
        return UNSAID;
    }
    bool little = s.data[0] == 'I';
    size_t at = read_int(s.data + 4, 4, little);
    if (at > s.size - 2) {
        return UNSAID;
    }
    size_t entries = read_int(s.data + at, 2, little);
    for (at += 2; entries > 0 && s.size - at >= ENTRY; entries--, at += ENTRY) {
        const unsigned char *entry = s.data + at, *value = entry + 8;
        const uint64_t type = read_int(entry + 2, 2, little),
                       offset = read_int(value, 4, little);
        const uint64_t size =
            type < TYPES ? type_size[type] * read_int(entry + 4, 4, little) : 0;
        if (size > INSIDE && (offset > s.size || size > s.size - offset)) {
            break;
        }
        if (size > 0 && read_int(entry, 2, little) == TAG_ORIENTATION) {
            said = orientation_of_value((unsigned)type, size > INSIDE ? s.data + offset : value,
                                        little);
        }
    }
    return said;
}

/// The first tiff:Orientation="6" or <tiff:Orientation>6 in the text.
static int orientation_of_xmp(span s)
{
    static const char name[] = "tiff:Orientation";
    const size_t n = sizeof name - 1;
    const unsigned char *at = s.data, *end = s.data + s.size;
    while (at && (at = memmem(at, (size_t)(end - at), name, n)) != NULL) {
        at += n;
        size_t left = (size_t)(end - at);
        size_t skip = left >= 2 && memcmp(at, "=\"", 2) == 0 ? 2
                      : left >= 1 && *at == '>'              ? 1
                                                             : 0;
        if (skip && left > skip && at[skip] >= '0' && at[skip] <= '9') {
            int value = at[skip] - '0';
            return value >= 1 && value <= 8 ? value : UPRIGHT;
        }
    }
    return UNSAID;
}

/// Where a container keeps a piece: in chunks of this kind that begin with these bytes.
typedef struct place {
    const char *png, *webp; ///< names of chunks
    const char *jpeg, *png_text;
    size_t jpeg_size, png_text_size;
} place;
static const place in_exif = {"eXIf", "EXIF", "Exif\0\0", "", 6, 0};
// In PNG a keyword, its NUL and 0 for "not compressed".
static const place in_xmp = {
    "iTXt", "XMP ", "http://ns.adobe.com/xap/1.0/\0", "XML:com.adobe.xmp\0\0", 29, 19};

static bool begins_with(span s, const char *bytes, size_t n)
{
    return s.size >= n && memcmp(s.data, bytes, n) == 0;
}

/// Segments of FF, kind, 16-bit size with its own two bytes; up to the first scan.
static span find_in_jpeg(span s, const place *what)
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
        const span piece = {s.data + at + 4, size - 2};
        if (kind == 0xE1 && begins_with(piece, what->jpeg, what->jpeg_size)) {
            return piece;
        }
        at += 2 + size;
    }
    return (span){0};
}

/// Chunks of size, kind, data, checksum.
static span find_in_png(span s, const place *what)
{
    size_t at = 8;
    while (s.size - at >= 12) {
        size_t size = read_int(s.data + at, 4, false);
        if (size > s.size - at - 12) {
            break;
        }
        const span piece = {s.data + at + 8, size};
        if (memcmp(s.data + at + 4, what->png, 4) == 0 &&
            begins_with(piece, what->png_text, what->png_text_size)) {
            return piece;
        }
        at += 12 + size;
    }
    return (span){0};
}

/// Chunks of kind, size, data, padded to even sizes.
static span find_in_webp(span s, const place *what)
{
    size_t at = 12;
    while (s.size - at >= 8) {
        size_t size = read_int(s.data + at + 4, 4, true);
        if (size > s.size - at - 8) {
            break;
        }
        if (memcmp(s.data + at, what->webp, 4) == 0) {
            return (span){s.data + at + 8, size};
        }
        at += 8 + size;
        at += at < s.size ? size % 2 : 0;
    }
    return (span){0};
}

static span find(span file, const place *what)
{
    const char *kind = gr_image_kind(file.data, file.size);
    if (!kind) {
        return (span){0};
    }
    return strcmp(kind, "jpeg") == 0  ? find_in_jpeg(file, what)
           : strcmp(kind, "png") == 0 ? find_in_png(file, what)
                                      : find_in_webp(file, what);
}

int gr_image_orientation(const void *data, size_t size)
{
    const span file = {data, size}, exif = find(file, &in_exif), xmp = find(file, &in_xmp);
    int said = exif.data ? orientation_of_tiff(exif) : UNSAID;
    if (said == UNSAID && xmp.data) {
        said = orientation_of_xmp(xmp);
    }
    return said == UNSAID ? UPRIGHT : said;
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
