#include "src/formats/tokenizer_parts.h"

#include <string.h>

/// GPT-2's reversible map: printable bytes are the characters of the same number, the other 68 bytes follow from U+0100.

static bool printable(unsigned byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/// How many unprintable bytes are smaller than `byte`.
static unsigned unprintable_below(unsigned byte)
{
    return byte <= 32 ? byte : byte <= 160 ? 33 + (byte - 127) : 67;
}

static int byte_of(unsigned character)
{
    if (character < 0x100) {
        return printable(character) ? (int)character : -1;
    }
    unsigned n = character - 0x100;
    return n < 33 ? (int)n : n < 67 ? (int)(127 + n - 33) : n == 67 ? 173 : -1;
}

size_t gri_symbols_of(const void *bytes, size_t n, char *symbols)
{
    const unsigned char *in = bytes;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned c = printable(in[i]) ? in[i] : 0x100 + unprintable_below(in[i]);
        if (c < 0x80) {
            symbols[used++] = (char)c;
        } else {
            symbols[used++] = (char)(0xC0 | c >> 6);
            symbols[used++] = (char)(0x80 | (c & 0x3F));
        }
    }
    symbols[used] = '\0';
    return used;
}

bool gri_symbols_to_bytes(const char *symbols, char *bytes, size_t *n)
{
    size_t used = 0;
    for (const unsigned char *p = (const unsigned char *)symbols; *p; p++) {
        unsigned c = *p;
        if (c >= 0x80) {
            bool two = (c & 0xE0) == 0xC0 && (p[1] & 0xC0) == 0x80;
            if (!two) {
                return false;
            }
            c = (c & 0x1FU) << 6 | (p[1] & 0x3FU);
            p++;
        }
        int byte = byte_of(c);
        if (byte < 0) {
            return false;
        }
        bytes[used++] = (char)byte;
    }
    *n = used;
    return true;
}
