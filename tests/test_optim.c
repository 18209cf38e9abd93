#include "src/optim/adamw.h"
#include "src/optim/finite.h"
#include "src/optim/schedule.h"
#include "tests/check.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { N = 40001, STEPS = 50 };

static const gr_adamw settings = {.learning_rate = 1e-2,
                                  .beta1 = 0.9,
                                  .beta2 = 0.95,
                                  .eps = 1e-8,
                                  .weight_decay = 0.1,
                                  .grad_scale = 0.25};

typedef struct state {
    float param[N], m[N], v[N];
} state;

static void begin(state *s)
{
    memset(s, 0, sizeof *s);
    for (int i = 0; i < N; i++) {
        s->param[i] = (float)sin(0.1 * i);
    }
}

/// Gradients of very different size, some zero.
static float gradient(int i, int64_t step)
{
    return i % 11 == 0 ? 0 : (float)(pow(10, i % 9 - 6) * cos(i + 0.7 * (double)step));
}

static void fill_gradient(float *grad, int64_t step)
{
    for (int i = 0; i < N; i++) {
        grad[i] = gradient(i, step);
    }
}

static double reference(int i, int64_t steps)
{
    const gr_adamw *o = &settings;
    double p = (double)(float)sin(0.1 * i), m = 0, v = 0;
    for (int64_t t = 1; t <= steps; t++) {
        double g = o->grad_scale * (double)gradient(i, t);
        p -= o->learning_rate * o->weight_decay * p;
        m = o->beta1 * m + (1 - o->beta1) * g;
        v = o->beta2 * v + (1 - o->beta2) * g * g;
        double corrected = v / (1 - pow(o->beta2, (double)t));
        p -= o->learning_rate / (1 - pow(o->beta1, (double)t)) * m / (sqrt(corrected) + o->eps);
    }
    return p;
}

static void test_adamw(void)
{
    static state s;
    static float grad[N];
    begin(&s);
    for (int64_t t = 1; t <= STEPS; t++) {
        gr_adamw opt = settings;
        opt.step = t;
        fill_gradient(grad, t);
        gr_adamw_update(&opt, N, s.param, grad, s.m, s.v, 2);
    }
    enum { SAMPLE = 400 };
    float got[SAMPLE], want[SAMPLE];
    for (int i = 0; i < SAMPLE; i++) {
        got[i] = s.param[i * 97];
        want[i] = (float)reference(i * 97, STEPS);
    }
    // 50 updates of 1e-2, each rounded in fp32.
    GR_CHECK_CLOSE(got, want, SAMPLE, 0, 2e-6);
    GR_CHECK_NORM(got, want, SAMPLE, 1e-6, 0);
}

/// The same bits however the range is split and whoever computes it.
static void test_adamw_split(void)
{
    static state whole, split;
    static float grad[N];
    static const int64_t cuts[] = {0, 1, 17, 16384, 16385, 32771, N, N};
    begin(&whole);
    begin(&split);
    for (int64_t t = 1; t <= 3; t++) {
        gr_adamw opt = settings;
        opt.step = t;
        fill_gradient(grad, t);
        gr_adamw_update(&opt, N, whole.param, grad, whole.m, whole.v, 1);
        for (int c = 0; c < 7; c++) {
            int64_t at = cuts[c], n = cuts[c + 1] - cuts[c];
            gr_adamw_update(&opt, n, split.param + at, grad + at, split.m + at, split.v + at,
                            1 + c % 3);
        }
    }
    GR_CHECK_BYTES(&split, &whole, sizeof whole);
}

/// No gradient yet: only the decay acts; 0 / (0 + eps) is 0.
static void test_adamw_zero_gradient(void)
{
    float p[2] = {2, -4}, g[2] = {0, 0}, m[2] = {0, 0}, v[2] = {0, 0};
    gr_adamw opt = settings;
    opt.step = 1;
    gr_adamw_update(&opt, 2, p, g, m, v, 1);
    const float keep = (float)(1 - 1e-2 * 0.1), want[2] = {2 * keep, -4 * keep};
    GR_CHECK_BYTES(p, want, sizeof p);
}

enum { MANY = 18 * GR_NORM_BLOCK + 321 };

/// As the ranks do: the blocks' sums, in order.
static double sum_squares(int64_t n, const float *x, int threads)
{
    static double sums[MANY / GR_NORM_BLOCK + 1];
    double total = 0;
    gr_square_sums(n, x, sums, threads);
    for (int64_t i = 0; i < (n + GR_NORM_BLOCK - 1) / GR_NORM_BLOCK; i++) {
        total += sums[i];
    }
    return total;
}

