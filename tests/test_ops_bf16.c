/// bf16 is a way to store rows: an operation on bf16 views gives the bits that it gives on fp32 views of the same numbers, its
/// results rounded where their views are bf16. Gaps between rows stay; any number of threads.

#include "tests/ops_check.h"

enum { PAD = 3, MOST_TAKEN = 64 };

static void *taken[MOST_TAKEN];
static int count;

static void *take(int64_t n, size_t size)
{
    GR_ASSERT(count < MOST_TAKEN);
    return taken[count++] = op_alloc(n, size);
}

static void release(void)
{
    while (count > 0) {
        gr_mem_free(taken[--count]);
    }
}

/// The same numbers twice, in the gaps between rows too.
typedef struct pair {
    gr_tensor wide, narrow;
} pair;

static pair pair_3d(int64_t a, int64_t b, int64_t c)
{
    int64_t stride = b * c + PAD;
    float *wide = take(a * stride, sizeof *wide);
    uint16_t *narrow = take(a * stride, sizeof *narrow);
    for (int64_t i = 0; i < a * stride; i++) {
        wide[i] = (float)op_random();
    }
    gr_convert_f32_to_bf16(wide, a * stride, narrow);
    GR_CHECK(gr_convert_to_f32(GR_DTYPE_BF16, narrow, a * stride, wide));
    pair p = {.wide = gr_tensor_3d(wide, a, b, c)};
    p.narrow = gr_tensor_like(p.wide, GR_DTYPE_BF16, narrow);
    p.wide.row_stride = p.narrow.row_stride = stride;
    return p;
}

static pair pair_2d(int64_t a, int64_t b)
{
    pair p = pair_3d(a, b, 1);
    p.wide.ndim = p.narrow.ndim = 2;
    return p;
}

static gr_tensor vector(int64_t n)
{
    float *x = take(n, sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)op_random();
    }
    return gr_tensor_1d(x, n);
}

/// An fp32 result twice, to be written from either side; what it is added to is the same.
static pair twice(gr_tensor shape)
{
    pair p = {.wide = shape, .narrow = shape};
    int64_t n = shape.shape[0] * (shape.ndim > 1 ? shape.row_stride : 1);
    p.wide.data = take(n, sizeof(float));
    p.narrow.data = take(n, sizeof(float));
    return p;
}

static void check_rounded(const char *what, pair p)
{
    const float *wide = p.wide.data;
    const uint16_t *narrow = p.narrow.data;
    int64_t wrong = 0;
    for (int64_t i = 0; i < p.wide.shape[0] * p.wide.row_stride; i++) {
        uint16_t rounded = 0;
        gr_convert_f32_to_bf16(&wide[i], 1, &rounded);
        wrong += rounded != narrow[i];
    }
    if (!GR_CHECK_INT(wrong, 0)) {
        printf("%s\n", what);
    }
}

static void check_same(pair p)
{
    int64_t n = p.wide.shape[0] * (p.wide.ndim > 1 ? p.wide.row_stride : 1);
    GR_CHECK_BYTES(p.narrow.data, p.wide.data, (size_t)n * sizeof(float));
}

/// Runs a test with 1, 2 and 3 threads in this precision. bf16: for tests with bf16_missing.
static void each(gr_precision precision, void test(gr_exec *ex))
{
    for (int threads = 1; threads <= 3; threads++) {
        gr_exec *ex = NULL;
        op_state = 7;
        GR_CHECK_OK(gr_exec_create_cpu(threads, OP_ARENA, &ex));
        GR_CHECK_OK(gr_exec_set_precision(ex, precision));
        test(ex);
        GR_CHECK_INT(gr_arena_mark(ex->scratch), 0);
        gr_exec_destroy(&ex);
    }
}

static void linear_of(gr_exec *ex, int64_t N, int64_t I, int64_t O)
{
    pair x = pair_2d(N, I), w = pair_2d(O, I), y = pair_2d(N, O), dy = pair_2d(N, O);
    pair dx = pair_2d(N, I), dw = twice(w.wide), db = twice(gr_tensor_1d(NULL, O));
    gr_tensor b = vector(O);
    ex->ops->linear_fwd(ex, x.wide, w.wide, b, y.wide);
    ex->ops->linear_fwd(ex, x.narrow, w.narrow, b, y.narrow);
    check_rounded("linear y", y);
    ex->ops->linear_bwd_input(ex, dy.wide, w.wide, dx.wide, false);
    ex->ops->linear_bwd_input(ex, dy.narrow, w.narrow, dx.narrow, false);
    check_rounded("linear dx", dx);
    ex->ops->linear_bwd_weight(ex, dy.wide, x.wide, dw.wide, db.wide);
    ex->ops->linear_bwd_weight(ex, dy.narrow, x.narrow, dw.narrow, db.narrow);
    check_same(dw);
    check_same(db);
    pair sum = twice(x.wide);
    ex->ops->linear_bwd_input(ex, dy.wide, w.wide, sum.wide, true);
    ex->ops->linear_bwd_input(ex, dy.narrow, w.narrow, sum.narrow, true);
    check_same(sum);
    release();
}

