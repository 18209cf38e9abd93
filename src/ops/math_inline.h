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

/// erf within 2 ulp. Below 1: x + x p(x^2); from 1 on: 1 - e^q(|x|), q a polynomial for log erfc (both of
/// least largest error at Chebyshev points); 1 from 4 on, where nothing else fits a float.
GRI_INLINE float gri_erff(float x)
{
    uint32_t sign = gri_to_bits(x) & 0x80000000U;
    float a = gri_from_bits(gri_to_bits(x) & 0x7FFFFFFFU);
    float u = x * x;
    float p = -0x1.449782p-17F;
    p = p * u + 0x1.d89ff4p-14F;
    p = p * u - 0x1.bcd3a4p-11F;
    p = p * u + 0x1.562abep-8F;
    p = p * u - 0x1.b829d0p-6F;
    p = p * u + 0x1.ce2f0ap-4F;
    p = p * u - 0x1.812746p-2F;
    p = p * u + 0x1.06eba8p-3F;
    float small = x + x * p;
    // A NaN passes the test below and comes out of `small`.
    uint32_t far = 0U - (uint32_t)(a > 4.0F);
    float t = gri_from_bits((gri_to_bits(a) & ~far) | (0x40800000U & far));
    float q = -0x1.1abb48p-24F;
    q = q * t + 0x1.9f6e6ap-19F;
    q = q * t - 0x1.f7e4c0p-15F;
    q = q * t + 0x1.6105d6p-11F;
    q = q * t - 0x1.490f26p-8F;
    q = q * t + 0x1.ba5c1ap-6F;
    q = q * t - 0x1.c646dcp-4F;
    q = q * t - 0x1.431e14p-1F;
    q = q * t - 0x1.216f4cp+0F;
    q = q * t + 0x1.a3f488p-12F;
    uint32_t large = gri_to_bits(1.0F - gri_expf(q)) | sign;
    uint32_t big = 0U - (uint32_t)(a >= 1.0F);
    return gri_from_bits((gri_to_bits(small) & ~big) | (large & big));
}

/// Sine and cosine within 1 ulp for |x| < 2^20, computed in double: x = k pi/2 + r, Taylor series of r.
GRI_INLINE void gri_sincosf(float x, float *sine, float *cosine)
{
    const double shift = 0x1.8p52;
    double shifted = (double)x * 0x1.45f306dc9c883p-1 + shift;
    double k = shifted - shift;
    // pi/2 in two parts: the first has 32 bits, so k times it is exact.
    double r = ((double)x - k * 0x1.921fb544p0) - k * 0x1.0b4611a62633p-34;
    double u = r * r;
    double s = -1.0 / 39916800;
    s = s * u + 1.0 / 362880;
    s = s * u - 1.0 / 5040;
    s = s * u + 1.0 / 120;
    s = s * u - 1.0 / 6;
    s = r + r * (s * u);
    double c = 1.0 / 479001600;
    c = c * u - 1.0 / 3628800;
    c = c * u + 1.0 / 40320;
    c = c * u - 1.0 / 720;
    c = c * u + 1.0 / 24;
    c = c * u - 0.5;
    c = 1 + c * u;
    union {
        double d;
        uint64_t u;
    } word = {.d = shifted};
    uint32_t quarter = (uint32_t)word.u; // k, in its lowest bits
    uint32_t swap = 0U - (quarter & 1U);
    uint32_t a = gri_to_bits((float)s), b = gri_to_bits((float)c);
    uint32_t sine_bits = (a & ~swap) | (b & swap), cosine_bits = (b & ~swap) | (a & swap);
    *sine = gri_from_bits(sine_bits ^ (quarter & 2U) << 30);
    *cosine = gri_from_bits(cosine_bits ^ ((quarter + 1U) & 2U) << 30);
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

#endif
