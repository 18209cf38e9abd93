#ifndef SRC_OPS_MATH_INLINE_H
#define SRC_OPS_MATH_INLINE_H

/// Arithmetic of the CPU kernels that the compiler can turn into vectors without changing a bit:
/// branch-free, no library calls, and sums over a fixed number of lanes that are written down
/// here instead of being left to the optimizer.

#include <stdint.h>

#define GRI_INLINE static inline __attribute__((always_inline))

GRI_INLINE float gri_from_bits(uint32_t bits)
{
    union {
        uint32_t u;
        float f;
    } word = {.u = bits};
    return word.f;
}

GRI_INLINE uint32_t gri_to_bits(float x)
{
    union {
        float f;
        uint32_t u;
    } word = {.f = x};
    return word.u;
}

/// 2^n for -126 <= n <= 127.
GRI_INLINE float gri_pow2(int32_t n)
{
    return gri_from_bits((uint32_t)(n + 127) << 23);
}

/// e^x within 1 ulp; 0 and infinity where fp32 ends, subnormal results included, NaN stays NaN.
/// x = n ln 2 + r with |r| <= ln 2 / 2: a polynomial (least largest relative error on that
/// range, 4e-9) gives e^r; 2^n may not fit a float, its two halves do.
GRI_INLINE float gri_expf(float x)
{
    const float shift =
        0x1.8p23F; // adding it rounds to an integer, which lands in the low bits
    float shifted = x * 0x1.715476p0F + shift;
    float n = shifted - shift;
    // ln 2 in two parts: the first has few bits, so n times it is exact.
    float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
    float p = 0x1.6a23cep-10F;
    p = p * r + 0x1.123a20p-7F;
    p = p * r + 0x1.5558f2p-5F;
    p = p * r + 0x1.555492p-3F;
    p = p * r + 0x1.fffffcp-2F;
    float e = (p * (r * r) + r) + 1.0F;
    int32_t power = (int32_t)(gri_to_bits(shifted) - gri_to_bits(shift));
    int32_t half = power >> 1;
    e = e * gri_pow2(half) * gri_pow2(power - half);
    // Selected with masks: of plain conditions gcc makes branches, and then no vectors. A NaN
    // fails both tests and stays.
    uint32_t zero = 0U - (uint32_t)(x < -104.0F);
    uint32_t infinite = 0U - (uint32_t)(x > 89.0F);
    return gri_from_bits((gri_to_bits(e) & ~zero & ~infinite) | (infinite & 0x7F800000U));
}

enum { GRI_LANES = 16 };

/// Sum of the lanes, always in this order.
GRI_INLINE double gri_lanes_sum(const double lane[GRI_LANES])
{
    double sum = 0;
    for (int j = 0; j < GRI_LANES; j++) {
        sum += lane[j];
    }
    return sum;
}

/// sum x[i] in double.
GRI_INLINE double gri_sum(int64_t n, const float *x)
{
    double lane[GRI_LANES] = {0};
    int64_t i = 0;
    for (; i + GRI_LANES <= n; i += GRI_LANES) {
#pragma omp simd
        for (int j = 0; j < GRI_LANES; j++) {
            lane[j] += (double)x[i + j];
        }
    }
    for (int j = 0; i + j < n; j++) {
        lane[j] += (double)x[i + j];
    }
    return gri_lanes_sum(lane);
}

/// sum x[i] y[i] in double (each product is exact).
GRI_INLINE double gri_dot(int64_t n, const float *x, const float *y)
{
    double lane[GRI_LANES] = {0};
    int64_t i = 0;
    for (; i + GRI_LANES <= n; i += GRI_LANES) {
#pragma omp simd
        for (int j = 0; j < GRI_LANES; j++) {
            lane[j] += (double)x[i + j] * (double)y[i + j];
        }
    }
    for (int j = 0; i + j < n; j++) {
        lane[j] += (double)x[i + j] * (double)y[i + j];
    }
    return gri_lanes_sum(lane);
}

/// sum w[i] x[i] y[i] in double.
GRI_INLINE double gri_dot3(int64_t n, const float *w, const float *x, const float *y)
{
    double lane[GRI_LANES] = {0};
    int64_t i = 0;
    for (; i + GRI_LANES <= n; i += GRI_LANES) {
#pragma omp simd
        for (int j = 0; j < GRI_LANES; j++) {
            lane[j] += (double)w[i + j] * (double)x[i + j] * (double)y[i + j];
        }
    }
    for (int j = 0; i + j < n; j++) {
        lane[j] += (double)w[i + j] * (double)x[i + j] * (double)y[i + j];
    }
    return gri_lanes_sum(lane);
}

/// sum (x[i] - center)^2 in double.
GRI_INLINE double gri_spread(int64_t n, const float *x, double center)
{
    double lane[GRI_LANES] = {0};
    int64_t i = 0;
    for (; i + GRI_LANES <= n; i += GRI_LANES) {
#pragma omp simd
        for (int j = 0; j < GRI_LANES; j++) {
            lane[j] += ((double)x[i + j] - center) * ((double)x[i + j] - center);
        }
    }
    for (int j = 0; i + j < n; j++) {
        lane[j] += ((double)x[i + j] - center) * ((double)x[i + j] - center);
    }
    return gri_lanes_sum(lane);
}

/// Largest of n >= 1 numbers. A NaN is passed over: the exponentials that follow bring it back.
GRI_INLINE float gri_max(int64_t n, const float *x)
{
    float lane[GRI_LANES];
    for (int j = 0; j < GRI_LANES; j++) {
        lane[j] = -__builtin_inff();
    }
    int64_t i = 0;
    for (; i + GRI_LANES <= n; i += GRI_LANES) {
#pragma omp simd
        for (int j = 0; j < GRI_LANES; j++) {
            lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
        }
    }
    for (int j = 0; i + j < n; j++) {
        lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    }
    float max = lane[0];
    for (int j = 1; j < GRI_LANES; j++) {
        max = lane[j] > max ? lane[j] : max;
    }
    return max;
}

/// x[i] = exp(x[i] - shift), in place.
GRI_INLINE void gri_exp_row(int64_t n, float *x, float shift)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        x[i] = gri_expf(x[i] - shift);
    }
}

GRI_INLINE void gri_scale_row(int64_t n, float *x, float factor)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        x[i] *= factor;
    }
}

#endif
