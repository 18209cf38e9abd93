/// The orientation that a file's own EXIF or XMP says. What Pillow makes of many more blocks: tests/reference/check_exif.py.

#include "src/formats/image.h"
#include "tests/check.h"

#include <stdio.h>
#include <string.h>

/// A JPEG file's beginning that carries these bytes as its EXIF block.
static int orientation_of(const void *exif, size_t size)
{
    unsigned char file[256] = {0xFF, 0xD8, 0xFF, 0xFF, 0xE1, 0}; // with a fill byte
    file[6] = (unsigned char)(size + 8);
    memcpy(file + 7, "Exif\0\0", 6);
    memcpy(file + 13, exif, size);
    return gr_image_orientation(file, 13 + size);
}

/// The same with XMP behind it.
static int orientation_of_both(const void *exif, size_t size, const char *xmp)
{
    unsigned char file[512] = {0xFF, 0xD8, 0xFF, 0xE1, 0};
    size_t at = 12 + size, n = strlen(xmp);
    file[5] = (unsigned char)(size + 8);
    memcpy(file + 6, "Exif\0\0", 6);
    memcpy(file + 12, exif, size);
    const unsigned char marker[4] = {0xFF, 0xE1, 0, (unsigned char)(2 + 29 + n)};
    memcpy(file + at, marker, 4);
    memcpy(file + at + 4, "http://ns.adobe.com/xap/1.0/\0", 29);
    memcpy(file + at + 33, xmp, n);
    return gr_image_orientation(file, at + 33 + n);
}

/// XMP counts where EXIF does not say it, by the first spelling that has a digit.
static void test_xmp(void)
{
    static const unsigned char says_6[26] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1,
                                             3,   0,   1,  0, 0, 0, 6, 0, 0, 0, 0,    0};
    static const struct {
        const char *xmp;
        int want;
    } cases[] = {
        {"", 1},
        {"tiff:Orientation=\"3\"", 3},
        {"<tiff:Orientation>8<", 8},
        {"tiff:Orientation='3'", 1},
        {"tiff:Orientation", 1},
        {"tiff:Orientation=", 1},
        {"tiff:Orientation=\"", 1},
        {"tiff:Orientation=\"x tiff:Orientation>2", 2},
        {"tiff:Orientation>0 tiff:Orientation>2", 1},
        {"tiff:Orientation>9", 1},
        {"tiff:orientation>2", 1},
    };
    unsigned char silent[26];
    memcpy(silent, says_6, 26);
    silent[10] = 0x13;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        GR_CHECK_INT(orientation_of_both(silent, 26, cases[i].xmp), cases[i].want);
        GR_CHECK_INT(orientation_of_both("no EXIF", 7, cases[i].xmp), cases[i].want);
        GR_CHECK_INT(orientation_of_both(says_6, 26, cases[i].xmp), 6);
    }
}

/// What is broken or lies counts as upright.
static void test_orientation(void)
{
    static const unsigned char good[26] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1,
                                           3,   0,   1,  0, 0, 0, 6, 0, 0, 0, 0,    0};
    static const struct {
        int at;
        unsigned char value;
        int want;
    } changes[] = {{18, 8, 8},    {18, 1, 1},  {18, 0, 1}, {18, 9, 1},  {19, 1, 1},
                   {12, 4, 6},    {14, 2, 6},  {14, 0, 1}, {0, 'M', 1}, {2, 43, 1},
                   {4, 200, 1},   {7, 255, 1}, {8, 0, 1},  {8, 255, 6}, {9, 255, 6},
                   {10, 0x13, 1}, {20, 77, 6}, {12, 14, 1}};
    GR_CHECK_INT(orientation_of(good, 26), 6);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        unsigned char bytes[26];
        memcpy(bytes, good, 26);
        bytes[changes[i].at] = changes[i].value;
        if (!GR_CHECK_INT(orientation_of(bytes, 26), changes[i].want)) {
            printf("    change %zu\n", i);
        }
    }
    for (size_t n = 0; n < 26; n++) {
        GR_CHECK_INT(orientation_of(good, n), n < 22 ? 1 : 6);
    }
    GR_CHECK_INT(gr_image_orientation("GIF89a", 6), 1);
    GR_CHECK_INT(gr_image_orientation("", 0), 1);
}

