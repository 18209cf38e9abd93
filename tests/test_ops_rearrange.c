#include "tests/ops_check.h"

/// Copies: nothing is rounded.
static const double exact = 0;
/// ... except the reference gradient, a difference quotient.
static const double nearly = 1e-8;

/// d: images B, channels, height S, patch p, width.
static void patchify_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = op_4d(d[0], d[1], d[2], d[4]);
    r->out[0] = op_2d(d[0] * (d[2] / d[3]) * (d[4] / d[3]), d[1] * d[3] * d[3]);
}

static void patchify_formula(const op_run *r, double *const *in, double *out)
{
    int64_t B = r->size->d[0], K = r->size->d[1], S = r->size->d[2], p = r->size->d[3];
    int64_t W = r->size->d[4], g = S / p, h = W / p, at = 0;
    for (int64_t i = 0; i < B * g * h; i++) {
        int64_t b = i / (g * h), top = i % (g * h) / h * p, left = i % h * p;
        for (int64_t j = 0; j < K * p * p; j++) {
            int64_t k = j / (p * p), y = top + j / p % p, x = left + j % p;
            out[at++] = in[0][((b * K + k) * S + y) * W + x];
        }
    }
}

static void patchify_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->patchify(ex, r->in[0], NULL, r->size->d[3], r->out[0]);
}

static void test_patchify(void)
{
    static const op_case c = {.name = "patchify",
                              .inputs = 1,
                              .outputs = 1,
                              .tolerance = exact,
                              .shapes = patchify_shapes,
                              .formula = patchify_formula,
                              .forward = patchify_forward};
    static const op_size sizes[] = {
        {.d = {1, 1, 1, 1, 1}},   {.d = {0, 3, 8, 2, 8}}, {.d = {2, 3, 8, 2, 8}, .pad = 3},
        {.d = {3, 2, 11, 3, 11}}, // two pixels at the edge unused
        {.d = {2, 3, 5, 2, 9}},   // wide
        {.d = {2, 1, 9, 3, 3}},   // high
        {.d = {1, 3, 5, 7, 5}},   // not one patch
    };
    OP_CHECK(&c, sizes);
}

/// Bytes give what the numbers they stand for give, with pixels at the edge and any number of threads.
static void test_patchify_bytes(void)
{
    enum {
        B = 2,
        S = 7,
        W = 11,
        P = 3,
        K = 3,
        ROWS = B * (S / P) * (W / P),
        WIDTH = K * P * P
    };
    static float table[K][256], values[B * K * S * W], got[ROWS * WIDTH], want[ROWS * WIDTH];
    unsigned char bytes[B * S * W * K];
    for (int i = 0; i < B * S * W * K; i++) {
        bytes[i] = (unsigned char)(i * 89 + i / 7 * 31);
    }
    for (int i = 0; i < K * 256; i++) {
        table[i / 256][i % 256] = (float)i / 7;
    }
    for (int i = 0; i < B * K * S * W; i++) {
        int at = i % (S * W), k = i / (S * W) % K, b = i / (S * W) / K;
        values[i] = table[k][bytes[(b * S * W + at) * K + k]];
    }
    const gr_tensor shape = gr_tensor_4d(NULL, B, S, W, K);
    for (int threads = 1; threads <= 3; threads++) {
        gr_exec *ex = NULL;
        if (!GR_CHECK_OK(gr_exec_create_cpu(threads, 1 << 16, &ex))) {
            return;
        }
        memset(got, 0xff, sizeof got);
        ex->ops->patchify(ex, gr_tensor_4d(values, B, K, S, W), NULL, P,
                          gr_tensor_2d(want, ROWS, WIDTH));
        ex->ops->patchify(ex, gr_tensor_like(shape, GR_DTYPE_U8, bytes), table, P,
                          gr_tensor_2d(got, ROWS, WIDTH));
        GR_CHECK_BYTES(got, want, sizeof want);
        gr_exec_destroy(&ex);
    }
}

/// d: images B, rows g, columns h, channels C, by column.
static void shuffle_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = op_4d(d[0], d[1], d[2], d[3]);
    r->out[0] = op_3d(d[0], d[1] * d[2] / 4, 4 * d[3]);
}

static void shuffle_formula(const op_run *r, double *const *in, double *out)
{
    int64_t B = r->size->d[0], g = r->size->d[1], h = r->size->d[2], C = r->size->d[3], at = 0;
    int64_t tokens = g * h / 4;
    for (int64_t i = 0; i < B * tokens; i++) {
        int64_t b = i / tokens, token = i % tokens;
        int64_t row = r->size->d[4] ? token % (g / 2) : token / (h / 2);
        int64_t column = r->size->d[4] ? token / (g / 2) : token % (h / 2);
        for (int64_t j = 0; j < 4 * C; j++) {
            int64_t y = 2 * row + j / C / 2, x = 2 * column + j / C % 2;
            out[at++] = in[0][((b * g + y) * h + x) * C + j % C];
        }
    }
}

