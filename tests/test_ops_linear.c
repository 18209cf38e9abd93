#include "tests/ops_check.h"

/// d: rows N, inputs I, outputs O.
static void linear_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = op_2d(d[0], d[1]);
    r->in[1] = op_2d(d[2], d[1]);
    r->in[2] = op_1d(d[2]);
    r->out[0] = op_2d(d[0], d[2]);
}

static void linear_formula(const op_run *r, double *const *in, double *out)
{
    int64_t N = r->size->d[0], I = r->size->d[1], O = r->size->d[2];
    for (int64_t n = 0; n < N; n++) {
        for (int64_t o = 0; o < O; o++) {
            double sum = in[2] ? in[2][o] : 0;
            for (int64_t i = 0; i < I; i++) {
                sum += in[0][n * I + i] * in[1][o * I + i];
            }
            out[n * O + o] = sum;
        }
    }
}

static void linear_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->linear_fwd(ex, r->in[0], r->in[1], r->in[2], r->out[0]);
}

static void linear_backward(gr_exec *ex, const op_run *r)
{
    if (gr_tensor_present(r->din[0])) {
        ex->ops->linear_bwd_input(ex, r->dout, r->in[1], r->din[0], r->size->accumulate);
    }
    if (gr_tensor_present(r->din[1])) {
        ex->ops->linear_bwd_weight(ex, r->dout, r->in[0], r->din[1], r->din[2]);
    }
}

static void test_linear(void)
{
    static const op_case c = {.name = "linear",
                              .inputs = 3,
                              .outputs = 1,
                              .tolerance = 1e-6,
                              .shapes = linear_shapes,
                              .formula = linear_formula,
                              .forward = linear_forward,
                              .backward = linear_backward,
                              .adds = 6,
                              .accumulates = 1};
    static const op_size sizes[] = {
        {.d = {1, 1, 1}},
        {.d = {0, 3, 5}},
        {.d = {5, 7, 3}, .pad = 3},
        {.d = {5, 7, 3}, .pad = 1, .accumulate = true},
        {.d = {5, 7, 3}, .absent = 4},
        {.d = {5, 7, 3}, .skip = 4},
        {.d = {5, 7, 3}, .skip = 6},
        {.d = {5, 7, 3}, .skip = 1},
        // tiles: full, one less, one more, several, in each of the three results
        {.d = {511, 5, 513}, .pad = 2},
        {.d = {512, 4, 512}},
        {.d = {513, 3, 511}, .accumulate = true},
        {.d = {1025, 7, 33}},
        {.d = {33, 9, 1025}, .pad = 5},
        {.d = {5, 1025, 7}, .accumulate = true},
    };
    OP_CHECK(&c, sizes);
}

static const gr_test tests[] = {{"linear", test_linear}};
GR_TEST_MAIN("ops: linear", tests)
