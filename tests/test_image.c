#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/image.h"
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const fixtures[] = {
    "grey1.png",
    "grey2.png",
    "grey4.png",
    "grey8.png",
    "grey16.png",
    "grey_trns.png",
    "grey_alpha.png",
    "rgb.png",
    "rgb_interlaced.png",
    "rgb16.png",
    "rgb_trns.png",
    "rgba_interlaced.png",
    "rgba16.png",
    "palette.png",
    "palette_trns.png",
    "rgb420.jpg",
    "palette_interlaced.png",
    "rgb444_progressive.jpg",
    "grey.jpg",
    "cmyk.jpg",
    "really_jpeg.png",
    "lossy.webp",
    "lossless.webp",
    "lossless_alpha.webp",
    "ycck.jpg",
    "adobe_rgb.jpg",
    "lossy_alpha.webp",
    "exif1.jpg",
    "exif2.jpg",
    "exif3.jpg",
    "exif4.jpg",
    "exif5.jpg",
    "exif6.jpg",
    "exif7.jpg",
    "exif8.jpg",
    "exif6.png",
    "exif8.webp",
    "xmp6.jpg",
    "xmp5.png",
    "xmp3.webp",
};
enum { FIXTURES = sizeof fixtures / sizeof fixtures[0], WIDTH = 11, HEIGHT = 7 };

/// A file of tests/fixtures/images, NAME with SUFFIX; NULL if it is not there.
static unsigned char *read_fixture(const char *name, const char *suffix, size_t *size)
{
    char *data = NULL;
    char *path =
        gr_str_format("%s/tests/fixtures/images/%s%s", getenv("GR_SOURCE_DIR"), name, suffix);
    if (path && gr_file_exists(path)) {
        GR_CHECK_OK(gr_file_read(path, 0, &data, size));
    }
    GR_FREE(path);
    return (unsigned char *)data;
}

static void check_pixels(const char *name, unsigned how, const char *suffix)
{
    bool turned = strcmp(suffix, ".upright.rgb") == 0 && name[strcspn(name, "12345678")] >= '5';
    size_t size = 0, wanted = 0;
    gr_image image = {0};
    unsigned char *data = read_fixture(name, "", &size);
    unsigned char *want = read_fixture(name, suffix, &wanted);
    GR_CHECK(data != NULL);
    GR_CHECK_INT((int64_t)wanted, WIDTH * HEIGHT * 3);
    if (GR_CHECK_OK(gr_image_decode(name, data, size, how, &image))) {
        GR_CHECK_INT(image.width, turned ? HEIGHT : WIDTH);
        GR_CHECK_INT(image.height, turned ? WIDTH : HEIGHT);
        if (!GR_CHECK_BYTES(image.rgb, want, wanted)) {
            printf("    in %s%s\n", name, suffix);
        }
    }
    gr_image_fini(&image);
    GR_FREE(data);
    GR_FREE(want);
}

static void test_pixels(void)
{
    int with_alpha = 0, with_exif = 0;
    for (int i = 0; i < FIXTURES; i++) {
        check_pixels(fixtures[i], 0, ".rgb");
        size_t size = 0;
        unsigned char *white = read_fixture(fixtures[i], ".white.rgb", &size);
        unsigned char *upright = read_fixture(fixtures[i], ".upright.rgb", &size);
        // Where there is no alpha, over_white changes nothing.
        check_pixels(fixtures[i], GR_IMAGE_OVER_WHITE, white ? ".white.rgb" : ".rgb");
        check_pixels(fixtures[i], GR_IMAGE_UPRIGHT, upright ? ".upright.rgb" : ".rgb");
        with_alpha += white != NULL;
        with_exif += upright != NULL;
        GR_FREE(upright);
        GR_FREE(white);
    }
    GR_CHECK_INT(with_alpha, 8);
    GR_CHECK_INT(with_exif, 13);
}

