#include "tests/check.h"

#include "src/tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void test_types(void)
{
    for (unsigned i = 0; i < GR_DTYPE_COUNT; i++) {
        gr_dtype back = GR_DTYPE_COUNT;
        GR_CHECK(gr_dtype_parse(gr_dtype_name((gr_dtype)i), &back));
        GR_CHECK_INT(back, i);
    }
    gr_dtype dtype = GR_DTYPE_F64;
    GR_CHECK(!gr_dtype_parse("F8_E4M3", &dtype) && !gr_dtype_parse("", &dtype));
    GR_CHECK_INT(dtype, GR_DTYPE_F64);
    GR_CHECK_INT((int64_t)gr_dtype_size(GR_DTYPE_F64), 8);
    GR_CHECK_INT((int64_t)gr_dtype_size(GR_DTYPE_BF16), 2);
    GR_CHECK_INT((int64_t)gr_dtype_size(GR_DTYPE_BOOL), 1);
}

static void test_shapes(void)
{
    float data[120] = {0};
    gr_tensor t = gr_tensor_4d(data, 2, 3, 4, 5);
    GR_CHECK(t.ndim == 4 && gr_tensor_count(t) == 120 && gr_tensor_row(t) == 60);
    GR_CHECK(t.row_stride == 60 && gr_tensor_contiguous(t));
    t = gr_tensor_1d(data, 7);
    GR_CHECK(t.ndim == 1 && gr_tensor_count(t) == 7 && t.row_stride == 1);
    GR_CHECK(gr_tensor_f32(t, 3) == data + 3);
    t = gr_tensor_3d(data, 2, 3, 4);
    GR_CHECK(gr_tensor_f32(t, 1) == data + 12);
    t = gr_tensor_2d(data, 0, 4);
    GR_CHECK(gr_tensor_count(t) == 0 && gr_tensor_f32(t, 0) == data);
    int32_t ids[3] = {0};
    t = gr_tensor_i32(ids, 3);
    GR_CHECK(t.dtype == GR_DTYPE_I32 && t.data == ids && gr_tensor_count(t) == 3);
    GR_CHECK(!gr_tensor_present(gr_tensor_none()));
    GR_CHECK_INT(gr_tensor_count(gr_tensor_none()), 0);
    GR_CHECK(!gr_tensor_present(gr_tensor_2d(NULL, 2, 3)));
    GR_CHECK(gr_tensor_rows(gr_tensor_2d(NULL, 2, 3), 1, 1).data == NULL);
}

static void test_views(void)
{
    float data[4 * 12];
    for (int i = 0; i < 48; i++) {
        data[i] = (float)i;
    }
    gr_tensor packed = gr_tensor_2d(data, 4, 12);
    gr_tensor k = gr_tensor_columns(packed, 4, 6);
    GR_CHECK(k.shape[0] == 4 && k.shape[1] == 6 && k.row_stride == 12);
    GR_CHECK(!gr_tensor_contiguous(k));
    GR_CHECK(gr_tensor_f32(k, 2)[1] == 2 * 12 + 5);
    gr_tensor rows = gr_tensor_rows(k, 1, 2);
    GR_CHECK(rows.shape[0] == 2 && gr_tensor_f32(rows, 1)[0] == 2 * 12 + 4);
    GR_CHECK(gr_tensor_contiguous(gr_tensor_rows(k, 3, 1)));
    gr_tensor heads = gr_tensor_split(k, 3);
    GR_CHECK(heads.ndim == 3 && heads.shape[1] == 3 && heads.shape[2] == 2);
    GR_CHECK(heads.row_stride == 12 && heads.data == k.data);
    gr_tensor back = gr_tensor_split(heads, 3);
    GR_CHECK(memcmp(&back, &k, sizeof k) == 0);
    GR_CHECK_INT(gr_tensor_count(gr_tensor_columns(packed, 12, 0)), 0);
    GR_CHECK_INT(gr_tensor_count(gr_tensor_rows(packed, 4, 0)), 0);
}

