#include "src/ops/work.h"
#include "tests/ops_check.h"

#include <signal.h>
#include <sys/wait.h>

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

static void check_linear(gr_precision precision)
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
        {.d = {511, 2, 513}, .pad = 2},
        {.d = {513, 1, 512}, .accumulate = true},
        {.d = {1025, 3, 9}},
        {.d = {9, 3, 1025}, .pad = 5},
        {.d = {5, 1025, 7}, .accumulate = true},
        {.d = {400, 3, 272}},
    };
    if (precision == GR_PRECISION_BF16) {
        OP_CHECK_BF16(&c, 1e-6, sizes);
    } else {
        OP_CHECK(&c, sizes);
    }
}

static void test_linear(void)
{
    check_linear(GR_PRECISION_FP32);
}

static void test_linear_bf16(void)
{
    check_linear(GR_PRECISION_BF16);
}

/// bf16 rounds the factors, and only them: 1 + 2^-9 becomes 1, the sum 2048 + 1 stays.
static void test_bf16_rounds_factors(void)
{
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(2, OP_ARENA, &ex));
    GR_CHECK_OK(gr_exec_set_precision(ex, GR_PRECISION_BF16));
    float x[3] = {1 + 0x1p-9F, 2048, 0}, w[3] = {1, 1, 1}, y = 0, dw[3] = {0.5F, 0, 0};
    gr_tensor tx = gr_tensor_2d(x, 1, 3), ty = gr_tensor_2d(&y, 1, 1);
    ex->ops->linear_fwd(ex, tx, gr_tensor_2d(w, 1, 3), gr_tensor_none(), ty);
    GR_CHECK(y == 2049);
    ex->ops->linear_bwd_weight(ex, ty, tx, gr_tensor_2d(dw, 1, 3), gr_tensor_none());
    GR_CHECK(dw[0] == 2048.5F && dw[1] == 2048.0F * 2048 && dw[2] == 0); // 2049 is 2048 in bf16
    GR_CHECK_INT(gr_arena_mark(ex->scratch), 0);
    gr_exec_destroy(&ex);
}

/// In fp32 a product refuses bf16 factors at its entry, before it has begun.
static void multiply_bf16_in_fp32(void)
{
    static const uint16_t half[4] = {0};
    float x[4] = {0}, y[4];
    gr_exec *ex = NULL;
    GR_ASSERT(gr_exec_create_cpu(1, OP_ARENA, &ex) == GR_OK);
    gr_tensor wide = gr_tensor_2d(x, 2, 2), narrow = gr_tensor_like(wide, GR_DTYPE_BF16, half);
    ex->ops->linear_fwd(ex, wide, narrow, gr_tensor_none(), gr_tensor_2d(y, 2, 2));
}

static void test_bf16_in_fp32(void)
{
    char text[4096];
    int status = gr_test_child(multiply_bf16_in_fp32, text, sizeof text);
    GR_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    GR_CHECK(strstr(text, "gri_is_factor(ex, t) does not hold") != NULL);
}

/// The tiles of one result: inside it, each number once, none too large, and of nearly one size.
static void check_tiling(int64_t rows, int64_t columns, int64_t at_least)
{
    gri_tiling tiles = gri_tiling_of(rows, columns);
    int64_t covered = 0;
    for (int64_t i = 0; i < tiles.count; i++) {
        gri_tile at = gri_tile_at(&tiles, i);
        covered += at.rows * at.columns;
        GR_CHECK(at.rows > 0 && at.rows <= GRI_TILE_SIDE && at.columns > 0);
        GR_CHECK(at.columns <= GRI_TILE_SIDE && at.row % tiles.tile_rows == 0);
        GR_CHECK(at.row + at.rows <= rows && at.column + at.columns <= columns);
    }
    GR_CHECK_INT(covered, rows * columns);
    GR_CHECK(tiles.count >= at_least);
}

static void test_tiles(void)
{
    static const struct {
        int64_t rows, columns, at_least;
    } cases[] = {
        {0, 5, 0},       {5, 0, 0},     {1, 1, 1},      {1, 4864, 10},  {128, 256, 1},
        {384, 128, 2},   {384, 256, 4}, {512, 256, 4},  {512, 704, 8},  {512, 768, 8},
        {513, 513, 8},   {544, 768, 8}, {1024, 896, 8}, {1152, 768, 8}, {1152, 2048, 12},
        {256, 8192, 16}, {17, 3000, 6}, {3000, 17, 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_tiling(cases[i].rows, cases[i].columns, cases[i].at_least);
    }
}

static const gr_test tests[] = {
    {"tiles", test_tiles},
    {"linear", test_linear},
    {"bf16 in fp32", test_bf16_in_fp32},
    {"linear bf16", test_linear_bf16, bf16_missing},
    {"bf16 rounds factors", test_bf16_rounds_factors, bf16_missing}};
GR_TEST_MAIN("ops: linear", tests)