static void shuffle_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->pixel_shuffle_fwd(ex, r->in[0], r->size->d[4] != 0, r->out[0]);
}

static void shuffle_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->pixel_shuffle_bwd(ex, r->dout, r->size->d[4] != 0, r->din[0]);
}

static void test_pixel_shuffle(void)
{
    static const op_case c = {.name = "pixel shuffle",
                              .inputs = 1,
                              .outputs = 1,
                              .tolerance = nearly,
                              .shapes = shuffle_shapes,
                              .formula = shuffle_formula,
                              .forward = shuffle_forward,
                              .backward = shuffle_backward};
    static const op_size sizes[] = {
        {.d = {1, 2, 2, 1}},
        {.d = {0, 4, 4, 3}},
        {.d = {2, 4, 4, 3}, .pad = 5},
        {.d = {3, 6, 6, 7}},
        {.d = {2, 4, 10, 3}, .pad = 1},
        {.d = {2, 6, 2, 5}},
        {.d = {2, 4, 6, 3, 1}, .pad = 1},
        {.d = {1, 6, 6, 4, 1}},
    };
    OP_CHECK(&c, sizes);
}

/// d: rows M, channels C.
static void copy_shapes(op_run *r)
{
    r->in[0] = r->out[0] = op_2d(r->size->d[0], r->size->d[1]);
}

static void copy_formula(const op_run *r, double *const *in, double *out)
{
    memcpy(out, in[0], (size_t)(r->size->d[0] * r->size->d[1]) * sizeof *out);
}

static void copy_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->rows_copy(ex, r->in[0], r->out[0]);
}

static void copy_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->rows_copy(ex, r->dout, r->din[0]);
}

static void test_copy(void)
{
    static const op_case c = {.name = "copy",
                              .inputs = 1,
                              .outputs = 1,
                              .tolerance = nearly,
                              .shapes = copy_shapes,
                              .formula = copy_formula,
                              .forward = copy_forward,
                              .backward = copy_backward};
    static const op_size sizes[] = {
        {.d = {1, 1}}, {.d = {0, 3}}, {.d = {3, 0}}, {.d = {7, 5}, .pad = 3}, {.d = {2, 2500}}};
    OP_CHECK(&c, sizes);
}

/// d: rows T, channels C, taken M. Scatter is the backward of gather.
static void gather_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = op_2d(d[0], d[1]);
    r->out[0] = op_2d(d[2], d[1]);
    int32_t *row = r->ints[0].data;
    for (int64_t m = 0; m < d[2]; m++) {
        row[m] = (int32_t)((m * 7 + 3) % d[0]); // 7 does not divide T: each at most once
    }
    r->ints[0].shape[0] = d[2];
}

static void gather_formula(const op_run *r, double *const *in, double *out)
{
    int64_t C = r->size->d[1], M = r->size->d[2];
    const int32_t *row = r->ints[0].data;
    for (int64_t i = 0; i < M * C; i++) {
        out[i] = in[0][row[i / C] * C + i % C];
    }
}

static void gather_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->rows_gather(ex, r->in[0], r->ints[0], r->out[0]);
}

static void gather_backward(gr_exec *ex, const op_run *r)
{
    for (int64_t i = 0; i < gr_tensor_count(r->din[0]); i++) {
        *op_at(r->din[0], i) = 0;
    }
    ex->ops->rows_scatter(ex, r->dout, r->ints[0], r->din[0]);
}

static void test_rows(void)
{
    static const op_case c = {.name = "rows",
                              .inputs = 1,
                              .outputs = 1,
                              .tolerance = nearly,
                              .shapes = gather_shapes,
                              .formula = gather_formula,
                              .forward = gather_forward,
                              .backward = gather_backward};
    static const op_size sizes[] = {
        {.d = {1, 1, 1}},
        {.d = {5, 3, 0}},
        {.d = {11, 5, 6}, .pad = 3},
        {.d = {9, 4, 9}},
        {.d = {131, 2, 129}, .pad = 1},
    };
    OP_CHECK(&c, sizes);
}

static const gr_test tests[] = {
    {"patchify", test_patchify},
    {"patchify_bytes", test_patchify_bytes},
    {"pixel shuffle", test_pixel_shuffle},
    {"copy", test_copy},
    {"rows", test_rows},
};
GR_TEST_MAIN("ops: rearrange", tests)