/// The value of a 16-bit number by its definition, in double.
static double half_value(uint16_t half, int exponent_bits, int fraction_bits)
{
    int bias = (1 << (exponent_bits - 1)) - 1;
    int exponent = half >> fraction_bits & ((1 << exponent_bits) - 1);
    int fraction = half & ((1 << fraction_bits) - 1);
    double sign = half & 0x8000 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1) {
        return fraction ? (double)NAN : sign * (double)INFINITY;
    }
    if (exponent == 0) {
        return sign * ldexp(fraction, 1 - bias - fraction_bits);
    }
    return sign * ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

/// All 65536 values, from an odd address.
static void check_all_halves(gr_dtype dtype, int exponent_bits, int fraction_bits)
{
    static unsigned char source[2 * 65536 + 1];
    static float out[65536];
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t half = (uint16_t)i;
        memcpy(source + 1 + 2 * i, &half, 2);
    }
    GR_CHECK(gr_convert_to_f32(dtype, source + 1, 65536, out));
    int64_t wrong = 0;
    for (uint32_t i = 0; i < 65536; i++) {
        double want = half_value((uint16_t)i, exponent_bits, fraction_bits);
        bool same = isnan(want) ? isnan(out[i])
                                : (double)out[i] == want && !signbit(out[i]) == !signbit(want);
        wrong += !same;
    }
    GR_CHECK_INT(wrong, 0);
}

static void test_bf16_to_f32(void)
{
    check_all_halves(GR_DTYPE_BF16, 8, 7);
}

static void test_f16_to_f32(void)
{
    check_all_halves(GR_DTYPE_F16, 5, 10);
}

static void test_other_types(void)
{
    unsigned char source[17] = {0};
    double reals[2] = {1.5, 1e-300};
    float out[2], f32[2] = {-0.0F, 3.25F};
    memcpy(source + 1, reals, sizeof reals);
    GR_CHECK(gr_convert_to_f32(GR_DTYPE_F64, source + 1, 2, out));
    GR_CHECK(out[0] == 1.5F && out[1] == 0);
    GR_CHECK(gr_convert_to_f32(GR_DTYPE_F32, f32, 2, out));
    GR_CHECK_BYTES(out, f32, sizeof f32);
    out[0] = 7;
    GR_CHECK(gr_convert_to_f32(GR_DTYPE_BF16, source, 0, out));
    GR_CHECK(!gr_convert_to_f32(GR_DTYPE_I32, source, 1, out));
    GR_CHECK(!gr_convert_to_f32(GR_DTYPE_BOOL, source, 1, out));
    GR_CHECK(out[0] == 7);
}

static uint16_t to_bf16(uint32_t bits)
{
    float value = from_bits(bits);
    uint16_t out;
    gr_convert_f32_to_bf16(&value, 1, &out);
    return out;
}

static void test_f32_to_bf16(void)
{
    static const struct {
        uint32_t bits;
        uint16_t want;
    } table[] = {
        {0x3F800000, 0x3F80}, {0x80000000, 0x8000}, // 1, -0
        {0x3F808000, 0x3F80}, {0x3F818000, 0x3F82}, // ties go to even
        {0x3F808001, 0x3F81}, {0x3F807FFF, 0x3F80}, // just off the tie
        {0x7F7FFFFF, 0x7F80}, {0x7F7F7FFF, 0x7F7F}, // largest: rounds to infinity, or not
        {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80}, // infinities
        {0x00000001, 0x0000}, {0x00008000, 0x0000}, // subnormals
        {0x00008001, 0x0001}, {0x007FFFFF, 0x0080},
        {0x7FC00000, 0x7FC0}, {0x7F800001, 0x7FC0}, // NaN stays NaN
        {0xFFFFFFFF, 0xFFFF},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        GR_CHECK_INT(to_bf16(table[i].bits), table[i].want);
    }
}

