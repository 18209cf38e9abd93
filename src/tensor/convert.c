// Number formats. Sources may lie unaligned (inside a mapped file), hence memcpy.
#include "src/tensor/tensor.h"

#include <string.h>

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t half_to_f32_bits(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31) { // infinity and NaN
        return sign | 0x7F800000 | fraction << 13;
    }
    if (exponent == 0 && fraction == 0) {
        return sign;
    }
    if (exponent == 0) { // subnormal: shift until the leading bit is the implicit one
        exponent = 1;
        while (!(fraction & 1024)) {
            fraction <<= 1;
            exponent--;
        }
        fraction &= 1023;
    }
    // In unsigned arithmetic an exponent below zero wraps and comes back with the bias.
    return sign | (exponent + (127 - 15)) << 23 | fraction << 13;
}

static void from_f64(const unsigned char *source, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        double value;
        memcpy(&value, source + 8 * i, sizeof value);
        out[i] = (float)value;
    }
}

static void from_bf16(const unsigned char *source, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, source + 2 * i, sizeof half);
        out[i] = from_bits((uint32_t)half << 16);
    }
}

static void from_f16(const unsigned char *source, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, source + 2 * i, sizeof half);
        out[i] = from_bits(half_to_f32_bits(half));
    }
}

bool gr_convert_to_f32(gr_dtype from, const void *source, int64_t n, float *out)
{
    switch (from) {
    case GR_DTYPE_F32:
        if (n) {
            memcpy(out, source, (size_t)n * sizeof *out);
        }
        return true;
    case GR_DTYPE_F64:
        from_f64(source, n, out);
        return true;
    case GR_DTYPE_BF16:
        from_bf16(source, n, out);
        return true;
    case GR_DTYPE_F16:
        from_f16(source, n, out);
        return true;
    default:
        return false;
    }
}

void gr_convert_f32_to_bf16(const float *source, int64_t n, uint16_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, source + i, sizeof bits);
        bool nan = (bits & 0x7FFFFFFF) > 0x7F800000;
        // Half of the last place, less one when that place is even: ties go to even.
        uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);
        uint32_t quiet = bits | 0x00400000; // a NaN must not lose all its fraction bits
        out[i] = (uint16_t)((nan ? quiet : rounded) >> 16);
    }
}

static uint16_t f32_bits_to_half(uint32_t bits)
{
    // 65520, from which on rounding goes beyond the largest half; 2^-14, the smallest normal one.
    enum { TOO_LARGE = 0x477FF000, SMALLEST_NORMAL = 0x38800000, BIAS = (127 - 15) << 23 };
    uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7FFFFFFF;
    if (size > 0x7F800000) {
        return (uint16_t)(sign | 0x7E00 | (size >> 13 & 1023));
    }
    if (size >= TOO_LARGE) {
        return (uint16_t)(sign | 0x7C00);
    }
    if (size < SMALLEST_NORMAL) { // the last place of 0.5 is 2^-24, a half's smallest step
        float sum = from_bits(size) + 0.5F;
        uint32_t sum_bits;
        memcpy(&sum_bits, &sum, sizeof sum);
        return (uint16_t)(sign | (sum_bits - 0x3F000000));
    }
    uint32_t rounded = size - BIAS + 0xFFF + (size >> 13 & 1);
    return (uint16_t)(sign | rounded >> 13);
}

void gr_convert_f32_to_f16(const float *source, int64_t n, uint16_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, source + i, sizeof bits);
        out[i] = f32_bits_to_half(bits);
    }
}
