#include "src/base/elementary.h"

#include <float.h>
#include <stdint.h>

/// Every operation rounds to double at once: x87 registers would keep more bits, and a fused multiply-add rounds once
/// where two roundings are meant. The first is a property of the target; the second is -ffp-contract=off in
/// CMakeLists.txt, of which a compiler says nothing that could be asserted: the digests of tests/test_elementary.c
/// see it.
_Static_assert(FLT_EVAL_METHOD == 0,
               "build for a target that computes doubles in double: on x86, -mfpmath=sse");
#ifdef __FAST_MATH__
#error "elementary.c keeps its bits only without -ffast-math"
#endif

/// Adding it rounds a smaller number to an integer, which lands in the low bits.
static const double to_integer = 0x1.8p52;

static uint64_t to_bits(double x)
{
    union {
        double d;
        uint64_t u;
    } word = {.d = x};
    return word.u;
}

static double from_bits(uint64_t bits)
{
    union {
        uint64_t u;
        double d;
    } word = {.u = bits};
    return word.d;
}

/// 2^n for -1022 <= n <= 1023.
static double power_of_2(int64_t n)
{
    return from_bits((uint64_t)(n + 1023) << 52);
}

/// The first `count` coefficients, lowest power first.
static double polynomial(const double *c, int count, double x)
{
    double sum = c[count - 1];
    for (int i = count - 2; i >= 0; i--) {
        sum = sum * x + c[i];
    }
    return sum;
}

/// ln 2 in two parts: the first has 32 bits, so an exponent times it is exact.
static const double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;

double gr_exp(double x)
{
    // (e^r - 1 - r) / r^2, Taylor: the next term is below 2^-58 for |r| <= ln 2 / 2.
    static const double c[] = {1 / 2.0,        1 / 6.0,         1 / 24.0,
                               1 / 120.0,      1 / 720.0,       1 / 5040.0,
                               1 / 40320.0,    1 / 362880.0,    1 / 3628800.0,
                               1 / 39916800.0, 1 / 479001600.0, 1 / 6227020800.0};
    if (!(x > -746)) {
        return x != x ? x : 0;
    }
    if (x > 710) {
        return (double)__builtin_inff();
    }
    double n = (x * 0x1.71547652b82fep+0 + to_integer) - to_integer;
    double high = x - n * ln2_high, low = n * ln2_low;
    double r = high - low, r_low = (high - r) - low;
    double e = 1 + (r + (r_low + r * r * polynomial(c, 12, r)));
    int64_t power = (int64_t)n, half = power >> 1; // 2^power may not fit, its halves do
    return e * power_of_2(half) * power_of_2(power - half);
}

double gr_log(double x)
{
    // (log((1 + s) / (1 - s)) - 2 s) / (2 s^3) = 1/3 + s^2/5 + ..., |s| <= 0.1716
    static const double c[] = {1 / 3.0,  1 / 5.0,  1 / 7.0,  1 / 9.0,  1 / 11.0,
                               1 / 13.0, 1 / 15.0, 1 / 17.0, 1 / 19.0, 1 / 21.0};
    if (!(x > 0)) {
        return x == 0 ? -(double)__builtin_inff() : (double)__builtin_nanf("");
    }
    if (x > 0x1.fffffffffffffp+1023) {
        return x;
    }
    int64_t exponent = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        exponent = -54;
    }
    // x = 2^exponent (1 + f) with 1 + f from sqrt(1/2) to sqrt(2): whole octaves above sqrt(1/2).
    int64_t bits = (int64_t)to_bits(x);
    int64_t octaves = (bits - (int64_t)to_bits(0x1.6a09e667f3bcdp-1)) >> 52;
    exponent += octaves;
    double f = from_bits((uint64_t)(bits - octaves * ((int64_t)1 << 52))) - 1;
    double s = f / (2 + f), u = s * s;
    // log(1 + f) = 2 s + s R = f - s (f - R), where f is exact
    double rest = s * (f - 2 * u * polynomial(c, 10, u));
    double n = (double)exponent;
    return n * ln2_high + (f - (rest - n * ln2_low));
}

double gr_pow(double x, double y)
{
    if (y == 0) {
        return 1;
    }
    return x == 0 && y > 0 ? 0 : gr_exp(y * gr_log(x));
}

double gr_cospi(double t)
{
    // sin(a) / a and cos(a) in a^2, |a| <= pi/4
    static const double sine[] = {1,
                                  -1 / 6.0,
                                  1 / 120.0,
                                  -1 / 5040.0,
                                  1 / 362880.0,
                                  -1 / 39916800.0,
                                  1 / 6227020800.0,
                                  -1 / 1307674368000.0,
                                  1 / 355687428096000.0};
    static const double cosine[] = {-1 / 2.0,
                                    1 / 24.0,
                                    -1 / 720.0,
                                    1 / 40320.0,
                                    -1 / 3628800.0,
                                    1 / 479001600.0,
                                    -1 / 87178291200.0,
                                    1 / 20922789888000.0,
                                    -1 / 6402373705728000.0};
    const double pi = 0x1.921fb54442d18p+1, pi_low = 0x1.1a62633145c07p-53;
    double shifted = 2 * t + to_integer, quarters = shifted - to_integer;
    double r = t - quarters / 2; // exact; |r| <= 1/4
    double a = pi * r, u = a * a, value = 0;
    uint64_t quarter = to_bits(shifted) & 3;
    if (quarter % 2 == 0) {
        value = 1 + u * polynomial(cosine, 9, u);
    } else {
        value = -(a + (pi_low * r + a * (polynomial(sine, 9, u) - 1)));
    }
    return quarter >= 2 ? -value : value;
}
