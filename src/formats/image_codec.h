#ifndef SRC_FORMATS_IMAGE_CODEC_H
#define SRC_FORMATS_IMAGE_CODEC_H

/// What the decoders of src/formats share. Each reads the whole of `data` or fails with GR_ERR_DATA; `out` is
/// written only on success.

#include "src/formats/image.h"

/// What a decoder does beside the plain thing: a set of these.
enum {
    GRI_DECODE_OVER_WHITE = 1 << 0,  ///< blends alpha over white (JPEG has none)
    GRI_DECODE_HEADER_ONLY = 1 << 1, ///< the sides; out->rgb stays NULL
};

/// Fails unless both sides are at least 1 and at most GR_IMAGE_MAX_SIDE, the area at most GR_IMAGE_MAX_PIXELS.
GR_MUST_CHECK gr_err gri_image_check_size(const char *name, int64_t width, int64_t height);
/// Turns `rgba` [pixels, 4] into `rgb` [pixels, 3], blended over white, rounded to nearest.
void gri_image_blend_white(const unsigned char *rgba, int64_t pixels, unsigned char *rgb);
/// Brings a picture that was stored with this EXIF orientation (1 to 8) upright.
GR_MUST_CHECK gr_err gri_image_turn(int orientation, gr_image *image);

GR_MUST_CHECK gr_err gri_png_decode(const char *name, const void *data, size_t size,
                                    unsigned how, gr_image *out);
GR_MUST_CHECK gr_err gri_jpeg_decode(const char *name, const void *data, size_t size,
                                     unsigned how, gr_image *out);
GR_MUST_CHECK gr_err gri_webp_decode(const char *name, const void *data, size_t size,
                                     unsigned how, gr_image *out);

#endif
