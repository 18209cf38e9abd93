/// Operations of vision encoders and of Qwen3: norms of heads, tanh GELU, layer scale, positions of
/// another grid, tokens in front.
#include "tests/ops_check.h"

static const double eps = 1e-5;

/// d: rows T, heads H, head size D.
static void head_norm_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = op_3d(d[0], d[1], d[2]);
    r->in[1] = op_1d(d[2]);
    r->out[0] = op_3d(d[0], d[1], d[2]);
    r->out[1] = op_2d(d[0], d[1]);
}

static void head_norm_formula(const op_run *r, double *const *in, double *out)
{
    int64_t D = r->size->d[2];
    for (int64_t n = 0; n < r->size->d[0] * r->size->d[1]; n++) {
        const double *x = in[0] + n * D;
        double square = 0;
        for (int64_t d = 0; d < D; d++) {
            square += x[d] * x[d];
        }
        for (int64_t d = 0; d < D; d++) {
            out[n * D + d] = in[1][d] * x[d] / sqrt(square / (double)D + eps);
        }
    }
}

static void head_norm_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->head_rmsnorm_fwd(ex, r->in[0], r->in[1], eps, r->out[0], r->out[1]);
}

static void head_norm_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->head_rmsnorm_bwd(ex, r->dout, r->in[0], r->in[1], r->out[1], r->din[0], r->din[1]);
}

static void head_norm_backward_in_place(gr_exec *ex, const op_run *r)
{
    op_copy(r->din[0], r->dout);
    ex->ops->head_rmsnorm_bwd(ex, r->din[0], r->in[0], r->in[1], r->out[1], r->din[0],
                              r->din[1]);
}

static void test_head_norm(void)
{
    op_case c = {.name = "head norm",
                 .inputs = 2,
                 .outputs = 2,
                 .tolerance = 1e-6,
                 .shapes = head_norm_shapes,
                 .formula = head_norm_formula,
                 .forward = head_norm_forward,
                 .backward = head_norm_backward,
                 .adds = 2};
    static const op_size sizes[] = {
        {.d = {1, 1, 1}},
        {.d = {0, 2, 5}},
        {.d = {5, 3, 6}, .pad = 7},
        {.d = {4, 1, 37}, .pad = 1},
        {.d = {4, 2, 16}, .skip = 2},
        {.d = {131, 2, 9}},
        {.d = {257, 3, 20}, .pad = 2},
    };
    OP_CHECK(&c, sizes);
    c.backward = head_norm_backward_in_place;
    OP_CHECK(&c, sizes);
}

static void gelu_tanh_shapes(op_run *r)
{
    r->in[0] = r->out[0] = op_2d(r->size->d[0], r->size->d[1]);
}

static void gelu_tanh_formula(const op_run *r, double *const *in, double *out)
{
    for (int64_t i = 0; i < r->size->d[0] * r->size->d[1]; i++) {
        double x = in[0][i], u = sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x);
        out[i] = x / 2 * (1 + tanh(u));
    }
}

static void gelu_tanh_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->gelu_tanh_fwd(ex, r->in[0], r->out[0]);
}

static void gelu_tanh_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->gelu_tanh_bwd(ex, r->dout, r->in[0], r->din[0]);
}

static void gelu_tanh_forward_in_place(gr_exec *ex, const op_run *r)
{
    op_copy(r->out[0], r->in[0]);
    ex->ops->gelu_tanh_fwd(ex, r->out[0], r->out[0]);
}

static void gelu_tanh_backward_in_place(gr_exec *ex, const op_run *r)
{
    op_copy(r->din[0], r->dout);
    ex->ops->gelu_tanh_bwd(ex, r->din[0], r->in[0], r->din[0]);
}

static void test_gelu_tanh(void)
{
    op_case c = {.name = "gelu tanh",
                 .inputs = 1,
                 .outputs = 1,
                 .tolerance = 1e-6,
                 .shapes = gelu_tanh_shapes,
                 .formula = gelu_tanh_formula,
                 .forward = gelu_tanh_forward,
                 .backward = gelu_tanh_backward};
    static const op_size sizes[] = {
        {.d = {1, 1}}, {.d = {0, 7}}, {.d = {3, 35}, .pad = 3}, {.d = {130, 17}, .pad = 1}};
    OP_CHECK(&c, sizes);
    c.forward = gelu_tanh_forward_in_place;
    c.backward = gelu_tanh_backward_in_place;
    OP_CHECK(&c, sizes);
}

