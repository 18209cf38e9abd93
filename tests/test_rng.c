#include "tests/check.h"

#include "src/base/rng.h"

#include <math.h>
#include <string.h>

/// seed is the key; index and stream are the counter, low words first.
static void test_u64_is_the_block(void)
{
    uint64_t got = gr_rng_u64(UINT64_C(0x299f31d0a4093822), UINT64_C(0x0370734413198a2e),
                              UINT64_C(0x85a308d3243f6a88));
    GR_CHECK(got == UINT64_C(0x94fdccebd16cfe09));
    GR_CHECK(gr_rng_u64(0, 0, 0) == UINT64_C(0xe169c58d6627e8d5));
    GR_CHECK_CLOSE_F64(&(double){gr_rng_uniform(0, 0, 0)},
                       &(double){(double)(UINT64_C(0xe169c58d6627e8d5) >> 11) / 0x1p53}, 1, 0,
                       0);
}

enum { COUNT = 100000 };

// Tolerances: five standard errors of each moment over COUNT numbers.
static void test_uniform(void)
{
    double sum = 0, squares = 0, product = 0, before = 0;
    bool inside = true;
    for (uint64_t i = 0; i < COUNT; i++) {
        double u = gr_rng_uniform(7, 3, i);
        inside = inside && u >= 0 && u < 1;
        sum += u - 0.5;
        squares += (u - 0.5) * (u - 0.5);
        product += (u - 0.5) * before;
        before = u - 0.5;
    }
    GR_CHECK(inside);
    GR_CHECK(fabs(sum / COUNT) < 5 * sqrt(1.0 / 12 / COUNT));
    GR_CHECK(fabs(squares / COUNT - 1.0 / 12) < 5 * sqrt(1.0 / 180 / COUNT));
    GR_CHECK(fabs(product / COUNT) < 5 * sqrt(1.0 / 144 / COUNT));
}

static void test_normal(void)
{
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
    bool finite = true;
    for (uint64_t i = 0; i < COUNT; i++) {
        double x = gr_rng_normal(7, 3, i);
        finite = finite && isfinite(x);
        m1 += x;
        m2 += x * x;
        m3 += x * x * x;
        m4 += x * x * x * x;
    }
    GR_CHECK(finite);
    GR_CHECK(fabs(m1 / COUNT) < 5 * sqrt(1.0 / COUNT));
    GR_CHECK(fabs(m2 / COUNT - 1) < 5 * sqrt(2.0 / COUNT));
    GR_CHECK(fabs(m3 / COUNT) < 5 * sqrt(15.0 / COUNT));
    GR_CHECK(fabs(m4 / COUNT - 3) < 5 * sqrt(96.0 / COUNT));
}

static void test_each_input_counts(void)
{
    uint64_t base = gr_rng_u64(1, 2, 3);
    GR_CHECK(base == gr_rng_u64(1, 2, 3));
    for (int bit = 0; bit < 64; bit++) {
        uint64_t flip = UINT64_C(1) << bit;
        GR_CHECK(base != gr_rng_u64(1 ^ flip, 2, 3));
        GR_CHECK(base != gr_rng_u64(1, 2 ^ flip, 3));
        GR_CHECK(base != gr_rng_u64(1, 2, 3 ^ flip));
    }
}

static void test_streams(void)
{
    GR_CHECK(gr_rng_stream("init") != gr_rng_stream("init "));
}

static const gr_test tests[] = {
    {"64 bits of a block", test_u64_is_the_block},
    {"moments of the uniform", test_uniform},
    {"moments of the normal", test_normal},
    {"every input bit counts", test_each_input_counts},
    {"streams", test_streams},
};

GR_TEST_MAIN("rng", tests)
