#include "src/formats/libraries.h"

#include <stdio.h> // jpeglib.h needs it

#define PCRE2_CODE_UNIT_WIDTH 8
#include <jpeglib.h>
#include <pcre2.h>
#include <png.h>
#include <utf8proc.h>
#include <webp/decode.h>

#define TEXT_OF(value)  #value
#define TEXT_OF_(value) TEXT_OF(value)

gr_err gr_formats_libraries(gr_str *out)
{
    int webp = WebPGetDecoderVersion();
    char pcre[64] = "";
    if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) < (int)sizeof pcre) {
        pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    }
    return gr_str_addf(out,
                       "libwebp %d.%d.%d, libjpeg-turbo %s, libpng %s, pcre2 %s, utf8proc %s",
                       webp >> 16, webp >> 8 & 255, webp & 255, TEXT_OF_(LIBJPEG_TURBO_VERSION),
                       png_get_libpng_ver(NULL), pcre, utf8proc_version());
}