/// Far from 0 it is x or 0, without overflow, and so are its slopes.
static void test_gelu_tanh_far(void)
{
    gr_exec *ex = NULL;
    float x[6] = {-1e30f, -50, -12, 12, 50, 1e10f}, y[6], d[6], ones[6] = {1, 1, 1, 1, 1, 1};
    const float want[6] = {0, 0, 0, 12, 50, 1e10f}, slope[6] = {0, 0, 0, 1, 1, 1};
    GR_CHECK_OK(gr_exec_create_cpu(1, 1 << 16, &ex));
    // The cube of 1e30 overflows fp32; what is computed from it must not be NaN.
    ex->ops->gelu_tanh_fwd(ex, gr_tensor_2d(x, 1, 6), gr_tensor_2d(y, 1, 6));
    ex->ops->gelu_tanh_bwd(ex, gr_tensor_2d(ones, 1, 6), gr_tensor_2d(x, 1, 6),
                           gr_tensor_2d(d, 1, 6));
    GR_CHECK_CLOSE(y, want, 6, 1e-6, 1e-12);
    GR_CHECK_CLOSE(d + 1, slope + 1, 5, 1e-6, 1e-12);
    gr_exec_destroy(&ex);
}

/// d: rows N, channels C.
static void scale_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = r->in[2] = r->out[0] = op_2d(d[0], d[1]);
    r->in[1] = op_1d(d[1]);
}

static void scale_formula(const op_run *r, double *const *in, double *out)
{
    int64_t C = r->size->d[1];
    for (int64_t i = 0; i < r->size->d[0] * C; i++) {
        out[i] = in[0][i] + in[1][i % C] * in[2][i];
    }
}

static void scale_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->layer_scale_fwd(ex, r->in[0], r->in[1], r->in[2], r->out[0]);
}

static void scale_forward_in_place(gr_exec *ex, const op_run *r)
{
    op_copy(r->out[0], r->in[2]);
    ex->ops->layer_scale_fwd(ex, r->in[0], r->in[1], r->out[0], r->out[0]);
}

static void scale_backward(gr_exec *ex, const op_run *r)
{
    bool skipped = op_bit(r->size->skip, 1);
    op_copy(r->din[0], r->dout);
    ex->ops->layer_scale_bwd(ex, r->dout, r->in[1], skipped ? gr_tensor_none() : r->in[2],
                             r->din[2], r->din[1]);
}

static void test_layer_scale(void)
{
    op_case c = {.name = "layer scale",
                 .inputs = 3,
                 .outputs = 1,
                 .tolerance = 1e-6,
                 .shapes = scale_shapes,
                 .formula = scale_formula,
                 .forward = scale_forward,
                 .backward = scale_backward,
                 .adds = 2};
    static const op_size sizes[] = {
        {.d = {1, 1}},
        {.d = {0, 5}},
        {.d = {4, 7}, .pad = 3},
        {.d = {5, 16}, .skip = 2},
        {.d = {129, 9}, .pad = 1},
        {.d = {300, 33}},
    };
    OP_CHECK(&c, sizes);
    c.forward = scale_forward_in_place;
    OP_CHECK(&c, sizes);
}

/// The weight of tap k at output d, counted without clamping.
static double tap(int64_t in, int64_t out, int64_t d, int k, int64_t *at)
{
    double s = ((double)d + 0.5) * (double)in / (double)out - 0.5;
    double u = fabs(s - (floor(s) - 1 + k));
    int64_t i = (int64_t)floor(s) - 1 + k;
    *at = i < 0 ? 0 : i >= in ? in - 1 : i;
    return u <= 1 ? ((1.25 * u - 2.25) * u) * u + 1 : ((-0.75 * u + 3.75) * u - 6) * u + 3;
}

/// d: rows g, columns h, channels C, to rows G, columns H.
static void resize_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = op_3d(d[0], d[1], d[2]);
    r->out[0] = op_3d(d[3], d[4], d[2]);
}

static void resize_formula(const op_run *r, double *const *in, double *out)
{
    const int64_t *d = r->size->d;
    for (int64_t i = 0; i < d[3] * d[4] * d[2]; i++) {
        int64_t row = i / (d[4] * d[2]), column = i / d[2] % d[4], c = i % d[2];
        out[i] = 0;
        for (int k = 0; k < 16; k++) {
            int64_t y, x;
            double w = tap(d[0], d[3], row, k / 4, &y) * tap(d[1], d[4], column, k % 4, &x);
            out[i] += w * in[0][(y * d[1] + x) * d[2] + c];
        }
    }
}

static void resize_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->resize_fwd(ex, r->in[0], r->out[0]);
}

static void resize_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->resize_bwd(ex, r->dout, r->din[0]);
}

