#ifndef SRC_FORMATS_IMAGE_TAPS_H
#define SRC_FORMATS_IMAGE_TAPS_H

/// The two passes of a resize, each in plain C and in AVX2 code with the same bits.

#include "src/formats/image.h"

/// For every output coordinate of one axis: where its taps begin, how many there are, and their weights in fixed point.
/// sum of weights = 2^GRI_WEIGHT_BITS, up to rounding.
enum { GRI_WEIGHT_BITS = 22, GRI_LOW_BITS = 11 };
typedef struct gri_taps {
    int64_t in, out; ///< length of the axis
    int64_t most;    ///< room for weights per output coordinate
    int64_t *first, *count;
    int32_t *weights; ///< [out, most], 0 behind the count
    /// The same for 16-bit products, in groups of 4 taps: weight = high * 2^GRI_LOW_BITS + low, low >= 0.
    int64_t groups;
    int16_t *split; ///< [out, groups, high 4 | low 4], 0 behind the count
} gri_taps;

GR_MUST_CHECK gr_err gri_taps_init(gr_image_filter filter, int64_t in, int64_t out,
                                   gri_taps *t);
void gri_taps_fini(gri_taps *t);

/// in [height, t->in, 3] -> out [height, t->out, 3]
typedef void gri_width_pass(const gri_taps *t, int64_t height, const unsigned char *in,
                            unsigned char *out);
/// in [t->in, row] -> out [t->out, row], row in bytes
typedef void gri_height_pass(const gri_taps *t, int64_t row, const unsigned char *in,
                             unsigned char *out);
gri_width_pass gri_width_plain, gri_width_avx2;
gri_height_pass gri_height_plain, gri_height_avx2;
/// Whether this processor (and this build) runs the AVX2 passes.
bool gri_has_avx2(void);

#endif