static void test_kind(void)
{
    GR_CHECK_STR(gr_image_kind("\x89PNG\r\n\x1a\n", 8), "png");
    GR_CHECK_STR(gr_image_kind("\xff\xd8\xff\xe0", 4), "jpeg");
    GR_CHECK_STR(gr_image_kind("RIFF\1\2\3\4WEBPVP8 ", 16), "webp");
    GR_CHECK(gr_image_kind("\x89PNG\r\n\x1a", 7) == NULL);
    GR_CHECK(gr_image_kind("RIFF\1\2\3\4WAVEfmt ", 16) == NULL);
    GR_CHECK(gr_image_kind("GIF89a", 6) == NULL);
    GR_CHECK(gr_image_kind("", 0) == NULL);
    size_t size = 0;
    unsigned char *data = read_fixture("really_jpeg.png", "", &size);
    GR_CHECK_STR(gr_image_kind(data, size), "jpeg");
    GR_FREE(data);
}

static void test_refused(void)
{
    gr_image image = {0};
    GR_CHECK_ERR(gr_image_decode("a.gif", "GIF89a", 6, 0, &image), GR_ERR_DATA,
                 "a.gif: neither PNG");
    GR_CHECK_ERR(gr_image_decode("b", "", 0, 0, &image), GR_ERR_DATA, "b: empty");
    size_t size = 0;
    unsigned char *data = read_fixture("animated.webp", "", &size);
    GR_CHECK_ERR(gr_image_decode("c", data, size, 0, &image), GR_ERR_DATA,
                 "c: an animated WebP");
    GR_FREE(data);
    GR_CHECK(image.rgb == NULL);
}

/// Every file cut at every length is refused or decodes (when only an end mark is gone), and nothing leaks.
static void test_truncated(void)
{
    for (int i = 0; i < FIXTURES; i++) {
        size_t size = 0;
        unsigned char *data = read_fixture(fixtures[i], "", &size);
        int64_t used = gr_mem_used();
        int decoded = 0;
        for (size_t n = 0; n < size; n++) {
            // A block of its own, so that the sanitizer sees a read past the end.
            unsigned char *cut = malloc(n + 1);
            memcpy(cut, data, n);
            unsigned char *exact = realloc(cut, n ? n : 1);
            gr_image image = {0};
            gr_err err = gr_image_decode("cut", exact, n, (unsigned)n % 4, &image);
            GR_CHECK(err == GR_OK || err == GR_ERR_DATA);
            GR_CHECK((err == GR_OK) == (image.rgb != NULL));
            decoded += err == GR_OK;
            gr_image_fini(&image);
            free(exact);
        }
        // WebP pads its chunks to an even size; JPEG and PNG need their last byte.
        GR_CHECK(decoded <= (strstr(fixtures[i], ".webp") ? 1 : 0));
        GR_CHECK_INT(gr_mem_used(), used);
        GR_FREE(data);
    }
}

/// One byte changed anywhere: no crash; PNG's checksums find all of them in the data.
static void test_damaged(void)
{
    for (int i = 0; i < FIXTURES; i++) {
        size_t size = 0;
        unsigned char *data = read_fixture(fixtures[i], "", &size);
        int64_t used = gr_mem_used();
        for (size_t at = 0; at < size; at++) {
            unsigned char old = data[at];
            data[at] = (unsigned char)(old ^ (1U << at % 8));
            gr_image image = {0};
            gr_err err = gr_image_decode("damaged", data, size,
                                         GR_IMAGE_OVER_WHITE | GR_IMAGE_UPRIGHT, &image);
            GR_CHECK(err == GR_OK || err == GR_ERR_DATA);
            gr_image_fini(&image);
            data[at] = old;
        }
        GR_CHECK_INT(gr_mem_used(), used);
        GR_FREE(data);
    }
}

static uint32_t crc_of(const unsigned char *data, size_t n)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++) {
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320U : crc >> 1;
        }
    }
    return ~crc;
}

static void put_u32(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (unsigned char)(value >> (24 - 8 * i));
    }
}

/// A header that promises more than may be, or than the file can hold, is refused before pixels are allocated.
static void check_png_size(uint32_t width, uint32_t height, const char *part)
{
    size_t size = 0;
    gr_image image = {0};
    unsigned char *data = read_fixture("rgb.png", "", &size);
    put_u32(data + 16, width);
    put_u32(data + 20, height);
    put_u32(data + 29, crc_of(data + 12, 17));
    int64_t requests = gr_mem_requests();
    GR_CHECK_ERR(gr_image_decode("huge", data, size, 0, &image), GR_ERR_DATA, part);
    GR_CHECK_INT(gr_mem_requests(), requests);
    GR_FREE(data);
}

