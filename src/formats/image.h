#ifndef SRC_FORMATS_IMAGE_H
#define SRC_FORMATS_IMAGE_H

/// Pictures: decode PNG, JPEG and WebP by their content (not their name) to 8-bit RGB, resample as
/// Pillow does, normalise, encode WebP.

#include "src/base/err.h"

#include <stdint.h>

typedef struct gr_image {
    int64_t width, height;
    unsigned char *rgb; ///< [height, width, 3], owned
} gr_image;
void gr_image_fini(gr_image *image);

/// What a file's first bytes say it is, "png", "jpeg", "webp" or NULL.
const char *gr_image_kind(const void *data, size_t size);
/// Decodes; grey is replicated, palettes looked up, 16 bit reduced to 8 (high byte); with `over_white` alpha is
/// blended over white, else dropped. `name` is for messages. Broken, truncated, empty or
/// larger than GR_IMAGE_MAX_PIXELS: GR_ERR_DATA; so are animations. EXIF orientation is not applied.
enum { GR_IMAGE_MAX_PIXELS = 1 << 28 };
GR_MUST_CHECK gr_err gr_image_decode(const char *name, const void *data, size_t size,
                                     bool over_white, gr_image *out);
/// Bicubic as Pillow's Image.resize, bit for bit: the width first, then the height (Pillow 13 may take them the other
/// way round; no published preprocessing was made with it).
GR_MUST_CHECK gr_err gr_image_resize(const gr_image *in, int64_t width, int64_t height,
                                     gr_image *out);
/// out[c][y][x] = (rgb / 255 - mean[c]) / std[c], fp32 [3, height, width].
void gr_image_normalize(const gr_image *in, const double mean[3], const double std[3],
                        float *out);
/// WebP, quality 0..100, or lossless when quality is negative. Bytes in new memory (GR_FREE).
GR_MUST_CHECK gr_err gr_image_encode_webp(const gr_image *in, double quality,
                                          unsigned char **data, size_t *size);

#endif
