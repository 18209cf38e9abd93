#include "src/base/mem.h"
#include "src/formats/image_codec.h"

#include <math.h>

/// Pillow's bicubic resampling of 8-bit images, bit for bit: separable, antialiased when shrinking, weights in
/// fixed point, the result of the first pass rounded to 8 bits. Source: python-pillow src/libImaging/Resample.c.

enum { WEIGHT_BITS = 22 };

/// For every output coordinate: where its taps begin, how many there are, and their weights.
typedef struct taps {
    int64_t most; ///< room for weights per output coordinate
    int64_t *first, *count;
    int32_t *weights; ///< [out, most]
} taps;

static void taps_fini(taps *t)
{
    GR_FREE(t->first);
    GR_FREE(t->count);
    GR_FREE(t->weights);
}

static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) {
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    }
    if (x < 2.0) {
        return (((x - 5) * x + 8) * x - 4) * a;
    }
    return 0.0;
}

static int32_t to_fixed(double weight)
{
    double w = weight * (1 << WEIGHT_BITS);
    return (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
}

static gr_err taps_init(int64_t in, int64_t out, taps *t)
{
    gr_err err = GR_OK;
    double *weights = NULL;
    double scale = (double)in / (double)out;
    double stretch = scale < 1.0 ? 1.0 : scale;
    double support = 2.0 * stretch;
    double shrink = 1.0 / stretch;
    t->most = (int64_t)ceil(support) * 2 + 1;
    GR_ALLOC(weights, t->most);
    GR_ALLOC(t->first, out);
    GR_ALLOC(t->count, out);
    GR_ALLOC(t->weights, out * t->most);
    for (int64_t x = 0; x < out; x++) {
        double center = ((double)x + 0.5) * scale;
        int64_t first = (int64_t)(center - support + 0.5);
        int64_t end = (int64_t)(center + support + 0.5);
        first = first < 0 ? 0 : first;
        end = end > in ? in : end;
        double sum = 0.0;
        for (int64_t k = 0; k < end - first; k++) {
            weights[k] = bicubic(((double)(k + first) - center + 0.5) * shrink);
            sum += weights[k];
        }
        t->first[x] = first;
        t->count[x] = end - first;
        for (int64_t k = 0; k < end - first; k++) {
            t->weights[x * t->most + k] = to_fixed(sum != 0.0 ? weights[k] / sum : weights[k]);
        }
    }
done:
    GR_FREE(weights);
    return err;
}

static unsigned char to_byte(int32_t sum)
{
    int32_t v = sum >> WEIGHT_BITS;
    return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static gr_err resize_width(const gr_image *in, int64_t width, gr_image *out)
{
    gr_err err = GR_OK;
    taps t = {0};
    GR_TRY(taps_init(in->width, width, &t));
    GR_ALLOC(out->rgb, width * in->height * 3);
    out->width = width;
    out->height = in->height;
    for (int64_t y = 0; y < in->height; y++) {
        const unsigned char *row = in->rgb + y * in->width * 3;
        unsigned char *to = out->rgb + y * width * 3;
        for (int64_t x = 0; x < width; x++) {
            const unsigned char *p = row + t.first[x] * 3;
            const int32_t *w = t.weights + x * t.most;
            int32_t sum[3] = {1 << (WEIGHT_BITS - 1), 1 << (WEIGHT_BITS - 1),
                              1 << (WEIGHT_BITS - 1)};
            for (int64_t k = 0; k < t.count[x]; k++) {
                sum[0] += p[3 * k] * w[k];
                sum[1] += p[3 * k + 1] * w[k];
                sum[2] += p[3 * k + 2] * w[k];
            }
            to[3 * x] = to_byte(sum[0]);
            to[3 * x + 1] = to_byte(sum[1]);
            to[3 * x + 2] = to_byte(sum[2]);
        }
    }
done:
    taps_fini(&t);
    return err;
}

/// Row by row, so that memory is walked in order.
static gr_err resize_height(const gr_image *in, int64_t height, gr_image *out)
{
    gr_err err = GR_OK;
    taps t = {0};
    int32_t *sums = NULL;
    int64_t n = in->width * 3;
    GR_TRY(taps_init(in->height, height, &t));
    GR_ALLOC(sums, n);
    GR_ALLOC(out->rgb, n * height);
    out->width = in->width;
    out->height = height;
    for (int64_t y = 0; y < height; y++) {
        for (int64_t i = 0; i < n; i++) {
            sums[i] = 1 << (WEIGHT_BITS - 1);
        }
        for (int64_t k = 0; k < t.count[y]; k++) {
            const unsigned char *row = in->rgb + (t.first[y] + k) * n;
            int32_t w = t.weights[y * t.most + k];
            for (int64_t i = 0; i < n; i++) {
                sums[i] += row[i] * w;
            }
        }
        for (int64_t i = 0; i < n; i++) {
            out->rgb[y * n + i] = to_byte(sums[i]);
        }
    }
done:
    GR_FREE(sums);
    taps_fini(&t);
    return err;
}

gr_err gr_image_resize(const gr_image *in, int64_t width, int64_t height, gr_image *out)
{
    gr_err err = GR_OK;
    gr_image wide = {0}, result = {0};
    const gr_image *from = in;
    GR_TRY(gri_image_check_size("resize", width, height));
    if (width != in->width) {
        GR_TRY(resize_width(in, width, &wide));
        from = &wide;
    }
    // Also the copy when nothing changes: one tap of weight 1 gives the same bits.
    if (height != in->height || width == in->width) {
        GR_TRY(resize_height(from, height, &result));
    } else {
        result = wide;
        wide = (gr_image){0};
    }
    *out = result;
    result = (gr_image){0};
done:
    gr_image_fini(&wide);
    gr_image_fini(&result);
    return err;
}

void gr_image_normalize(const gr_image *in, const double mean[3], const double std[3],
                        float *out)
{
    int64_t pixels = in->width * in->height;
    for (int64_t c = 0; c < 3; c++) {
        float value[256];
        for (int v = 0; v < 256; v++) {
            value[v] = ((float)v / 255.0F - (float)mean[c]) / (float)std[c];
        }
        for (int64_t i = 0; i < pixels; i++) {
            out[c * pixels + i] = value[in->rgb[3 * i + c]];
        }
    }
}
