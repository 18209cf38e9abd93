#include "tests/ops_check.h"

/// d: the shape, up to three dimensions; 0 ends it.
static gr_tensor shape_of(const op_size *size)
{
    const int64_t *d = size->d;
    return d[2] ? op_3d(d[0], d[1], d[2]) : d[1] ? op_2d(d[0], d[1]) : op_1d(d[0]);
}

static int64_t count_of(const op_run *r)
{
    return gr_tensor_count(r->in[0]);
}

static void unary_shapes(op_run *r)
{
    r->in[0] = r->out[0] = shape_of(r->size);
}

static void binary_shapes(op_run *r)
{
    r->in[0] = r->in[1] = r->out[0] = shape_of(r->size);
}

static const op_size sizes[] = {
    {.d = {1, 1}},
    {.d = {0, 5}},
    {.d = {3, 7}, .pad = 3},
    {.d = {129, 5}},
    {.d = {2, 67}, .pad = 1},
    {.d = {3, 5, 7}, .pad = 2},
    {.d = {2, 64}, .pad = 4},
    {.d = {1, 255}},
};

static void add_formula(const op_run *r, double *const *in, double *out)
{
    for (int64_t i = 0; i < count_of(r); i++) {
        out[i] = in[0][i] + in[1][i];
    }
}

static void add_forward(gr_exec *ex, const op_run *r)
{
    op_copy(r->out[0], r->in[1]);
    ex->ops->add(ex, r->in[0], r->out[0]);
}

static void test_add(void)
{
    static const op_case c = {.name = "add",
                              .inputs = 2,
                              .outputs = 1,
                              .tolerance = 1e-7,
                              .shapes = binary_shapes,
                              .formula = add_formula,
                              .forward = add_forward};
    static const op_size vector[] = {{.d = {37}}};
    OP_CHECK(&c, sizes);
    OP_CHECK(&c, vector);
}

static void swiglu_formula(const op_run *r, double *const *in, double *out)
{
    for (int64_t i = 0; i < count_of(r); i++) {
        out[i] = in[0][i] / (1 + exp(-in[0][i])) * in[1][i];
    }
}

static void swiglu_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->swiglu_fwd(ex, r->in[0], r->in[1], r->out[0]);
}

static void swiglu_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->swiglu_bwd(ex, r->dout, r->in[0], r->in[1], r->din[0], r->din[1]);
}

/// dgate in the place of gate, dup in the place of up.
static void swiglu_backward_in_place(gr_exec *ex, const op_run *r)
{
    op_copy(r->din[0], r->in[0]);
    op_copy(r->din[1], r->in[1]);
    ex->ops->swiglu_bwd(ex, r->dout, r->din[0], r->din[1], r->din[0], r->din[1]);
}

static void test_swiglu(void)
{
    op_case c = {.name = "swiglu",
                 .inputs = 2,
                 .outputs = 1,
                 .tolerance = 1e-6,
                 .shapes = binary_shapes,
                 .formula = swiglu_formula,
                 .forward = swiglu_forward,
                 .backward = swiglu_backward};
    OP_CHECK(&c, sizes);
    c.backward = swiglu_backward_in_place;
    OP_CHECK(&c, sizes);
}

static void gelu_formula(const op_run *r, double *const *in, double *out)
{
    for (int64_t i = 0; i < count_of(r); i++) {
        out[i] = in[0][i] / 2 * (1 + erf(in[0][i] / sqrt(2)));
    }
}

static void gelu_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->gelu_fwd(ex, r->in[0], r->out[0]);
}

static void gelu_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->gelu_bwd(ex, r->dout, r->in[0], r->din[0]);
}

static void gelu_forward_in_place(gr_exec *ex, const op_run *r)
{
    op_copy(r->out[0], r->in[0]);
    ex->ops->gelu_fwd(ex, r->out[0], r->out[0]);
}

static void gelu_backward_in_place(gr_exec *ex, const op_run *r)
{
    op_copy(r->din[0], r->dout);
    ex->ops->gelu_bwd(ex, r->din[0], r->in[0], r->din[0]);
}