static void test_absurd_size(void)
{
    check_png_size(2000000000, 2000000000, "huge: ");
    check_png_size(1 << 16, 1 << 15,
                   "65536 x 32768 pixels; expected 1 to 268435456 pixels"); // 2^31
    check_png_size(2000000, 1, "2000000 x 1 pixels");
    check_png_size(2000000, 1, "at most 1048576 a side");
    check_png_size(1 << 14, 1 << 14, "16384 x 16384 pixels cannot be in 306 bytes");
    check_png_size(0, 7, "huge: bad PNG");
    check_png_size(11, 0, "huge: bad PNG");
    size_t size = 0;
    gr_image image = {0};
    unsigned char *data = read_fixture("rgb420.jpg", "", &size);
    // The frame header: FF C0, length, precision, height, width.
    unsigned char *frame = memmem(data, size, "\xff\xc0", 2);
    GR_CHECK(frame != NULL);
    memset(frame + 5, 0xFF, 4);
    int64_t used = gr_mem_peak();
    GR_CHECK_ERR(gr_image_decode("huge", data, size, 0, &image), GR_ERR_DATA, "65500");
    frame[5] = frame[7] = 0x3F;
    GR_CHECK_ERR(gr_image_decode("huge", data, size, 0, &image), GR_ERR_DATA,
                 "16383 x 16383 pixels cannot be in 679 bytes");
    memset(frame + 5, 0, 2);
    GR_CHECK_ERR(gr_image_decode("empty", data, size, 0, &image), GR_ERR_DATA,
                 "empty: bad JPEG");
    GR_CHECK(gr_mem_peak() - used < 1 << 20);
    GR_FREE(data);
}

/// A grey progressive JPEG of 8 x 8 pixels in so many scans, all of which libjpeg takes for correct: each coefficient
/// of the one block, without its last bit, then the last bits.
static size_t write_scans(int scans, unsigned char out[4096])
{
    static const unsigned char frame[] = {0xFF, 0xC2, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0};
    size_t at = 0;
    memcpy(out, "\xff\xd8\xff\xdb\0\x43\0", 7);
    memset(out + 7, 1, 64);
    memcpy(out + 71, frame, sizeof frame);
    at = 71 + sizeof frame;
    for (int table = 0; table <= 0x10; table += 0x10) { // one code of one bit, for 0
        memset(out + at, 0, 22);
        memcpy(out + at, "\xff\xc4\0\x14", 4);
        out[at + 4] = (unsigned char)table;
        out[at + 5] = 1;
        at += 22;
    }
    for (int i = 0; i < scans; i++) {
        const int place = i < 64 ? i : i - 63, bits = i == 0 ? 0 : i < 64 ? 0x01 : 0x10;
        const unsigned char scan[] = {0xFF,
                                      0xDA,
                                      0,
                                      8,
                                      1,
                                      1,
                                      0,
                                      (unsigned char)place,
                                      (unsigned char)place,
                                      (unsigned char)bits,
                                      0x7F};
        memcpy(out + at, scan, sizeof scan);
        at += sizeof scan;
    }
    memcpy(out + at, "\xff\xd9", 2);
    return at + 2;
}

static void test_scans(void)
{
    unsigned char file[4096];
    gr_image image = {0};
    int64_t width = 0, height = 0;
    for (int scans = 1; scans <= 100; scans += 33) {
        size_t size = write_scans(scans, file);
        if (GR_CHECK_OK(gr_image_decode("scans", file, size, 0, &image))) {
            GR_CHECK_INT(image.rgb[0], 128);
            GR_CHECK_INT(image.rgb[191], 128);
        }
        gr_image_fini(&image);
    }
    for (int scans = 101; scans <= 127; scans += 26) {
        size_t size = write_scans(scans, file);
        GR_CHECK_ERR(gr_image_decode("scans", file, size, 0, &image), GR_ERR_DATA,
                     "scans: bad JPEG: more than 100 scans");
        GR_CHECK_OK(gr_image_size("scans", file, size, 0, &width, &height));
    }
}

