// Every width of vectors gives the bytes of the plain rows; erf and the angles against libm in double.
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/ops/math_inline.h"
#include "src/ops/rows.h"
#include "src/tensor/tensor.h"
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 211, BUFFERS = 4 };

/// What one table made of one set of inputs: five buffers of floats, and numbers.
typedef struct made {
    float f[BUFFERS][2 * MOST];
    double d[2][MOST];
    double number[4];
    uint16_t half[MOST];
} made;

/// Ordinary numbers of several sizes, and with `odd` the ends of fp32 among them.
static void fill(float *x, int64_t n, uint64_t stream, bool odd)
{
    static const float ends[] = {0,    -0.0F, 1e-40F, -1e-39F,  88,
                                 -104, 3e38F, -3e38F, INFINITY, -INFINITY};
    for (int64_t i = 0; i < n; i++) {
        double r = gr_rng_normal(7, stream, (uint64_t)i);
        x[i] = (float)(i % 5 == 3 ? 20 * r : r);
        if (odd && i % 7 == 2) {
            x[i] = ends[(size_t)i / 7 % (sizeof ends / sizeof *ends)];
        }
    }
}

typedef enum kernel {
    SUM,
    DOT,
    SPREAD,
    ADD,
    SCALE,
    ADD_TO_SUMS,
    SOFTMAX,
    SCORE,
    SCORE_SUMMED,
    SWIGLU,
    SWIGLU_BWD,
    GELU,
    GELU_BWD,
    GELU_TANH,
    GELU_TANH_BWD,
    ANGLES,
    ROTATE,
    NORM,
    NORM_BIAS,
    NORM_GRADIENT,
    NORM_GRADIENT_ADDED,
    NORM_SUMS,
    TO_BF16,
    FROM_BF16,
    KERNELS
} kernel;

static void call(const gr_rows *r, kernel k, int64_t n, made *m)
{
    float *a = m->f[0], *b = m->f[1], *c = m->f[2], *d = m->f[3];
    gri_norm_row row = {
        .channels = n, .dy = a, .x = b, .w = c, .m = 0.25F, .r = 1.5F, .center = true};
    switch (k) {
    case SUM:
        m->number[0] = r->sum(n, a);
        break;
    case DOT:
        m->number[0] = r->dot(n, a, b);
        break;
    case SPREAD:
        m->number[0] = r->spread(n, a, 0.125);
        break;
    case ADD:
        r->add(n, a, b);
        break;
    case SCALE:
        r->scale(n, a, 1.25F);
        break;
    case ADD_TO_SUMS:
        r->add_to_sums(n, a, m->d[0]);
        break;
    case SOFTMAX:
        m->number[1] = n > 0 ? (double)r->softmax(n, a, m->number) : 0;
        break;
    case SCORE:
        r->score_gradient(n, a, b, 0.5F, 0.25F);
        break;
    case SCORE_SUMMED:
        r->score_gradient_summed(n, a, b, 0.5F);
        break;
    case SWIGLU:
        r->swiglu(n, a, b, c);
        break;
    case SWIGLU_BWD:
        r->swiglu_bwd(n, a, b, c, b, c);
        break;
    case GELU:
        r->gelu(n, a, b);
        break;
    case GELU_BWD:
        r->gelu_bwd(n, a, b, a);
        break;
    case GELU_TANH:
        r->gelu_tanh(n, a, b);
        break;
    case GELU_TANH_BWD:
        r->gelu_tanh_bwd(n, a, b, a);
        break;
    case ANGLES:
        r->angles(n, 1234, a, c, d);
        break;
    case ROTATE:
        r->rotate(n, a, b, c);
        break;
    case NORM:
        r->norm(n, a, b, NULL, 0, 1.5F, a);
        break;
    case NORM_BIAS:
        r->norm(n, a, b, c, 0.25F, 1.5F, d);
        break;
    case NORM_GRADIENT:
        r->norm_gradient(&row, false, d);
        break;
    case NORM_GRADIENT_ADDED:
        r->norm_gradient(&row, true, d);
        break;
    case NORM_SUMS:
        r->norm_sums(&row, m->d[0], m->d[1]);
        break;
    case TO_BF16:
        r->to_bf16(n, a, m->half);
        break;
    case FROM_BF16:
        r->to_bf16(n, a, m->half);
        r->from_bf16(n, m->half, b);
        break;
    case KERNELS:
        break;
    }
}

/// NaNs may differ in their sign and payload: the order of operands decides which one survives.
static void quiet(made *m)
{
    for (int i = 0; i < BUFFERS * 2 * MOST; i++) {
        float *x = &m->f[0][0] + i;
        *x = isnan(*x) ? NAN : *x;
    }
    for (int i = 0; i < 2 * MOST; i++) {
        double *x = &m->d[0][0] + i;
        *x = isnan(*x) ? (double)NAN : *x;
    }
    for (int i = 0; i < 4; i++) {
        m->number[i] = isnan(m->number[i]) ? (double)NAN : m->number[i];
    }
}

