// One table of rows; GRI_ROWS is its name. No include guard: see rows.h.
#include "src/ops/math_inline.h"
#include "src/ops/rows.h"

static double row_sum(int64_t n, const float *x)
{
    return gri_sum(n, x);
}

static double row_dot(int64_t n, const float *x, const float *y)
{
    return gri_dot(n, x, y);
}

static double row_spread(int64_t n, const float *x, double center)
{
    return gri_spread(n, x, center);
}

static void row_add(int64_t n, const float *x, float *y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
}

static void row_scale(int64_t n, float *x, float factor)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        x[i] *= factor;
    }
}

static void row_add_to_sums(int64_t n, const float *x, double *sum)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        sum[i] += (double)x[i];
    }
}

static float row_softmax(int64_t n, float *x, double *sum)
{
    float max = gri_max(n, x);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        x[i] = gri_expf(x[i] - max);
    }
    *sum = gri_sum(n, x);
    return max;
}

static void row_score_gradient(int64_t n, float *p, float *ds, float lse, float delta)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float e = gri_expf(p[i] - lse);
        p[i] = e;
        ds[i] = e * (ds[i] - delta);
    }
}

static void row_score_gradient_summed(int64_t n, float *p, float *ds, float lse)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        p[i] = gri_expf(p[i] - lse);
    }
    float delta = (float)gri_dot(n, p, ds);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        ds[i] = p[i] * (ds[i] - delta);
    }
}

static void row_swiglu(int64_t n, const float *gate, const float *up, float *y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = gate[i] / (1.0F + gri_expf(-gate[i])) * up[i];
    }
}

static void row_swiglu_bwd(int64_t n, const float *dy, const float *gate, const float *up,
                           float *dgate, float *dup)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float z = gate[i], u = up[i], g = dy[i];
        float s = 1.0F / (1.0F + gri_expf(-z));
        dgate[i] = g * u * (s * (1.0F + z * (1.0F - s)));
        dup[i] = g * (z * s);
    }
}

GRI_INLINE float normal_cdf(float x)
{
    return 0.5F * (1.0F + gri_erff(x * 0x1.6a09e6p-1F));
}

static void row_gelu(int64_t n, const float *x, float *y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = x[i] * normal_cdf(x[i]);
    }
}

static void row_gelu_bwd(int64_t n, const float *dy, const float *x, float *dx)
{
    const float density = 0x1.988454p-2F; // 1 / sqrt(2 pi)
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float phi = density * gri_expf(-0.5F * x[i] * x[i]);
        dx[i] = dy[i] * (normal_cdf(x[i]) + x[i] * phi);
    }
}

/// 2 sqrt(2 / pi), and the cubic term's factor.
static const float twice = 0x1.988454p0F, cubic = 0.044715F;

/// (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)).
GRI_INLINE float tanh_gate(float x)
{
    return 1.0F / (1.0F + gri_expf(-twice * (x + cubic * x * x * x)));
}

static void row_gelu_tanh(int64_t n, const float *x, float *y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = x[i] * tanh_gate(x[i]);
    }
}

static void row_gelu_tanh_bwd(int64_t n, const float *dy, const float *x, float *dx)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float s = tanh_gate(x[i]), slope = twice * (1.0F + 3.0F * cubic * x[i] * x[i]);
        dx[i] = dy[i] * (s + x[i] * (s * (1.0F - s)) * slope);
    }
}

static void row_angles(int64_t n, float position, const float *frequency, float *cosine,
                       float *sine)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        gri_sincosf(position * frequency[i], &sine[i], &cosine[i]);
    }
}

static void row_rotate(int64_t n, const float *cosine, const float *sine, float *x)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float x1 = x[i], x2 = x[i + n];
        x[i] = x1 * cosine[i] - x2 * sine[i];
        x[i + n] = x2 * cosine[i] + x1 * sine[i];
    }
}

static void row_norm(int64_t n, const float *x, const float *w, const float *b, float m,
                     float r, float *y)
{
    if (!b) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            y[i] = w[i] * ((x[i] - m) * r);
        }
        return;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = w[i] * ((x[i] - m) * r) + b[i];
    }
}

static void row_norm_gradient(const gri_norm_row *row, bool accumulate, float *dx)
{
    const float *w = row->w, *dy = row->dy, *x = row->x;
    const float m = row->m, r = row->r;
    int64_t n = row->channels;
    double mean = row->center ? gri_dot(n, w, dy) / (double)n : 0;
    double along = gri_dot3(n, w, dy, x) / (double)n - mean * (double)m;
    float slope = (float)(along * (double)r);
    float shift = (float)mean;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float g = r * ((w[i] * dy[i] - shift) - (x[i] - m) * r * slope);
        dx[i] = accumulate ? dx[i] + g : g;
    }
}

static void row_norm_sums(const gri_norm_row *row, double *dw, double *db)
{
    const float *dy = row->dy, *x = row->x;
    const float m = row->m, r = row->r;
    int64_t n = row->channels;
    if (dw) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            dw[i] += (double)(dy[i] * ((x[i] - m) * r));
        }
    }
    if (db) {
        row_add_to_sums(n, dy, db);
    }
}

static void row_to_bf16(int64_t n, const float *x, uint16_t *y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = gri_to_bits(x[i]);
        uint32_t nan = 0U - (uint32_t)((bits & 0x7FFFFFFFU) > 0x7F800000U);
        uint32_t rounded = bits + 0x7FFFU + (bits >> 16 & 1U);
        y[i] = (uint16_t)(((rounded & ~nan) | ((bits | 0x00400000U) & nan)) >> 16);
    }
}

static void row_from_bf16(int64_t n, const uint16_t *x, float *y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = gri_from_bits((uint32_t)x[i] << 16);
    }
}

const gr_rows GRI_ROWS = {
    .sum = row_sum,
    .dot = row_dot,
    .spread = row_spread,
    .add = row_add,
    .scale = row_scale,
    .add_to_sums = row_add_to_sums,
    .softmax = row_softmax,
    .score_gradient = row_score_gradient,
    .score_gradient_summed = row_score_gradient_summed,
    .swiglu = row_swiglu,
    .swiglu_bwd = row_swiglu_bwd,
    .gelu = row_gelu,
    .gelu_bwd = row_gelu_bwd,
    .gelu_tanh = row_gelu_tanh,
    .gelu_tanh_bwd = row_gelu_tanh_bwd,
    .angles = row_angles,
    .rotate = row_rotate,
    .norm = row_norm,
    .norm_gradient = row_norm_gradient,
    .norm_sums = row_norm_sums,
    .to_bf16 = row_to_bf16,
    .from_bf16 = row_from_bf16,
};