/// WebP stores its sides less 1 in 14 bits (lossless) or has 24 bits of canvas: 0 pixels cannot be said, and more than
/// 16383 a side only in a header that the picture behind it contradicts.
static void test_absurd_webp(void)
{
    size_t size = 0;
    gr_image image = {0};
    unsigned char *data = read_fixture("lossy.webp", "", &size);
    // "VP8 ", size, 3 bytes of frame tag, 9D 01 2A, width, height.
    unsigned char *frame = memmem(data, size, "\x9d\x01\x2a", 3);
    GR_CHECK(frame != NULL);
    frame[3] = 0;
    GR_CHECK_ERR(gr_image_decode("empty", data, size, 0, &image), GR_ERR_DATA,
                 "empty: bad WebP");
    frame[3] = 0xFF;
    frame[4] = 0x3F;
    frame[5] = 0xFF;
    frame[6] = 0x3F;
    GR_CHECK_ERR(gr_image_decode("huge", data, size, 0, &image), GR_ERR_DATA, "huge: bad WebP");
    GR_FREE(data);
    data = read_fixture("lossy_alpha.webp", "", &size);
    unsigned char *canvas = memmem(data, size, "VP8X", 4);
    GR_CHECK(canvas != NULL);
    memset(canvas + 12, 0xFF, 6); // 2^24 x 2^24
    GR_CHECK_ERR(gr_image_decode("huge", data, size, 0, &image), GR_ERR_DATA, "huge: bad WebP");
    GR_CHECK(image.rgb == NULL);
    GR_FREE(data);
}

static void test_allocation_failures(void)
{
    static const char *const names[] = {"rgba16.png", "cmyk.jpg", "lossless_alpha.webp",
                                        "exif6.jpg"};
    for (int i = 0; i < 4; i++) {
        size_t size = 0;
        unsigned char *data = read_fixture(names[i], "", &size);
        int64_t used = gr_mem_used();
        int failures = 0;
        gr_err err = GR_ERR_MEMORY;
        for (int n = 1; err == GR_ERR_MEMORY && n < 20; n++) {
            gr_image image = {0};
            gr_mem_fail_at(n);
            err = gr_image_decode(names[i], data, size, GR_IMAGE_OVER_WHITE | GR_IMAGE_UPRIGHT,
                                  &image);
            gr_mem_fail_at(0);
            failures += err == GR_ERR_MEMORY;
            gr_image_fini(&image);
            GR_CHECK_INT(gr_mem_used(), used);
        }
        GR_CHECK_OK(err);
        GR_CHECK(failures >= 2);
        GR_FREE(data);
    }
}

/// What is written is read again, at any size, also when memory ends.
static void test_png_write(void)
{
    unsigned char rgb[37 * 11 * 3];
    for (size_t i = 0; i < sizeof rgb; i++) {
        rgb[i] = (unsigned char)(i * i * 7 + i);
    }
    const gr_image images[] = {
        {.width = 37, .height = 11, .rgb = rgb},
        {.width = 1, .height = 1, .rgb = rgb},
        {.width = 1, .height = 407, .rgb = rgb},
    };
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        unsigned char *png = NULL;
        size_t size = 0;
        gr_image back = {0};
        gr_mem_fail_at(1);
        GR_CHECK_INT(gr_image_encode_png(&images[i], &png, &size), GR_ERR_MEMORY);
        gr_mem_fail_at(0);
        if (GR_CHECK_OK(gr_image_encode_png(&images[i], &png, &size)) &&
            GR_CHECK_STR(gr_image_kind(png, size), "png") &&
            GR_CHECK_OK(gr_image_decode("png", png, size, 0, &back)) &&
            GR_CHECK_INT(back.width, images[i].width) &&
            GR_CHECK_INT(back.height, images[i].height)) {
            GR_CHECK_BYTES(back.rgb, rgb, (size_t)(back.width * back.height * 3));
        }
        gr_image_fini(&back);
        GR_FREE(png);
    }
    const gr_image none = {.width = 0, .height = 3, .rgb = rgb};
    unsigned char *png = NULL;
    size_t size = 0;
    GR_CHECK_ERR(gr_image_encode_png(&none, &png, &size), GR_ERR_FAILED, "0 x 3 pixels");
}

static const gr_test tests[] = {
    {"pixels", test_pixels},
    {"kind", test_kind},
    {"refused", test_refused},
    {"truncated", test_truncated},
    {"damaged", test_damaged},
    {"absurd_size", test_absurd_size},
    {"absurd_webp", test_absurd_webp},
    {"scans", test_scans},
    {"allocation_failures", test_allocation_failures},
    {"PNG written", test_png_write},
};
GR_TEST_MAIN("image", tests)