static void test_resize(void)
{
    static const op_case c = {.name = "resize",
                              .inputs = 1,
                              .outputs = 1,
                              .tolerance = 1e-6,
                              .shapes = resize_shapes,
                              .formula = resize_formula,
                              .forward = resize_forward,
                              .backward = resize_backward,
                              .adds = 1};
    static const op_size sizes[] = {
        {.d = {1, 1, 1, 1, 1}},   {.d = {4, 4, 3, 3, 3}}, {.d = {4, 4, 2, 7, 6}, .pad = 3},
        {.d = {3, 5, 130, 6, 2}}, {.d = {2, 2, 3, 5, 0}}, {.d = {9, 7, 4, 2, 3}, .pad = 1},
    };
    OP_CHECK(&c, sizes);
}

/// The same size gives the table back bit for bit (other sizes: src/ops/known.c).
static void test_resize_same(void)
{
    float table[16], same[16];
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(1, 1 << 16, &ex));
    for (int i = 0; i < 16; i++) {
        table[i] = (float)sin(0.5 + 0.71 * i);
    }
    ex->ops->resize_fwd(ex, gr_tensor_3d(table, 4, 4, 1), gr_tensor_3d(same, 4, 4, 1));
    GR_CHECK_CLOSE(same, table, 16, 0, 0);
    gr_exec_destroy(&ex);
}

/// d: images B, tokens N, channels C, in front P.
static void prepend_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = op_3d(d[0], d[1], d[2]);
    r->in[1] = op_2d(d[3], d[2]);
    r->out[0] = op_3d(d[0], d[3] + d[1], d[2]);
}

static void prepend_formula(const op_run *r, double *const *in, double *out)
{
    int64_t N = r->size->d[1], C = r->size->d[2], P = r->size->d[3];
    for (int64_t i = 0; i < r->size->d[0] * (P + N) * C; i++) {
        int64_t b = i / ((P + N) * C), n = i / C % (P + N), c = i % C;
        out[i] = n >= P ? in[0][(b * N + n - P) * C + c] : in[1] ? in[1][n * C + c] : 0;
    }
}

static void prepend_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->prepend_fwd(ex, r->in[0], r->in[1], r->out[0]);
}

static void prepend_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->prepend_bwd(ex, r->dout, r->din[0], r->din[1]);
}

static void test_prepend(void)
{
    static const op_case c = {.name = "prepend",
                              .inputs = 2,
                              .outputs = 1,
                              .tolerance = 1e-6,
                              .shapes = prepend_shapes,
                              .formula = prepend_formula,
                              .forward = prepend_forward,
                              .backward = prepend_backward,
                              .adds = 2};
    static const op_size sizes[] = {
        {.d = {1, 1, 1, 1}},
        {.d = {3, 4, 5, 1}, .pad = 3},
        {.d = {2, 4, 5, 1}, .absent = 2},
        {.d = {2, 3, 7, 2}, .skip = 2},
        {.d = {2, 3, 4, 0}, .absent = 2},
        {.d = {0, 3, 4, 1}},
    };
    OP_CHECK(&c, sizes);
}

/// d: rows N, channels C. Input 1 is the factors, which have no gradient.
static void rows_scale_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = r->out[0] = op_2d(d[0], d[1]);
    r->in[1] = op_1d(d[0]);
}

static void rows_scale_formula(const op_run *r, double *const *in, double *out)
{
    int64_t C = r->size->d[1];
    for (int64_t i = 0; i < r->size->d[0] * C; i++) {
        out[i] = in[0][i] * in[1][i / C];
    }
}

static void rows_scale_forward(gr_exec *ex, const op_run *r)
{
    op_copy(r->out[0], r->in[0]);
    ex->ops->rows_scale(ex, r->in[1], r->out[0]);
}

static void rows_scale_backward(gr_exec *ex, const op_run *r)
{
    op_copy(r->din[0], r->dout);
    ex->ops->rows_scale(ex, r->in[1], r->din[0]);
}

static void test_rows_scale(void)
{
    static const op_case c = {.name = "rows scale",
                              .inputs = 2,
                              .outputs = 1,
                              .tolerance = 1e-6,
                              .shapes = rows_scale_shapes,
                              .formula = rows_scale_formula,
                              .forward = rows_scale_forward,
                              .backward = rows_scale_backward};
    static const op_size sizes[] = {
        {.d = {1, 1}, .skip = 2},    {.d = {0, 3}, .skip = 2},
        {.d = {3, 0}, .skip = 2},    {.d = {7, 5}, .skip = 2, .pad = 3},
        {.d = {130, 33}, .skip = 2},
    };
    OP_CHECK(&c, sizes);
}

static const gr_test tests[] = {
    {"head norm", test_head_norm},         {"gelu tanh", test_gelu_tanh},
    {"gelu tanh far", test_gelu_tanh_far}, {"layer scale", test_layer_scale},
    {"rows scale", test_rows_scale},       {"resize", test_resize},
    {"resize_same", test_resize_same},     {"prepend", test_prepend},
};
GR_TEST_MAIN("ops: vision", tests)
