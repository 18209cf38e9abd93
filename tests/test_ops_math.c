#include "src/base/cpu.h"
#include "src/ops/math_inline.h"
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/// Distance in units of the last place that fp32 has at `want`, subnormals included.
static double ulps(double got, double want)
{
    int exponent = 0;
    frexp(want, &exponent);
    return fabs(got - want) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

/// Every class of bit patterns: stepping through all 2^32 of them.
static void test_exp(void)
{
    const uint32_t step = 4099;
    double worst = 0;
    int64_t wrong = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += step) {
        float x = gri_from_bits((uint32_t)bits), got = gri_expf(x);
        double want = exp((double)x);
        if (isnan(x)) {
            wrong += !isnan(got);
        } else if (isinf((float)want)) {
            wrong += got != INFINITY;
        } else if (got != (float)want) {
            worst = fmax(worst, ulps((double)got, want));
        }
    }
    GR_CHECK_INT(wrong, 0);
    GR_CHECK(worst <= 1);
    GR_CHECK(worst > 0.5); // it was measured
}

static void test_exp_ends(void)
{
    static const float exact[][2] = {
        {0, 1},
        {-0.0F, 1},
        {INFINITY, INFINITY},
        {-INFINITY, 0},
        {1e-40F, 1},
        {-1e-40F, 1},
        {88.72284F, INFINITY},
        {89.1F, INFINITY},
        {3e38F, INFINITY},
        {-103.98F, 0},
        {-104.1F, 0},
        {-3e38F, 0},
        {-103.9F, 0x1p-149F},
        {-103.2F, 0x1p-149F},
    };
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++) {
        float got = gri_expf(exact[i][0]);
        if (!GR_CHECK(got == exact[i][1])) {
            printf("exp(%a) = %a, want %a\n", (double)exact[i][0], (double)got,
                   (double)exact[i][1]);
        }
    }
    GR_CHECK(isnan(gri_expf(NAN)) && isnan(gri_expf(-NAN)));
    GR_CHECK(isfinite(gri_expf(88.72283F)) && gri_expf(88.72283F) > 3.4e38F);
}

enum { N = 1003 };

/// All of the header on n numbers.
typedef struct results {
    float exponential[N], error[N], sine[N], cosine[N], max;
    double sum, dot, dot3, spread;
} results;

GRI_INLINE void all(int64_t n, const float *x, const float *y, results *r)
{
    memset(r, 0, sizeof *r);
    memcpy(r->exponential, x, sizeof r->exponential);
    memcpy(r->error, x, sizeof r->error);
    for (int64_t i = 0; i < n; i++) {
        r->exponential[i] = gri_expf(r->exponential[i]);
        r->error[i] = gri_erff(r->error[i]);
        gri_sincosf(x[i], &r->sine[i], &r->cosine[i]);
    }
    r->max = gri_max(n, x);
    r->sum = gri_sum(n, x);
    r->dot = gri_dot(n, x, y);
    r->dot3 = gri_dot3(n, x, y, y);
    r->spread = gri_spread(n, x, 0.1);
}

static void as_built(int64_t n, const float *x, const float *y, results *r)
{
    all(n, x, y, r);
}

__attribute__((optimize("no-tree-vectorize"))) static void scalar(int64_t n, const float *x,
                                                                  const float *y, results *r)
{
    all(n, x, y, r);
}

#ifdef __x86_64__
__attribute__((target("avx2,fma"))) static void wide(int64_t n, const float *x, const float *y,
                                                     results *r)
{
    all(n, x, y, r);
}
#endif

/// Whether the compiler makes vectors of it, and how wide, does not change a bit.
static void test_vectors_change_nothing(void)
{
    static float x[N], y[N];
    static results want, got;
    for (int i = 0; i < N; i++) {
        x[i] = (float)(90 * sin(1.7 * i));
        y[i] = (float)cos(0.3 * i);
    }
    x[17] = -1000;
    x[18] = 100;
    static const int64_t lengths[] = {1, 15, 16, 17, 100, N};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        as_built(lengths[i], x, y, &want);
        scalar(lengths[i], x, y, &got);
        GR_CHECK_BYTES(&got, &want, sizeof got);
#ifdef __x86_64__
        if (gr_cpu_get()->avx2 && gr_cpu_get()->fma) {
            wide(lengths[i], x, y, &got);
            GR_CHECK_BYTES(&got, &want, sizeof got);
        }
#endif
    }
}

static void test_sums(void)
{
    static float x[N], y[N], z[N];
    for (int i = 0; i < N; i++) {
        x[i] = (float)sin(i);
        y[i] = (float)cos(2 * i);
        z[i] = (float)(i % 7);
    }
    static const int lengths[] = {0, 1, 15, 16, 17, N};
    for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
        int n = lengths[k];
        double want[4] = {0};
        float max = -INFINITY;
        for (int i = 0; i < n; i++) {
            double a = (double)x[i], b = (double)y[i], c = (double)z[i];
            want[0] += a;
            want[1] += a * b;
            want[2] += a * b * c;
            want[3] += (a - 0.5) * (a - 0.5);
            max = x[i] > max ? x[i] : max;
        }
        double got[4] = {gri_sum(n, x), gri_dot(n, x, y), gri_dot3(n, x, y, z),
                         gri_spread(n, x, 0.5)};
        GR_CHECK_CLOSE_F64(got, want, 4, 1e-12, 1e-13);
        GR_CHECK(gri_max(n, x) == max);
    }
}

static const gr_test tests[] = {
    {"exp", test_exp},
    {"ends of exp", test_exp_ends},
    {"vectors", test_vectors_change_nothing},
    {"sums", test_sums},
};
GR_TEST_MAIN("ops: arithmetic", tests)