static void test_sum_squares(void)
{
    static float x[MANY];
    double want = 0;
    for (int64_t i = 0; i < MANY; i++) {
        x[i] = (float)sin((double)i);
        want += (double)x[i] * (double)x[i];
    }
    double one = sum_squares(MANY, x, 1);
    GR_CHECK_CLOSE_F64(&one, &want, 1, 1e-12, 0);
    for (int threads = 2; threads <= 3; threads++) {
        double more = sum_squares(MANY, x, threads);
        GR_CHECK_BYTES(&more, &one, sizeof one);
    }
    static const int64_t lengths[] = {0, 1, 7, 9, GR_NORM_BLOCK, GR_NORM_BLOCK + 1};
    for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
        want = 0;
        for (int64_t i = 0; i < lengths[k]; i++) {
            want += (double)x[i] * (double)x[i];
        }
        double got = sum_squares(lengths[k], x, 2);
        GR_CHECK_CLOSE_F64(&got, &want, 1, 1e-13, 0);
    }
    x[70000] = NAN;
    GR_CHECK(isnan(sum_squares(MANY, x, 2)));
}

/// A block's sum does not depend on what lies before it, nor on who computes it.
static void test_sum_squares_blocks(void)
{
    enum { BLOCKS = 3 };
    static float x[BLOCKS * GR_NORM_BLOCK];
    double all[BLOCKS], one = 0;
    for (int i = 0; i < BLOCKS * GR_NORM_BLOCK; i++) {
        x[i] = (float)cos(i);
    }
    gr_square_sums(BLOCKS * GR_NORM_BLOCK, x, all, 2);
    for (int b = 0; b < BLOCKS; b++) {
        gr_square_sums(GR_NORM_BLOCK, x + (size_t)b * GR_NORM_BLOCK, &one, 1);
        GR_CHECK_BYTES(&one, &all[b], sizeof one);
    }
}

static void test_constant(void)
{
    const gr_schedule s = {GR_SCHEDULE_CONSTANT, 4, 10, 0.1, 1};
    static const double want[] = {0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1};
    for (int64_t t = 0; t < 10; t++) {
        double got = gr_schedule_factor(&s, t);
        GR_CHECK_CLOSE_F64(&got, &want[t], 1, 0, 0);
    }
}

static void test_cosine(void)
{
    const gr_schedule s = {GR_SCHEDULE_COSINE, 2, 11, 0.2, 1};
    const double half = 0.6, quarter = 0.2 + 0.8 * (1 + sqrt(0.5)) / 2;
    static const int64_t step[] = {0, 1, 2, 4, 6, 10};
    const double want[] = {0.5, 1, 1, quarter, half, 0.2};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        double got = gr_schedule_factor(&s, step[i]);
        GR_CHECK_CLOSE_F64(&got, &want[i], 1, 1e-15, 0);
    }
}

/// Stages with no room for a cosine: one step, or nothing but warm-up.
static void test_cosine_short(void)
{
    const gr_schedule one = {GR_SCHEDULE_COSINE, 0, 1, 0, 1};
    const gr_schedule warm = {GR_SCHEDULE_COSINE, 3, 3, 0, 1};
    const gr_schedule after = {GR_SCHEDULE_COSINE, 3, 4, 0, 1};
    GR_CHECK(gr_schedule_factor(&one, 0) == 1);
    GR_CHECK(gr_schedule_factor(&warm, 2) == 1);
    GR_CHECK(gr_schedule_factor(&after, 3) == 1);
}

/// The last one is found wherever it is, on any number of threads; the largest number and the smallest are no fault.
static void test_last_nonfinite(void)
{
    static const float values[] = {NAN, INFINITY, -INFINITY, -NAN};
    static const int places[] = {0, 1, 15, 16383, 16384, 32767, N - 1};
    static float x[N];
    for (int i = 0; i < N; i++) {
        x[i] = i % 3 == 0 ? -FLT_MAX : i % 3 == 1 ? FLT_MAX : FLT_TRUE_MIN;
    }
    GR_CHECK_INT(gr_last_nonfinite(0, x, 2), -1);
    GR_CHECK_INT(gr_last_nonfinite(N, x, 3), -1);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        float kept = x[places[i]];
        x[places[i]] = values[i % 4];
        for (int threads = 1; threads <= 3; threads++) {
            GR_CHECK_INT(gr_last_nonfinite(N, x, threads), places[i]);
            GR_CHECK_INT(gr_last_nonfinite(places[i], x, threads), -1);
            GR_CHECK_INT(gr_last_nonfinite(places[i] + 1, x, threads), places[i]);
        }
        x[0] = NAN;
        GR_CHECK_INT(gr_last_nonfinite(N, x, 2), places[i]);
        x[0] = -FLT_MAX;
        x[places[i]] = kept;
    }
}

static const gr_test tests[] = {
    {"adamw", test_adamw},
    {"adamw in ranges", test_adamw_split},
    {"adamw without gradient", test_adamw_zero_gradient},
    {"sum of squares", test_sum_squares},
    {"sum of squares by blocks", test_sum_squares_blocks},
    {"last that is not finite", test_last_nonfinite},
    {"constant", test_constant},
    {"cosine", test_cosine},
    {"short cosine", test_cosine_short},
};
GR_TEST_MAIN("optim", tests)
