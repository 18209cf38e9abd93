/// src/base/elementary.c: its bits, which are the same everywhere, and its errors against the C library's long double,
/// where that has 11 bits more.

#include "src/base/digest.h"
#include "src/base/elementary.h"
#include "src/base/rng.h"
#include "tests/check.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COUNT = 400000 };

/// Distance in units of the last place that a double has at `want`, subnormals included.
static double ulps(double got, long double want)
{
    int exponent = 0;
    frexpl(want, &exponent);
    return (double)(fabsl((long double)got - want) /
                    ldexpl(1, (exponent < -1021 ? -1021 : exponent) - 53));
}

/// |got - x^y| / x^y in units of u (2 + 3 |y log x|).
static double pow_error_of(double got, double x, double y)
{
    long double want = powl((long double)x, (long double)y);
    double size = fabs(y * log(x));
    return (double)(fabsl((long double)got - want) / want) * 0x1p53 / (2 + 3 * size);
}

static double pow_error(double x, double y)
{
    return pow_error_of(gr_pow(x, y), x, y);
}

static double uniform(uint64_t i, double from, double to)
{
    return from + (to - from) * gr_rng_uniform(3, 5, i);
}

static void check_worst(const char *name, double worst, double bound)
{
    printf("%s: worst %.3f of %.3g allowed\n", name, worst, bound);
    GR_CHECK(worst <= bound);
}

/// For gr_test.missing: without a longer type there is nothing to measure errors with.
static const char *long_double_missing(void)
{
    return LDBL_MANT_DIG >= 64 ? NULL : "long double has no more than double's 53 bits";
}

/// The ruler of the other tests: a neighbour is 1 off, half-way 1/2, and what is right 0; subnormals too.
static void test_ulps(void)
{
    static const double at[] = {1, 1.75, 0x1p-1022, 0x1p-1074, 0x1.8p-1070, 1e300, -3};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        double next = nextafter(at[i], 2 * at[i]);
        GR_CHECK(ulps(at[i], (long double)at[i]) == 0);
        GR_CHECK(ulps(next, (long double)at[i]) == 1);
        GR_CHECK(ulps(at[i], ((long double)at[i] + (long double)next) / 2) == 0.5);
    }
    GR_CHECK(pow_error(2, 0.5) < 1);
    GR_CHECK(pow_error_of(2 * sqrt(2), 2, 0.5) > 1e15);
}

static void test_exp(void)
{
    double worst = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        double x = i % 2 ? uniform(i, -1, 1) : uniform(i, -708, 709.7);
        worst = fmax(worst, ulps(gr_exp(x), expl((long double)x)));
    }
    check_worst("exp", worst, 1);
    for (uint64_t i = 0; i < COUNT / 100; i++) {
        double x = uniform(i, -746, -708);
        GR_CHECK(ulps(gr_exp(x), expl((long double)x)) <= 1.01); // rounded once more
    }
    GR_CHECK(gr_exp(0) == 1 && gr_exp(-0.0) == 1 && gr_exp(0x1p-60) == 1);
    GR_CHECK(gr_exp(-745.2) == 0 && gr_exp(-INFINITY) == 0 && gr_exp(-745.1) == 0x1p-1074);
    GR_CHECK(isfinite(gr_exp(709.78)) && gr_exp(709.79) == INFINITY &&
             gr_exp(1e300) == INFINITY);
    GR_CHECK(gr_exp(INFINITY) == INFINITY && isnan(gr_exp(NAN)));
}

static void test_log(void)
{
    double worst = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        double x = i % 3 == 0   ? uniform(i, 0.5, 2)
                   : i % 3 == 1 ? ldexp(uniform(i, 1, 2), (int)uniform(i + COUNT, -1074, 1023))
                                : 1 + ldexp(uniform(i, -1, 1), -(int)(i % 53));
        worst = fmax(worst, x > 0 && x != 1 ? ulps(gr_log(x), logl((long double)x)) : 0);
    }
    check_worst("log", worst, 1);
    GR_CHECK(gr_log(1) == 0 && gr_log(0) == -INFINITY && gr_log(-0.0) == -INFINITY);
    GR_CHECK(gr_log(INFINITY) == INFINITY && isnan(gr_log(NAN)) && isnan(gr_log(-1)));
    GR_CHECK(ulps(gr_log(DBL_MAX), logl((long double)DBL_MAX)) <= 1);
    GR_CHECK(ulps(gr_log(0x1p-1074), logl((long double)0x1p-1074)) <= 1);
}