static void linear(gr_exec *ex)
{
    linear_of(ex, 5, 7, 3);
    linear_of(ex, 0, 4, 3);
    linear_of(ex, 514, 9, 5); // more than a tile in each direction
    linear_of(ex, 6, 515, 3);
    linear_of(ex, 3, 10, 1030);
}

static void test_linear(void)
{
    each(GR_PRECISION_BF16, linear);
}

static void attention_of(gr_exec *ex, bool causal, int64_t heads, int64_t groups)
{
    static const int32_t cu[] = {0, 70, 70, 75};
    enum { T = 75, D = 5 };
    pair q = pair_3d(T, heads, D), k = pair_3d(T, groups, D), v = pair_3d(T, groups, D);
    pair out = pair_3d(T, heads, D), dout = pair_3d(T, heads, D);
    pair lse = twice(gr_tensor_2d(NULL, T, heads));
    pair dq = twice(q.wide), dk = twice(k.wide), dv = twice(v.wide);
    gr_tensor borders = gr_tensor_i32(cu, 4);
    ex->ops->attention_fwd(ex, q.wide, k.wide, v.wide, borders, causal, 0.4, out.wide,
                           lse.wide);
    ex->ops->attention_fwd(ex, q.narrow, k.narrow, v.narrow, borders, causal, 0.4, out.narrow,
                           lse.narrow);
    check_rounded("attention", out);
    check_same(lse);
    ex->ops->attention_bwd(ex, dout.wide, q.wide, k.wide, v.wide, out.wide, lse.wide, borders,
                           causal, 0.4, dq.wide, dk.wide, dv.wide);
    ex->ops->attention_bwd(ex, dout.narrow, q.narrow, k.narrow, v.narrow, out.narrow,
                           lse.narrow, borders, causal, 0.4, dq.narrow, dk.narrow, dv.narrow);
    check_same(dq);
    check_same(dk);
    check_same(dv);
    release();
}

static void attention(gr_exec *ex)
{
    attention_of(ex, true, 6, 2);
    attention_of(ex, false, 3, 3);
}

static void test_attention(void)
{
    each(GR_PRECISION_BF16, attention);
}

static void norms_of(gr_exec *ex, int64_t N, int64_t C)
{
    pair x = pair_2d(N, C), y = pair_2d(N, C);
    gr_tensor w = vector(C), b = vector(C), m = vector(N), r = vector(N);
    ex->ops->rmsnorm_fwd(ex, x.wide, w, 1e-5, y.wide, r);
    ex->ops->rmsnorm_fwd(ex, x.wide, w, 1e-5, y.narrow, r);
    check_rounded("rmsnorm", y);
    ex->ops->layernorm_fwd(ex, x.wide, w, b, 1e-5, y.wide, m, r);
    ex->ops->layernorm_fwd(ex, x.wide, w, b, 1e-5, y.narrow, m, r);
    check_rounded("layernorm", y);
    release();
}

static void head_norm(gr_exec *ex)
{
    enum { T = 131, H = 3, D = 6 };
    pair x = pair_3d(T, H, D), y = twice(x.wide), dx = twice(x.wide), dy = pair_3d(T, H, D);
    pair r = twice(gr_tensor_2d(NULL, T, H)), dw = twice(gr_tensor_1d(NULL, D));
    gr_tensor w = vector(D);
    ex->ops->head_rmsnorm_fwd(ex, x.wide, w, 1e-5, y.wide, r.wide);
    ex->ops->head_rmsnorm_fwd(ex, x.narrow, w, 1e-5, y.narrow, r.narrow);
    check_same(y);
    check_same(r);
    ex->ops->head_rmsnorm_bwd(ex, dy.wide, x.wide, w, r.wide, dx.wide, dw.wide);
    ex->ops->head_rmsnorm_bwd(ex, dy.wide, x.narrow, w, r.wide, dx.narrow, dw.narrow);
    check_same(dx);
    check_same(dw);
    release();
}