/// One entry: its type, how many values, and these as a big-endian file has them.
typedef struct field {
    unsigned type, count;
    int size; ///< bytes of the values; more than 4 stand behind the directory
    const char *values;
    int want; ///< what exif_transpose of Pillow 11.3 makes of it
} field;

/// By type: the bytes of each number in it, which change places with the byte order; a rational has two numbers.
static const int number_size[] = {1, 1, 1, 2, 4, 4, 1, 1, 2, 4, 4, 4, 8, 4, 2, 1, 8};

static void put(unsigned char *to, uint32_t value, int bytes, bool little)
{
    for (int i = 0; i < bytes; i++) {
        to[little ? i : bytes - 1 - i] = (unsigned char)(value >> 8 * i);
    }
}

/// A TIFF whose directory holds these entries, all of them for the orientation. Returns its size.
static size_t make_tiff(const field *fields, uint32_t count, bool little,
                        unsigned char out[128])
{
    size_t behind = 10 + 12 * (size_t)count + 4;
    memset(out, 0, 128);
    memcpy(out, little ? "II" : "MM", 2);
    put(out + 2, 42, 2, little);
    put(out + 4, 8, 4, little);
    put(out + 8, count, 2, little);
    for (uint32_t i = 0; i < count; i++) {
        const field *f = &fields[i];
        unsigned char *entry = out + 10 + 12 * i, *to = f->size > 4 ? out + behind : entry + 8;
        put(entry, 0x0112, 2, little);
        put(entry + 2, f->type, 2, little);
        put(entry + 4, f->count, 4, little);
        if (f->size > 4) {
            put(entry + 8, (uint32_t)behind, 4, little);
            behind += (size_t)f->size;
        }
        for (int k = 0; k < f->size; k++) {
            const int n = number_size[f->type], inside = k % n;
            to[k] = (unsigned char)f->values[little ? k - inside + n - 1 - inside : k];
        }
    }
    return behind;
}

static int orientation_in_png(const unsigned char *exif, size_t size)
{
    unsigned char file[256] = "\x89PNG\r\n\x1a\n";
    put(file + 8, (uint32_t)size, 4, false);
    memcpy(file + 12, "eXIf", 4);
    memcpy(file + 16, exif, size);
    return gr_image_orientation(file, 16 + size + 4);
}

static int orientation_in_webp(const unsigned char *exif, size_t size)
{
    unsigned char file[256] = "RIFF....WEBPEXIF";
    put(file + 16, (uint32_t)size, 4, true);
    memcpy(file + 20, exif, size);
    return gr_image_orientation(file, 20 + size);
}

static void check_fields(const field *fields, uint32_t count, int want)
{
    for (int little = 0; little < 2; little++) {
        unsigned char exif[128];
        const size_t size = make_tiff(fields, count, little, exif);
        if (!GR_CHECK_INT(orientation_of(exif, size), want) ||
            !GR_CHECK_INT(orientation_in_png(exif, size), want) ||
            !GR_CHECK_INT(orientation_in_webp(exif, size), want)) {
            printf("    type %u, %u values\n", fields[0].type, fields[0].count);
        }
    }
}

