#ifndef TESTS_PIXELS_SUPPORT_H
#define TESTS_PIXELS_SUPPORT_H

#include "src/model/model.h"

/// Channel c of pixel `at` (row by row) of image i, whose sides are `side`: what the model sees.
static inline float pixel_value(const gr_batch *batch, int64_t side, int64_t i, int64_t c,
                                int64_t at)
{
    const gr_pixels *p = &batch->pixels;
    int64_t plane = side * side;
    return p->values ? p->values[(i * 3 + c) * plane + at]
                     : p->table[c][p->bytes[(i * plane + at) * 3 + c]];
}

/// All images of a batch into out [images, 3, side, side].
static inline void pixel_values(const gr_batch *batch, int64_t side, float *out)
{
    for (int64_t i = 0; i < batch->images; i++) {
        for (int64_t c = 0; c < 3; c++) {
            for (int64_t at = 0; at < side * side; at++) {
                *out++ = pixel_value(batch, side, i, c, at);
            }
        }
    }
}

#endif
