#ifndef SRC_FORMATS_IMAGE_H
#define SRC_FORMATS_IMAGE_H

/// Pictures: decode PNG, JPEG and WebP by their content (not their name) to 8-bit RGB, resample as
/// Pillow does, bring to a model's size, normalise, encode WebP. Tiles are in image_tiles.h.

#include "src/base/err.h"

#include <stdint.h>

typedef struct gr_image {
    int64_t width, height;
    unsigned char *rgb; ///< [height, width, 3], owned
} gr_image;
void gr_image_fini(gr_image *image);

/// What a file's first bytes say it is, "png", "jpeg", "webp" or NULL.
const char *gr_image_kind(const void *data, size_t size);

/// How a decoder treats what RGB has no place for: a set of these. 0 is Pillow's convert("RGB"), which the models'
/// own preprocessing uses: alpha is dropped, whatever colour it hid comes out, and EXIF is ignored.
enum {
    /// Alpha is blended over white, rounded to nearest: what a page would show.
    GR_IMAGE_OVER_WHITE = 1 << 0,
    /// EXIF (else XMP) orientation is applied, as ImageOps.exif_transpose of Pillow 11 does: what a viewer shows. XMP that a PNG
    /// holds compressed (iTXt with zlib) is not looked into: such a picture stays as it lies.
    GR_IMAGE_UPRIGHT = 1 << 1,
};

/// Larger pictures are refused before anything of their size is allocated (a decoded picture takes 3 bytes a pixel,
/// another 4 while alpha is blended). Fuzzers get a smaller limit, so that they do not spend their time on large ones.
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
enum { GR_IMAGE_MAX_PIXELS = 1 << 18, GR_IMAGE_MAX_SIDE = 1 << 12 };
#else
enum { GR_IMAGE_MAX_PIXELS = 1 << 28, GR_IMAGE_MAX_SIDE = 1 << 20 };
#endif

/// Decodes; grey is replicated, palettes looked up, 16 bit reduced to 8 (the high byte; for grey Pillow would cut off at 255
/// instead, which leaves nearly all of it white), CMYK and YCCK converted as
/// Pillow does. `name` is for messages, `how` a set of GR_IMAGE_*. Broken, truncated, empty or larger than the limits:
/// GR_ERR_DATA; so are animations and JPEGs of more than 100 scans.
GR_MUST_CHECK gr_err gr_image_decode(const char *name, const void *data, size_t size,
                                     unsigned how, gr_image *out);
/// The sides that gr_image_decode would give, from the header alone: nothing of the picture's size is allocated.
/// Fails as gr_image_decode does for what a header can show.
GR_MUST_CHECK gr_err gr_image_size(const char *name, const void *data, size_t size,
                                   unsigned how, int64_t *width, int64_t *height);
/// The orientation that a PNG, JPEG or WebP file carries in EXIF, else in XMP: 1 (upright) to 8; 1 when it has none or a
/// broken one.
int gr_image_orientation(const void *data, size_t size);

typedef enum gr_image_filter { GR_IMAGE_BICUBIC, GR_IMAGE_BILINEAR } gr_image_filter;
/// As Pillow's Image.resize, bit for bit: the width first, then the height (Pillow 13 may take them the other
/// way round; no published preprocessing was made with it). Both filters antialias when shrinking.
GR_MUST_CHECK gr_err gr_image_resize(const gr_image *in, gr_image_filter filter, int64_t width,
                                     int64_t height, gr_image *out);
/// The same into `rgb` [height, width, 3], which the caller has.
GR_MUST_CHECK gr_err gr_image_resize_to(const gr_image *in, gr_image_filter filter,
                                        int64_t width, int64_t height, unsigned char *rgb);
/// Into `rgb` the crop x crop pixels in the middle after the shorter side was brought to `edge`, as transformers' CLIPImageProcessor
/// does: the longer side becomes trunc(edge * long / short), the crop begins at floor((size - crop) / 2).
/// A crop larger than the edge is GR_ERR_USAGE.
GR_MUST_CHECK gr_err gr_image_resize_crop(const gr_image *in, gr_image_filter filter,
                                          int64_t edge, int64_t crop, unsigned char *rgb);
/// The picture in the middle of a square of one colour, as InternVL's expand2square (its `pad2square`, whose colour is
/// trunc(255 * mean)).
GR_MUST_CHECK gr_err gr_image_pad_square(const gr_image *in, const unsigned char colour[3],
                                         gr_image *out);
/// value[c][v] = (v * scale - mean[c]) / std[c] in fp32, for each byte v of channel c; scale 0: v / 255.
void gr_image_values(double scale, const double mean[3], const double std[3],
                     float value[3][256]);
/// out[c][y][x] = value[c][rgb[y][x][c]] of these values, fp32 [3, height, width].
void gr_image_normalize(const gr_image *in, double scale, const double mean[3],
                        const double std[3], float *out);
/// WebP, quality 0..100, or lossless when quality is negative. Bytes in new memory (GR_FREE).
GR_MUST_CHECK gr_err gr_image_encode_webp(const gr_image *in, double quality,
                                          unsigned char **data, size_t *size);
/// PNG, 8 bits RGB.
GR_MUST_CHECK gr_err gr_image_encode_png(const gr_image *in, unsigned char **data,
                                         size_t *size);

#endif