/// Numbers of any type count, bytes and texts do not.
static void test_types(void)
{
    static const field fields[] = {
        {1, 1, 1, "\6", 1},   // BYTE
        {2, 2, 2, "6\0", 1},  // ASCII
        {3, 1, 2, "\0\6", 6}, // SHORT
        {3, 2, 4, "\0\6\0\3", 6},
        {3, 3, 6, "\0\5\0\3\0\1", 5},
        {3, 1, 2, "\1\6", 1},
        {3, 1, 2, "\0\0", 1},
        {4, 1, 4, "\0\0\0\6", 6}, // LONG
        {4, 1, 4, "\0\1\0\6", 1},
        {4, 2, 8, "\0\0\0\7\0\0\0\3", 7},
        {5, 1, 8, "\0\0\0\6\0\0\0\1", 6}, // RATIONAL
        {5, 1, 8, "\0\0\0\30\0\0\0\3", 8},
        {5, 1, 8, "\0\0\0\7\0\0\0\2", 1},
        {5, 1, 8, "\0\0\0\6\0\0\0\0", 1},
        {5, 1, 8, "\0\0\0\0\0\0\0\0", 1},
        {6, 1, 1, "\6", 6}, // SBYTE
        {6, 1, 1, "\372", 1},
        {6, 5, 5, "\3\6\6\6\6", 3},
        {7, 1, 1, "\6", 1},   // UNDEFINED
        {8, 1, 2, "\0\2", 2}, // SSHORT
        {8, 1, 2, "\377\372", 1},
        {9, 1, 4, "\0\0\0\4", 4}, // SLONG
        {9, 1, 4, "\377\377\377\372", 1},
        {10, 1, 8, "\0\0\0\6\0\0\0\1", 6}, // SRATIONAL
        {10, 1, 8, "\377\377\377\372\377\377\377\377", 6},
        {10, 1, 8, "\377\377\377\372\0\0\0\1", 1},
        {11, 1, 4, "\100\300\0\0", 6},        // FLOAT
        {11, 1, 4, "\100\320\0\0", 1},        // 6.5
        {11, 1, 4, "\177\300\0\0", 1},        // NaN
        {12, 1, 8, "\100\30\0\0\0\0\0\0", 6}, // DOUBLE
        {12, 1, 8, "\100\30\0\0\0\0\0\1", 1},
        {12, 1, 8, "\177\360\0\0\0\0\0\0", 1}, // infinite
        {13, 1, 4, "\0\0\0\5", 5},             // IFD
        {14, 1, 2, "\0\6", 1},                 // no type
        {16, 1, 8, "\0\0\0\0\0\0\0\10", 8},    // LONG8
        {16, 1, 8, "\0\0\0\1\0\0\0\6", 1},
        {4, 0, 0, "", 1},
        {4, 9, 8, "\0\0\0\6\0\0\0\6", 1}, // reaches out of the file
        {16, 0xFFFFFFFF, 8, "\0\0\0\0\0\0\0\6", 1},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        check_fields(&fields[i], 1, fields[i].want);
    }
}

/// The last of several entries counts that has a value, and none behind one whose value is out of the file.
static void test_entries(void)
{
    static const field six = {4, 1, 4, "\0\0\0\6", 0}, three = {3, 1, 2, "\0\3", 0},
                       text = {2, 1, 1, "6", 0}, none = {3, 0, 0, "", 0},
                       untyped = {14, 1, 2, "\0\3", 0}, out = {4, 99, 8, "\0\0\0\3\0\0\0\3", 0};
    const struct {
        field fields[3];
        uint32_t count;
        int want;
    } cases[] = {
        {{six, three}, 2, 3}, {{three, six}, 2, 6},      {{six, text}, 2, 1},
        {{six, none}, 2, 6},  {{six, untyped}, 2, 6},    {{none, six}, 2, 6},
        {{out, six}, 2, 1},   {{three, out, six}, 3, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_fields(cases[i].fields, cases[i].count, cases[i].want);
    }
}

/// The block's own beginning may be there twice, and 42 in the wrong order.
static void test_beginning(void)
{
    static const field six = {4, 1, 4, "\0\0\0\6", 0};
    unsigned char block[140] = "Exif\0";
    const size_t size = make_tiff(&six, 1, true, block + 6);
    GR_CHECK_INT(orientation_of(block, size + 6), 6);
    GR_CHECK_INT(orientation_in_png(block, size + 6), 6);
    memcpy(block + 8, "\0*", 2);
    GR_CHECK_INT(orientation_of(block + 6, size), 6);
    memcpy(block + 6, "MM*\0", 4);
    GR_CHECK_INT(orientation_of(block + 6, size), 1); // the offset is another now
    memcpy(block + 6, "MI*\0", 4);
    GR_CHECK_INT(orientation_of(block + 6, size), 1);
}

static const gr_test tests[] = {
    {"orientation", test_orientation}, {"types", test_types}, {"entries", test_entries},
    {"beginning", test_beginning},     {"xmp", test_xmp},
};
GR_TEST_MAIN("image_exif", tests)
