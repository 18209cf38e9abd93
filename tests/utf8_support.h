#ifndef TESTS_UTF8_SUPPORT_H
#define TESTS_UTF8_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

/// Writes a code point in UTF-8 and returns its bytes, 1 to 4.
static inline size_t put_character(uint32_t c, char *to)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--) {
        to[i] = (char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    to[0] = (char)(lead[n] | c);
    return n;
}

#endif