/// Where it is used: beta^step of AdamW, theta^(j / half) of rotary positions; and anywhere.
static void test_pow(void)
{
    static const double beta[] = {0.9, 0.95, 0.99, 0.999, 0.9999},
                        theta[] = {1e4, 1e5, 5e5, 1e6};
    double worst = 0;
    for (int b = 0; b < 5; b++) {
        for (int step = 1; step < 20000; step++) {
            double want = (double)powl((long double)beta[b], step);
            worst = want > 1e-300 ? fmax(worst, pow_error(beta[b], step)) : worst;
        }
    }
    for (int b = 0; b < 4; b++) {
        for (int j = 1; j < 128; j++) {
            worst = fmax(worst, pow_error(theta[b], (double)((float)j / 128)));
        }
    }
    for (uint64_t i = 0; i < COUNT / 4; i++) {
        worst = fmax(worst, pow_error(uniform(i, 1e-3, 1e3), uniform(i + COUNT, -50, 50)));
    }
    check_worst("pow", worst, 1);
    GR_CHECK(gr_pow(2, 0) == 1 && gr_pow(0, 0) == 1 && gr_pow(0, 3) == 0 &&
             gr_pow(1, 1e300) == 1);
    GR_CHECK(gr_pow(0, -1) == INFINITY && isnan(gr_pow(-1, 0.5)) && isnan(gr_pow(NAN, 1)));
    GR_CHECK(gr_pow(0, 1e-3) == 0 && gr_pow(0.9, 1e6) == 0);
}

static void test_cospi(void)
{
    static const double exact[][2] = {{0, 1},   {0.5, 0},  {1, -1},     {1.5, 0},     {2, 1},
                                      {-1, -1}, {-0.5, 0}, {0x1p50, 1}, {1e6 + 1, -1}};
    const long double pi = 3.14159265358979323846264338327950288L;
    double worst = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        double t = i % 2 ? uniform(i, 0, 1) : uniform(i, -1000, 1000);
        double k = rint(2 * t), r = t - k / 2; // exact
        long double a = pi * (long double)r, c = cosl(a), s = sinl(a);
        long double turns[] = {c, -s, -c, s};
        worst = fmax(worst, ulps(gr_cospi(t), turns[((int)k % 4 + 4) % 4]));
    }
    check_worst("cospi", worst, 2);
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++) {
        GR_CHECK(gr_cospi(exact[i][0]) == exact[i][1]);
    }
    GR_CHECK(fabs(gr_cospi(1.0 / 3) - 0.5) <= 0x1p-53);
    GR_CHECK(isnan(gr_cospi(NAN)));
}

/// To the last bit, on every machine and with every compiler: not all of them the nearest numbers.
static void test_bits(void)
{
    GR_CHECK(gr_exp(1) == 0x1.5bf0a8b14576ap+1);
    GR_CHECK(gr_log(10) == 0x1.26bb1bbb55516p+1);
    GR_CHECK(gr_pow(0.999, 1000) == 0x1.788526411ed72p-2);
    GR_CHECK(gr_cospi(0.3) == 0x1.2cf2304755a5ep-1);
}

enum { POINTS = 100000 };

static double arguments(int function, uint64_t i, double *second)
{
    *second = uniform(i + POINTS, -50, 50);
    switch (function) {
    case 0:
        return i % 2 ? uniform(i, -1, 1) : uniform(i, -746, 710);
    case 1:
        return ldexp(uniform(i, 1, 2), (int)uniform(i + POINTS, -1074, 1023));
    case 2:
        return uniform(i, 1e-3, 1e3);
    default:
        return i % 2 ? uniform(i, 0, 1) : uniform(i, -1000, 1000);
    }
}

/// The same for 100,000 arguments of each: a digest of all results, low byte first.
static void test_digests(void)
{
    static const struct {
        const char *name, *digest;
    } functions[] = {{"exp", "7705f18880bb3eff007c2e74364fc04c"},
                     {"log", "59ff58a8e2c233fe449d123162ea99fd"},
                     {"pow", "5effd04169959722219a1fc34d185610"},
                     {"cospi", "8e0f747b2e9fae3bd7878432d6e4f847"}};
    static unsigned char bytes[POINTS][8];
    for (int f = 0; f < 4; f++) {
        for (uint64_t i = 0; i < POINTS; i++) {
            double y = 0, x = arguments(f, i, &y);
            double value = f == 0   ? gr_exp(x)
                           : f == 1 ? gr_log(x)
                           : f == 2 ? gr_pow(x, y)
                                    : gr_cospi(x);
            uint64_t bits = 0;
            memcpy(&bits, &value, sizeof bits);
            for (int b = 0; b < 8; b++) {
                bytes[i][b] = (unsigned char)(bits >> 8 * b);
            }
        }
        char text[GR_DIGEST_TEXT];
        gr_digest_format(gr_digest_of(bytes, sizeof bytes), text);
        if (!GR_CHECK_STR(text, functions[f].digest)) {
            printf("%s\n", functions[f].name);
        }
    }
}

static const gr_test tests[] = {
    {"ulps", test_ulps, long_double_missing},
    {"exp", test_exp, long_double_missing},
    {"log", test_log, long_double_missing},
    {"pow", test_pow, long_double_missing},
    {"cospi", test_cospi, long_double_missing},
    {"bits", test_bits},
    {"digests", test_digests},
};
GR_TEST_MAIN("base: elementary functions", tests)