static void test_gelu(void)
{
    op_case c = {.name = "gelu",
                 .inputs = 1,
                 .outputs = 1,
                 .tolerance = 1e-6,
                 .shapes = unary_shapes,
                 .formula = gelu_formula,
                 .forward = gelu_forward,
                 .backward = gelu_backward};
    OP_CHECK(&c, sizes);
    c.forward = gelu_forward_in_place;
    c.backward = gelu_backward_in_place;
    OP_CHECK(&c, sizes);
}

/// Far from zero, where exp overflows or vanishes: values and slopes of the limits, never NaN.
static void test_activation_tails(void)
{
    enum { N = 6 };
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(1, OP_ARENA, &ex));
    float x[N] = {-1e4F, -200, -90, 90, 200, 1e4F}, one[N] = {1, 1, 1, 1, 1, 1}, y[N], d[N],
          u[N];
    float right[N] = {0, 0, 0, 90, 200, 1e4F}, slope[N] = {0, 0, 0, 1, 1, 1};
    gr_tensor in = gr_tensor_2d(x, 1, N), ones = gr_tensor_2d(one, 1, N);
    gr_tensor out = gr_tensor_2d(y, 1, N), din = gr_tensor_2d(d, 1, N);
    ex->ops->swiglu_fwd(ex, in, ones, out);
    GR_CHECK_CLOSE(y, right, N, 1e-7, 1e-30);
    ex->ops->swiglu_bwd(ex, ones, in, ones, din, gr_tensor_2d(u, 1, N));
    GR_CHECK_CLOSE(d, slope, N, 1e-7, 1e-30);
    GR_CHECK_CLOSE(u, right, N, 1e-7, 1e-30);
    ex->ops->gelu_fwd(ex, in, out);
    GR_CHECK_CLOSE(y, right, N, 1e-7, 1e-30);
    ex->ops->gelu_bwd(ex, ones, in, din);
    GR_CHECK_CLOSE(d, slope, N, 1e-7, 1e-30);
    gr_exec_destroy(&ex);
}

/// d: tokens T, heads H, head size D.
static const double theta = 10000;

static void rope_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = r->out[0] = op_3d(d[0], d[1], d[2]);
    int32_t *position = r->ints[0].data;
    for (int64_t t = 0; t < d[0]; t++) {
        position[t] = (int32_t)(t * 5 % 17);
    }
    r->ints[0].shape[0] = d[0];
}

static void rope_formula(const op_run *r, double *const *in, double *out)
{
    int64_t T = r->size->d[0], H = r->size->d[1], D = r->size->d[2];
    const int32_t *position = r->ints[0].data;
    for (int64_t i = 0; i < T * H; i++) {
        const double *x = in[0] + i * D;
        double *y = out + i * D;
        for (int64_t j = 0; j < D / 2; j++) {
            double a = position[i / H] * pow(theta, -2 * (double)j / (double)D);
            y[j] = x[j] * cos(a) - x[j + D / 2] * sin(a);
            y[j + D / 2] = x[j + D / 2] * cos(a) + x[j] * sin(a);
        }
    }
}

static void rope_forward(gr_exec *ex, const op_run *r)
{
    op_copy(r->out[0], r->in[0]);
    ex->ops->rope_fwd(ex, r->out[0], r->ints[0], theta);
}

static void rope_backward(gr_exec *ex, const op_run *r)
{
    if (gr_tensor_present(r->din[0])) {
        op_copy(r->din[0], r->dout);
        ex->ops->rope_bwd(ex, r->din[0], r->ints[0], theta);
    }
}

static void test_rope(void)
{
    static const op_case c = {.name = "rope",
                              .inputs = 1,
                              .outputs = 1,
                              .tolerance = 1e-6,
                              .shapes = rope_shapes,
                              .formula = rope_formula,
                              .forward = rope_forward,
                              .backward = rope_backward};
    static const op_size heads[] = {
        {.d = {1, 1, 2}},
        {.d = {0, 3, 4}},
        {.d = {19, 3, 10}, .pad = 7},
        {.d = {5, 1, 64}},
        {.d = {1000, 1, 512}, .skip = 1}, // long enough for threads to meet
    };
    OP_CHECK(&c, heads);
}

static const gr_test tests[] = {
    {"add", test_add},   {"swiglu", test_swiglu},          {"gelu", test_gelu},
    {"rope", test_rope}, {"tails", test_activation_tails},
};
GR_TEST_MAIN("ops: elementwise", tests)
