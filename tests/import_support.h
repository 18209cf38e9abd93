#ifndef TESTS_IMPORT_SUPPORT_H
#define TESTS_IMPORT_SUPPORT_H

/// Sources of imports made in memory: a small picture, tar archives (also bad ones, so by no library), base64.

#include "src/base/str.h"
#include "tests/check.h"

#include <stdio.h>
#include <string.h>

/// 4 x 2 pixels with alpha: the left half opaque red, the right half transparent green.
static const unsigned char png_4x2[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
    0x44, 0x52, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x02, 0x08, 0x06, 0x00, 0x00,
    0x00, 0x7f, 0xa8, 0x7d, 0x63, 0x00, 0x00, 0x00, 0x1a, 0x49, 0x44, 0x41, 0x54, 0x78,
    0xda, 0x5d, 0xc1, 0x31, 0x01, 0x00, 0x00, 0x0c, 0x02, 0x20, 0x5c, 0xff, 0xce, 0xfa,
    0x0f, 0x52, 0x0a, 0xd1, 0xc0, 0x79, 0x06, 0x56, 0x3f, 0x03, 0x03, 0xda, 0x57, 0x8c,
    0x4c, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
};

static inline void add_bytes(gr_str *s, const void *data, size_t size)
{
    GR_CHECK_OK(gr_str_add_bytes(s, data, size));
}

/// One entry: '0' a file, '1' a hard link, '2' a link (to `link`), '5' a folder.
static inline void tar_add(gr_str *tar, const char *name, char type, const char *link,
                           const void *data, size_t size)
{
    static const char zeros[512];
    char header[512] = "";
    unsigned sum = 0;
    snprintf(header, 100, "%s", name);
    snprintf(header + 100, 8, "%07o", 0644);
    snprintf(header + 108, 8, "%07o", 0);
    snprintf(header + 116, 8, "%07o", 0);
    snprintf(header + 124, 12, "%011zo", size);
    snprintf(header + 136, 12, "%011o", 0);
    memset(header + 148, ' ', 8);
    header[156] = type;
    snprintf(header + 157, 100, "%s", link ? link : "");
    memcpy(header + 257, "ustar\00000", 8);
    for (int i = 0; i < 512; i++) {
        sum += (unsigned char)header[i];
    }
    snprintf(header + 148, 8, "%06o", sum);
    add_bytes(tar, header, sizeof header);
    add_bytes(tar, data, size);
    add_bytes(tar, zeros, (512 - size % 512) % 512);
}

static inline void tar_text(gr_str *tar, const char *name, const char *text)
{
    tar_add(tar, name, '0', NULL, text, strlen(text));
}

static inline void tar_png(gr_str *tar, const char *name)
{
    tar_add(tar, name, '0', NULL, png_4x2, sizeof png_4x2);
}

static inline void tar_end(gr_str *tar)
{
    static const char zeros[1024];
    add_bytes(tar, zeros, sizeof zeros);
}

static inline void base64_add(gr_str *s, const unsigned char *data, size_t size)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        unsigned word = (unsigned)data[i] << 16 |
                        (i + 1 < size ? (unsigned)data[i + 1] << 8 : 0) |
                        (i + 2 < size ? data[i + 2] : 0u);
        char four[4];
        for (int k = 0; k < 4; k++) {
            four[k] = i + (size_t)k <= size ? digits[word >> (18 - 6 * k) & 63] : '=';
        }
        add_bytes(s, four, 4);
    }
}

#endif