static void scatter_of(gr_exec *ex, int64_t C)
{
    static const int32_t row[] = {4, 0, 2};
    gr_tensor rows = gr_tensor_i32(row, 3);
    pair x = pair_2d(3, C), y = pair_2d(5, C), z = pair_2d(5, C);
    ex->ops->rows_scatter(ex, x.wide, rows, y.wide);
    ex->ops->rows_scatter(ex, x.narrow, rows, y.narrow);
    check_rounded("scatter", y);
    ex->ops->rows_scatter(ex, x.narrow, rows, z.wide);
    ex->ops->rows_scatter(ex, x.wide, rows, z.narrow);
    check_rounded("scatter across types", z);
    pair copied = pair_2d(3, C), across = pair_2d(3, C);
    ex->ops->rows_copy(ex, x.wide, copied.wide);
    ex->ops->rows_copy(ex, x.narrow, copied.narrow);
    check_rounded("copy", copied);
    ex->ops->rows_copy(ex, x.narrow, across.wide);
    ex->ops->rows_copy(ex, x.wide, across.narrow);
    check_rounded("copy across types", across);
    release();
}

static void gelu_of(gr_exec *ex, int64_t N, int64_t F, gr_gelu_fwd_fn *fwd, gr_gelu_bwd_fn *bwd)
{
    pair x = pair_2d(N, F), y = pair_2d(N, F), dy = pair_2d(N, F), dx = pair_2d(N, F);
    fwd(ex, x.wide, y.wide);
    fwd(ex, x.narrow, y.narrow);
    check_rounded("gelu", y);
    bwd(ex, dy.wide, x.wide, dx.wide);
    bwd(ex, dy.narrow, x.narrow, dx.narrow);
    check_rounded("gelu backward", dx);
    bwd(ex, dy.wide, x.wide, dy.wide);
    bwd(ex, dy.narrow, x.narrow, dy.narrow);
    check_rounded("gelu backward in place", dy);
    release();
}

static void swiglu_of(gr_exec *ex, int64_t N, int64_t F)
{
    pair gate = pair_2d(N, F), up = pair_2d(N, F), y = pair_2d(N, F), dy = pair_2d(N, F);
    ex->ops->swiglu_fwd(ex, gate.wide, up.wide, y.wide);
    ex->ops->swiglu_fwd(ex, gate.narrow, up.narrow, y.narrow);
    check_rounded("swiglu", y);
    ex->ops->swiglu_bwd(ex, dy.wide, gate.wide, up.wide, gate.wide, up.wide);
    ex->ops->swiglu_bwd(ex, dy.narrow, gate.narrow, up.narrow, gate.narrow, up.narrow);
    check_rounded("dgate", gate);
    check_rounded("dup", up);
    release();
}

/// Widths around the pieces that rows are converted in.
static void rows(gr_exec *ex)
{
    static const int64_t widths[] = {1, 37, 1024, 1025, 2500};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        norms_of(ex, 4, widths[i]);
        scatter_of(ex, widths[i]);
        swiglu_of(ex, 4, widths[i]);
        gelu_of(ex, 4, widths[i], ex->ops->gelu_fwd, ex->ops->gelu_bwd);
        gelu_of(ex, 4, widths[i], ex->ops->gelu_tanh_fwd, ex->ops->gelu_tanh_bwd);
    }
    head_norm(ex);
}

static void test_rows(void)
{
    each(GR_PRECISION_FP32, rows);
}

static void round_all(gr_exec *ex)
{
    gr_tensor x = vector(200000);
    uint16_t *got = take(200000, sizeof *got), *want = take(200000, sizeof *want);
    ex->ops->round(ex, x, gr_tensor_like(x, GR_DTYPE_BF16, got));
    gr_convert_f32_to_bf16(x.data, 200000, want);
    GR_CHECK_BYTES(got, want, 200000 * sizeof *want);
    pair y = pair_2d(7, 5);
    gr_tensor rows_of_five = gr_tensor_2d(x.data, 7, 5);
    ex->ops->round(ex, rows_of_five, y.narrow);
    for (int64_t i = 0; i < 7; i++) {
        GR_CHECK_BYTES((uint16_t *)y.narrow.data + i * y.narrow.row_stride, want + i * 5,
                       5 * sizeof *want);
    }
    release();
}

static void test_round(void)
{
    each(GR_PRECISION_FP32, round_all);
}

static const gr_test tests[] = {{"linear", test_linear, bf16_missing},
                                {"attention", test_attention, bf16_missing},
                                {"rows", test_rows},
                                {"round", test_round}};
GR_TEST_MAIN("ops: bf16 views", tests)