static void compare(gr_vectors vectors, kernel k, int64_t n, bool odd)
{
    static made want, got;
    memset(&want, 0, sizeof want);
    for (int i = 0; i < BUFFERS; i++) {
        fill(want.f[i], 2 * MOST, (uint64_t)(10 * n + i), odd);
    }
    got = want;
    call(&gri_rows_plain, k, n, &want);
    call(gri_rows_of(vectors), k, n, &got);
    quiet(&want);
    quiet(&got);
    if (!GR_CHECK(memcmp(&want, &got, sizeof got) == 0)) {
        printf("kernel %d, %s, %lld numbers%s\n", (int)k, gr_vectors_name(vectors),
               (long long)n, odd ? ", odd ones" : "");
    }
}

static void test_same_bytes(void)
{
    for (int v = 1; v < GR_VECTORS_COUNT; v++) {
        if (!gr_cpu_has_vectors((gr_vectors)v)) {
            printf("notice: this processor has no %s\n", gr_vectors_name((gr_vectors)v));
            continue;
        }
        for (int k = 0; k < KERNELS; k++) {
            for (int64_t n = 0; n <= 70; n++) {
                compare((gr_vectors)v, (kernel)k, n, n % 2 == 1);
            }
            compare((gr_vectors)v, (kernel)k, MOST, false);
            compare((gr_vectors)v, (kernel)k, MOST, true);
        }
    }
}

static double ulps(double got, double want)
{
    int exponent = 0;
    frexp(want, &exponent);
    return fabs(got - want) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

static void test_erf(void)
{
    double worst = 0, at = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 4099) {
        float x = gri_from_bits((uint32_t)bits), got = gri_erff(x);
        if (isnan(x)) {
            GR_CHECK(isnan(got));
        } else if (got != (float)erf((double)x)) {
            double u = ulps((double)got, erf((double)x));
            at = u > worst ? (double)x : at;
            worst = fmax(worst, u);
        }
    }
    if (!GR_CHECK(worst > 0.5 && worst <= 2)) {
        printf("erf: %.3f ulp at %a\n", worst, at);
    }
    GR_CHECK(gri_erff(INFINITY) == 1 && gri_erff(-INFINITY) == -1);
    GR_CHECK(gri_erff(0) == 0 && signbit(gri_erff(-0.0F)));
}

static void test_angles(void)
{
    double worst = 0;
    for (int i = 0; i < 2000000; i++) {
        float x =
            (float)((gr_rng_uniform(3, 1, (uint64_t)i) - 0.5) * (i % 2 ? 2097152.0 : 20.0));
        float s = 0, c = 0;
        gri_sincosf(x, &s, &c);
        worst = fmax(worst, ulps((double)s, sin((double)x)));
        worst = fmax(worst, ulps((double)c, cos((double)x)));
    }
    if (!GR_CHECK(worst > 0.4 && worst <= 1)) {
        printf("sine and cosine: %.3f ulp\n", worst);
    }
}

static void test_bf16(void)
{
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 997) {
        float x = gri_from_bits((uint32_t)bits);
        uint16_t want = 0, got = 0;
        gr_convert_f32_to_bf16(&x, 1, &want);
        gri_rows_plain.to_bf16(1, &x, &got);
        if (got != want) {
            GR_CHECK_INT(got, want);
            break;
        }
    }
}

static void test_choice(void)
{
    gr_vectors v = GR_VECTORS_PLAIN;
    const char *before = getenv("GRADUS_VECTORS");
    char *kept = before ? strdup(before) : NULL;
    unsetenv("GRADUS_VECTORS");
    GR_CHECK_OK(gr_cpu_vectors(&v));
    GR_CHECK(gr_cpu_has_vectors(v));
    GR_CHECK(v == GR_VECTORS_AVX512 || !gr_cpu_has_vectors(GR_VECTORS_AVX512));
    setenv("GRADUS_VECTORS", "plain", 1);
    GR_CHECK_OK(gr_cpu_vectors(&v));
    GR_CHECK_INT(v, GR_VECTORS_PLAIN);
    setenv("GRADUS_VECTORS", "wide", 1);
    GR_CHECK_ERR(gr_cpu_vectors(&v), GR_ERR_USAGE, "expected plain, avx2 or avx512");
    if (!gr_cpu_has_vectors(GR_VECTORS_AVX512)) {
        setenv("GRADUS_VECTORS", "avx512", 1);
        GR_CHECK_ERR(gr_cpu_vectors(&v), GR_ERR_UNAVAILABLE, "has none");
    }
    kept ? setenv("GRADUS_VECTORS", kept, 1) : unsetenv("GRADUS_VECTORS");
    free(kept);
}

static const gr_test tests[] = {{"same bytes", test_same_bytes},
                                {"erf", test_erf},
                                {"angles", test_angles},
                                {"bf16", test_bf16},
                                {"choice", test_choice}};
GR_TEST_MAIN("ops: rows", tests)
