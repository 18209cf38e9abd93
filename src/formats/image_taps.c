#include "src/formats/image_taps.h"

#include "src/base/mem.h"

#include <math.h>

/// Weights of Pillow's resampling, and its two passes in plain C. Separable, antialiased when shrinking, weights in fixed
/// point, the result of each pass rounded to 8 bits. Source: python-pillow src/libImaging/Resample.c.

enum { GROUP = 4, HALF = 1 << (GRI_WEIGHT_BITS - 1) };

void gri_taps_fini(gri_taps *t)
{
    GR_FREE(t->first);
    GR_FREE(t->count);
    GR_FREE(t->weights);
    GR_FREE(t->split);
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

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static const struct {
    double (*weight)(double x);
    double support; ///< beyond it the weight is 0
} filters[] = {
    [GR_IMAGE_BICUBIC] = {bicubic, 2.0},
    [GR_IMAGE_BILINEAR] = {bilinear, 1.0},
};

static int32_t to_fixed(double weight)
{
    double w = weight * (1 << GRI_WEIGHT_BITS);
    return (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
}

static void put_weight(gri_taps *t, int64_t x, int64_t k, int32_t weight)
{
    int16_t *group = t->split + (x * t->groups + k / GROUP) * 2 * GROUP;
    t->weights[x * t->most + k] = weight;
    group[k % GROUP] = (int16_t)(weight >> GRI_LOW_BITS);
    group[GROUP + k % GROUP] = (int16_t)(weight & ((1 << GRI_LOW_BITS) - 1));
}

gr_err gri_taps_init(gr_image_filter filter, int64_t in, int64_t out, gri_taps *t)
{
    gr_err err = GR_OK;
    double *weights = NULL;
    double scale = (double)in / (double)out;
    double stretch = scale < 1.0 ? 1.0 : scale;
    double support = filters[filter].support * stretch;
    double shrink = 1.0 / stretch;
    int64_t most = (int64_t)ceil(support) * 2 + 1;
    *t = (gri_taps){.in = in, .out = out, .most = most < in ? most : in};
    t->groups = (t->most + GROUP - 1) / GROUP;
    GR_ALLOC(weights, t->most);
    GR_ALLOC(t->first, out);
    GR_ALLOC(t->count, out);
    GR_ALLOC(t->weights, out * t->most);
    GR_ALLOC(t->split, out * t->groups * 2 * GROUP);
    for (int64_t x = 0; x < out; x++) {
        double center = ((double)x + 0.5) * scale;
        int64_t first = (int64_t)(center - support + 0.5);
        int64_t end = (int64_t)(center + support + 0.5);
        first = first < 0 ? 0 : first;
        end = end > in ? in : end;
        double sum = 0.0;
        for (int64_t k = 0; k < end - first; k++) {
            weights[k] = filters[filter].weight(((double)(k + first) - center + 0.5) * shrink);
            sum += weights[k];
        }
        t->first[x] = first;
        t->count[x] = end - first;
        for (int64_t k = 0; k < end - first; k++) {
            put_weight(t, x, k, to_fixed(sum != 0.0 ? weights[k] / sum : weights[k]));
        }
    }
done:
    GR_FREE(weights);
    if (err != GR_OK) {
        gri_taps_fini(t);
    }
    return err;
}

static unsigned char to_byte(int32_t sum)
{
    int32_t v = sum >> GRI_WEIGHT_BITS;
    return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

void gri_width_plain(const gri_taps *t, int64_t height, const unsigned char *in,
                     unsigned char *out)
{
    for (int64_t y = 0; y < height; y++) {
        const unsigned char *row = in + y * t->in * 3;
        unsigned char *to = out + y * t->out * 3;
        for (int64_t x = 0; x < t->out; x++) {
            const unsigned char *p = row + t->first[x] * 3;
            const int32_t *w = t->weights + x * t->most;
            int32_t sum[3] = {HALF, HALF, HALF};
            for (int64_t k = 0; k < t->count[x]; k++) {
                sum[0] += p[3 * k] * w[k];
                sum[1] += p[3 * k + 1] * w[k];
                sum[2] += p[3 * k + 2] * w[k];
            }
            to[3 * x] = to_byte(sum[0]);
            to[3 * x + 1] = to_byte(sum[1]);
            to[3 * x + 2] = to_byte(sum[2]);
        }
    }
}

void gri_height_plain(const gri_taps *t, int64_t row, const unsigned char *in,
                      unsigned char *out)
{
    for (int64_t y = 0; y < t->out; y++) {
        const unsigned char *p = in + t->first[y] * row;
        const int32_t *w = t->weights + y * t->most;
        for (int64_t i = 0; i < row; i++) {
            int32_t sum = HALF;
            for (int64_t k = 0; k < t->count[y]; k++) {
                sum += p[k * row + i] * w[k];
            }
            out[y * row + i] = to_byte(sum);
        }
    }
}
