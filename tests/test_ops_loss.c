#include "tests/ops_check.h"

/// d: tokens T, channels C, words V, which tokens have a target.
enum { ALL, SOME, NONE, LAST };

static bool has_target(const int64_t *d, int64_t t)
{
    return d[3] == ALL || (d[3] == SOME && t % 3 != 1) || (d[3] == LAST && t == d[0] - 1);
}

static void loss_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = op_2d(d[0], d[1]);
    r->in[1] = op_2d(d[2], d[1]);
    r->out[0] = op_1d(1);
    r->out[1] = op_1d(2); // all bits of the loss, to compare numbers of threads
    int32_t *target = r->ints[0].data;
    for (int64_t t = 0; t < d[0]; t++) {
        target[t] = has_target(d, t) ? (int32_t)(t * 11 % d[2]) : -100;
    }
    r->ints[0].shape[0] = d[0];
}

static double token_loss(int64_t V, int64_t C, const double *h, const double *w, int32_t target)
{
    double sum = 0, hit = 0;
    for (int64_t v = 0; v < V; v++) {
        double z = 0;
        for (int64_t c = 0; c < C; c++) {
            z += h[c] * w[v * C + c];
        }
        sum += exp(z);
        hit = v == target ? z : hit;
    }
    return log(sum) - hit;
}

static void loss_formula(const op_run *r, double *const *in, double *out)
{
    int64_t T = r->size->d[0], C = r->size->d[1], V = r->size->d[2];
    const int32_t *target = r->ints[0].data;
    *out = 0;
    for (int64_t t = 0; t < T; t++) {
        if (target[t] >= 0) {
            *out += token_loss(V, C, in[0] + t * C, in[1], target[t]);
        }
    }
}

static void loss_forward(gr_exec *ex, const op_run *r)
{
    double loss = NAN;
    ex->ops->cross_entropy(ex, r->in[0], r->in[1], r->ints[0], gr_tensor_none(),
                           gr_tensor_none(), &loss);
    *gr_tensor_f32(r->out[0], 0) = (float)loss;
    memcpy(r->out[1].data, &loss, sizeof loss);
}

static void loss_backward(gr_exec *ex, const op_run *r)
{
    double loss = NAN;
    ex->ops->cross_entropy(ex, r->in[0], r->in[1], r->ints[0], r->din[0], r->din[1], &loss);
    GR_CHECK_BYTES(&loss, r->out[1].data, sizeof loss);
}

static void check_loss(gr_precision precision)
{
    static const op_case c = {.name = "cross entropy",
                              .inputs = 2,
                              .outputs = 2,
                              .tolerance = 1e-6,
                              .shapes = loss_shapes,
                              .formula = loss_formula,
                              .forward = loss_forward,
                              .backward = loss_backward,
                              .adds = 2,
                              .plain_sum = true};
    static const op_size sizes[] = {
        {.d = {1, 1, 2, ALL}},
        {.d = {0, 3, 5, ALL}},
        {.d = {4, 3, 5, NONE}, .pad = 1},
        {.d = {7, 3, 5, SOME}, .pad = 3},
        {.d = {7, 3, 5, SOME}, .skip = 1},
        {.d = {7, 3, 5, SOME}, .skip = 2},
        {.d = {300, 2, 3, LAST}},
        {.d = {127, 3, 5, ALL}},
        {.d = {128, 3, 5, ALL}, .pad = 1},
        {.d = {129, 3, 5, ALL}},
        {.d = {200, 3, 7, SOME}, .pad = 2}, // 133 targets
        {.d = {5, 3, 511, ALL}},
        {.d = {5, 3, 512, ALL}},
        {.d = {5, 3, 1025, SOME}, .pad = 1},
        {.d = {4, 255, 5, ALL}},
        {.d = {4, 256, 5, ALL}},
        {.d = {4, 513, 5, ALL}, .pad = 1},
    };
    if (precision == GR_PRECISION_BF16) {
        OP_CHECK_BF16(&c, 4e-3, sizes);
    } else {
        OP_CHECK(&c, sizes);
    }
}

static void test_loss(void)
{
    check_loss(GR_PRECISION_FP32);
}

static void test_loss_bf16(void)
{
    check_loss(GR_PRECISION_BF16);
}

/// Logits of +-10^4: exact values, no overflow.
static void test_large_logits(void)
{
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(1, OP_ARENA, &ex));
    float h[2] = {100, -100}, w[3] = {100, -100, 0}, dh[2], dw[3] = {0};
    const int32_t target[2] = {0, 0};
    double loss = 0;
    ex->ops->cross_entropy(ex, gr_tensor_2d(h, 2, 1), gr_tensor_2d(w, 3, 1),
                           gr_tensor_i32(target, 2), gr_tensor_2d(dh, 2, 1),
                           gr_tensor_2d(dw, 3, 1), &loss);
    const double want = 20000;
    const float want_dh[2] = {0, -200}, want_dw[3] = {100, -100, 0};
    GR_CHECK_CLOSE_F64(&loss, &want, 1, 0, 0);
    GR_CHECK_CLOSE(dh, want_dh, 2, 0, 0);
    GR_CHECK_CLOSE(dw, want_dw, 3, 0, 0);
    gr_exec_destroy(&ex);
}

/// A logit that is not a number, or infinite, makes the loss NaN; it is not lost on the way.
static void test_not_finite(void)
{
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(1, OP_ARENA, &ex));
    static const float bad[] = {NAN, INFINITY};
    const int32_t target = 0;
    for (int i = 0; i < 2; i++) {
        float h[1] = {1}, w[3] = {1, bad[i], 2};
        double loss = 0;
        ex->ops->cross_entropy(ex, gr_tensor_2d(h, 1, 1), gr_tensor_2d(w, 3, 1),
                               gr_tensor_i32(&target, 1), gr_tensor_none(), gr_tensor_none(),
                               &loss);
        GR_CHECK(!isfinite(loss));
    }
    gr_exec_destroy(&ex);
}

static const gr_test tests[] = {
    {"cross entropy", test_loss},
    {"cross entropy bf16", test_loss_bf16, bf16_missing},
    {"large logits", test_large_logits},
    {"not finite", test_not_finite},
};
GR_TEST_MAIN("ops: loss", tests)
