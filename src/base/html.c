#include "src/base/html.h"

#include "src/base/utf8_private.h"

/// What stands for the sequence of n bytes at `p`, NULL: itself.
static const char *entity(const unsigned char *p, size_t n)
{
    static const char replacement[] = "&#xfffd;";
    switch (p[0]) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\t':
    case '\n':
        return NULL;
    default: // control characters of one byte and (0x80 to 0x9f) of two
        return n == 0 || p[0] < 0x20 || p[0] == 0x7f || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)
                   ? replacement
                   : NULL;
    }
}

gr_err gr_html_add(gr_str *out, const char *text, size_t size)
{
    gr_err err = GR_OK;
    const unsigned char *p = (const unsigned char *)text;
    for (size_t i = 0; i < size;) {
        const size_t n = gri_utf8_length(p + i, size - i);
        const char *other = entity(p + i, n);
        GR_TRY(other ? gr_str_add(out, other) : gr_str_add_bytes(out, p + i, n));
        i += n > 0 ? n : 1;
    }
done:
    return err;
}