/// Against the definition: no other bf16 is nearer, and of two equally near the even one is taken.
static void test_f32_to_bf16_is_nearest(void)
{
    int64_t wrong = 0;
    for (uint64_t i = 0; i < (UINT64_C(1) << 32); i += 64007) { // a prime
        float value = from_bits((uint32_t)i);
        if (!isfinite(value)) {
            continue;
        }
        uint16_t got = to_bf16((uint32_t)i);
        double here = half_value(got, 8, 7);
        bool beyond = fabs((double)value) >= 0x1.FFp127; // half a place above the largest
        if (isinf(here) || beyond) {
            wrong += !(isinf(here) && beyond);
            continue;
        }
        double off = fabs(here - (double)value);
        double up = fabs(half_value((uint16_t)(got + 1), 8, 7) - (double)value);
        double down = fabs(half_value((uint16_t)(got - 1), 8, 7) - (double)value);
        bool edge = (got & 0x7FFF) == 0; // below zero comes the other sign
        bool nearest = off <= up && (edge || off <= down);
        bool even = !(got & 1) || (off < up && off < down);
        wrong += !(nearest && even);
    }
    GR_CHECK_INT(wrong, 0);
}

static void test_bf16_round_trip(void)
{
    static uint16_t halves[65536], back[65536];
    static float wide[65536];
    for (uint32_t i = 0; i < 65536; i++) {
        halves[i] = (uint16_t)i;
    }
    GR_CHECK(gr_convert_to_f32(GR_DTYPE_BF16, halves, 65536, wide));
    gr_convert_f32_to_bf16(wide, 65536, back);
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t want = isnan(wide[i]) ? halves[i] | 0x40 : halves[i]; // NaNs become quiet
        if (back[i] != want) {
            GR_CHECK_INT(back[i], want);
        }
    }
    GR_CHECK_INT((int64_t)bits_of(wide[0x3F80]), 0x3F800000);
}

/// All halves come back, and what lies between two goes to the nearer one, from the middle to the even one.
static void test_f16_round_trip(void)
{
    static uint16_t halves[65536], back[65536];
    static float wide[65536];
    int64_t wrong = 0;
    for (uint32_t i = 0; i < 65536; i++) {
        halves[i] = (uint16_t)i;
    }
    GR_CHECK(gr_convert_to_f32(GR_DTYPE_F16, halves, 65536, wide));
    gr_convert_f32_to_f16(wide, 65536, back);
    for (uint32_t i = 0; i < 65536; i++) {
        wrong += back[i] != (isnan(wide[i]) ? halves[i] | 0x200 : halves[i]);
    }
    GR_CHECK_INT(wrong, 0);
    for (uint32_t i = 0; i < 0x7BFF;
         i++) { // both signs, each with its neighbour away from zero
        for (uint32_t sign = 0; sign <= 0x8000; sign += 0x8000) {
            float low = wide[sign | i], high = wide[sign | (i + 1)], middle = (low + high) / 2;
            const float three[3] = {nextafterf(middle, low), middle, nextafterf(middle, high)};
            gr_convert_f32_to_f16(three, 3, back);
            wrong += back[0] != (sign | i) || back[2] != (sign | (i + 1)) ||
                     back[1] != (sign | (i % 2 ? i + 1 : i));
        }
    }
    GR_CHECK_INT(wrong, 0);
    const float far[] = {65519.996F, 65520, 1e30F, -65520, INFINITY, 1e-30F, -1e-30F};
    const uint16_t want[] = {0x7BFF, 0x7C00, 0x7C00, 0xFC00, 0x7C00, 0, 0x8000};
    gr_convert_f32_to_f16(far, 7, back);
    GR_CHECK_BYTES(back, want, sizeof want);
}

static const gr_test tests[] = {
    {"f16 round trip", test_f16_round_trip},
    {"types", test_types},
    {"shapes", test_shapes},
    {"views", test_views},
    {"bf16 to f32, all values", test_bf16_to_f32},
    {"f16 to f32, all values", test_f16_to_f32},
    {"other types to f32", test_other_types},
    {"f32 to bf16", test_f32_to_bf16},
    {"f32 to bf16 is the nearest", test_f32_to_bf16_is_nearest},
    {"bf16 there and back", test_bf16_round_trip},
};

GR_TEST_MAIN("tensor", tests)
