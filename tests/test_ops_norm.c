#include "tests/ops_check.h"

/// d: rows N, channels C.
static const double rms_eps = 1e-5, layer_eps = 1e-3;

static void rmsnorm_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = op_2d(d[0], d[1]);
    r->in[1] = op_1d(d[1]);
    r->out[0] = op_2d(d[0], d[1]);
    r->out[1] = op_1d(d[0]);
}

static void rmsnorm_formula(const op_run *r, double *const *in, double *out)
{
    int64_t N = r->size->d[0], C = r->size->d[1];
    for (int64_t n = 0; n < N; n++) {
        const double *x = in[0] + n * C;
        double square = 0;
        for (int64_t c = 0; c < C; c++) {
            square += x[c] * x[c];
        }
        for (int64_t c = 0; c < C; c++) {
            out[n * C + c] = in[1][c] * x[c] / sqrt(square / (double)C + rms_eps);
        }
    }
}

static void rmsnorm_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->rmsnorm_fwd(ex, r->in[0], r->in[1], rms_eps, r->out[0], r->out[1]);
}

static void rmsnorm_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->rmsnorm_bwd(ex, r->dout, r->in[0], r->in[1], r->out[1], r->din[0],
                         r->size->accumulate, r->din[1]);
}

static void test_rmsnorm(void)
{
    static const op_case c = {.name = "rmsnorm",
                              .inputs = 2,
                              .outputs = 2,
                              .tolerance = 1e-6,
                              .shapes = rmsnorm_shapes,
                              .formula = rmsnorm_formula,
                              .forward = rmsnorm_forward,
                              .backward = rmsnorm_backward,
                              .adds = 2,
                              .accumulates = 1};
    static const op_size sizes[] = {
        {.d = {1, 1}},
        {.d = {0, 5}},
        {.d = {3, 7}, .pad = 3},
        {.d = {3, 33}, .accumulate = true},
        {.d = {3, 16}, .pad = 1, .skip = 1},
        {.d = {3, 16}, .skip = 2},
        {.d = {127, 9}, .accumulate = true},
        {.d = {128, 8}},
        {.d = {129, 17}, .pad = 2},
        {.d = {300, 3}},
    };
    OP_CHECK(&c, sizes);
}

static void layernorm_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = op_2d(d[0], d[1]);
    r->in[1] = op_1d(d[1]);
    r->in[2] = op_1d(d[1]);
    r->out[0] = op_2d(d[0], d[1]);
    r->out[1] = op_1d(d[0]);
    r->out[2] = op_1d(d[0]);
}

static void layernorm_formula(const op_run *r, double *const *in, double *out)
{
    int64_t N = r->size->d[0], C = r->size->d[1];
    for (int64_t n = 0; n < N; n++) {
        const double *x = in[0] + n * C;
        double mean = 0, var = 0;
        for (int64_t c = 0; c < C; c++) {
            mean += x[c] / (double)C;
        }
        for (int64_t c = 0; c < C; c++) {
            var += (x[c] - mean) * (x[c] - mean) / (double)C;
        }
        for (int64_t c = 0; c < C; c++) {
            out[n * C + c] = in[1][c] * (x[c] - mean) / sqrt(var + layer_eps) + in[2][c];
        }
    }
}

static void layernorm_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->layernorm_fwd(ex, r->in[0], r->in[1], r->in[2], layer_eps, r->out[0], r->out[1],
                           r->out[2]);
}

static void layernorm_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->layernorm_bwd(ex, r->dout, r->in[0], r->in[1], r->out[1], r->out[2], r->din[0],
                           r->size->accumulate, r->din[1], r->din[2]);
}

static void test_layernorm(void)
{
    static const op_case c = {.name = "layernorm",
                              .inputs = 3,
                              .outputs = 3,
                              .tolerance = 2e-6,
                              .shapes = layernorm_shapes,
                              .formula = layernorm_formula,
                              .forward = layernorm_forward,
                              .backward = layernorm_backward,
                              .adds = 6,
                              .accumulates = 1};
    static const op_size sizes[] = {
        {.d = {1, 2}},
        {.d = {0, 5}},
        {.d = {3, 7}, .pad = 3},
        {.d = {3, 33}, .accumulate = true},
        {.d = {3, 16}, .pad = 1, .skip = 1},
        {.d = {3, 16}, .skip = 2},
        {.d = {3, 16}, .skip = 4},
        {.d = {3, 16}, .skip = 6},
        {.d = {127, 9}, .accumulate = true},
        {.d = {128, 8}},
        {.d = {129, 17}, .pad = 2},
        {.d = {300, 3}},
    };
    OP_CHECK(&c, sizes);
}

/// One row through both norms, y in the place of x.
static void test_norm_in_place(void)
{
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(2, OP_ARENA, &ex));
    float x[6] = {1, -2, 3, 4, 5, -6}, w[3] = {1, 2, 3}, b[3] = {0.5F, 0, 1}, m[2], r[2];
    float rms[6], layer[6], y[6];
    gr_tensor in = gr_tensor_2d(x, 2, 3), weight = gr_tensor_1d(w, 3);
    gr_tensor place = gr_tensor_2d(y, 2, 3), means = gr_tensor_1d(m, 2),
              rs = gr_tensor_1d(r, 2);
    ex->ops->rmsnorm_fwd(ex, in, weight, rms_eps, gr_tensor_2d(rms, 2, 3), rs);
    memcpy(y, x, sizeof y);
    ex->ops->rmsnorm_fwd(ex, place, weight, rms_eps, place, rs);
    GR_CHECK_BYTES(y, rms, sizeof y);
    ex->ops->layernorm_fwd(ex, in, weight, gr_tensor_1d(b, 3), layer_eps,
                           gr_tensor_2d(layer, 2, 3), means, rs);
    memcpy(y, x, sizeof y);
    ex->ops->layernorm_fwd(ex, place, weight, gr_tensor_1d(b, 3), layer_eps, place, means, rs);
    GR_CHECK_BYTES(y, layer, sizeof y);
    gr_exec_destroy(&ex);
}

/// Large mean, small spread: the variance must not drown (it would in one pass of fp32 sums).
static void test_layernorm_large_mean(void)
{
    enum { C = 1000 };
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(1, OP_ARENA, &ex));
    static float x[C], w[C], b[C], y[C];
    float m, r;
    for (int i = 0; i < C; i++) {
        x[i] = 4096.0F + (i % 2 ? 0.25F : -0.25F);
        w[i] = 1;
    }
    ex->ops->layernorm_fwd(ex, gr_tensor_2d(x, 1, C), gr_tensor_1d(w, C), gr_tensor_1d(b, C), 0,
                           gr_tensor_2d(y, 1, C), gr_tensor_1d(&m, 1), gr_tensor_1d(&r, 1));
    float want[2] = {4096, 4}, got[2] = {m, r}, ends[2] = {-1, 1};
    GR_CHECK_CLOSE(got, want, 2, 0, 0);
    GR_CHECK_CLOSE(y, ends, 2, 0, 0);
    gr_exec_destroy(&ex);
}

static const gr_test tests[] = {
    {"rmsnorm", test_rmsnorm},
    {"layernorm", test_layernorm},
    {"in place", test_norm_in_place},
    {"layernorm, large mean", test_layernorm_large_mean},
};
GR_TEST_MAIN("ops: norms", tests)
