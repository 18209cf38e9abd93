#include "tests/ops_check.h"

/// d: query heads H, key/value heads G, head size D, causal (0 or 1), which packing.
static const int32_t packings[][6] = {
    {0, 1},                             // one token
    {0, 0},                             // nothing
    {0, 5},                             //
    {0, 3, 3, 4, 11},                   // an empty sequence, one of length 1
    {0, 0, 7, 7},                       // empty ones at both ends
    {0, 63},          {0, 64}, {0, 65}, //
    {0, 1, 64, 193},                    // tiles of 1, 63, 64 + 64 + 1
};
static const int packing_sequences[] = {1, 1, 1, 4, 3, 1, 1, 1, 3};

static void attention_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    int sequences = packing_sequences[d[4]];
    memcpy(r->ints[0].data, packings[d[4]], sizeof packings[0]);
    r->ints[0].shape[0] = sequences + 1;
    int64_t T = packings[d[4]][sequences];
    r->in[0] = r->out[0] = op_3d(T, d[0], d[2]);
    r->in[1] = r->in[2] = op_3d(T, d[1], d[2]);
    r->out[1] = op_2d(T, d[0]);
}

static double scale_of(const op_run *r)
{
    return 3 /
           sqrt((double)r->size->d[2]); // sharper than 1 / sqrt(D), so that the softmax matters
}

/// One query against keys k0 .. k1 - 1 of its head.
static void attend(const double *q, const double *k, const double *v, int64_t count,
                   int64_t stride, int64_t D, double scale, double *out)
{
    static double score[1024];
    double max = -INFINITY, sum = 0;
    for (int64_t u = 0; u < count; u++) {
        score[u] = 0;
        for (int64_t d = 0; d < D; d++) {
            score[u] += scale * q[d] * k[u * stride + d];
        }
        max = score[u] > max ? score[u] : max;
    }
    for (int64_t d = 0; d < D; d++) {
        out[d] = 0;
    }
    for (int64_t u = 0; u < count; u++) {
        double p = exp(score[u] - max);
        sum += p;
        for (int64_t d = 0; d < D; d++) {
            out[d] += p * v[u * stride + d];
        }
    }
    for (int64_t d = 0; d < D; d++) {
        out[d] /= sum;
    }
}

static void attention_formula(const op_run *r, double *const *in, double *out)
{
    const int64_t *d = r->size->d;
    int64_t H = d[0], G = d[1], D = d[2];
    const int32_t *cu = packings[d[4]];
    for (int s = 0; s < packing_sequences[d[4]]; s++) {
        for (int64_t t = cu[s]; t < cu[s + 1]; t++) {
            int64_t count = (d[3] ? t + 1 : cu[s + 1]) - cu[s];
            for (int64_t h = 0; h < H; h++) {
                int64_t first = (cu[s] * G + h * G / H) * D;
                attend(in[0] + (t * H + h) * D, in[1] + first, in[2] + first, count, G * D, D,
                       scale_of(r), out + (t * H + h) * D);
            }
        }
    }
}

static void attention_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->attention_fwd(ex, r->in[0], r->in[1], r->in[2], r->ints[0], r->size->d[3] != 0,
                           scale_of(r), r->out[0], r->out[1]);
}

static void attention_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->attention_bwd(ex, r->dout, r->in[0], r->in[1], r->in[2], r->out[0], r->out[1],
                           r->ints[0], r->size->d[3] != 0, scale_of(r), r->din[0], r->din[1],
                           r->din[2]);
}

static void check_attention(gr_precision precision)
{
    static const op_case c = {.name = "attention",
                              .inputs = 3,
                              .outputs = 2,
                              .tolerance = 2e-6,
                              .shapes = attention_shapes,
                              .formula = attention_formula,
                              .forward = attention_forward,
                              .backward = attention_backward};
    static const op_size sizes[] = {
        {.d = {1, 1, 1, 1, 2}},           {.d = {2, 1, 4, 1, 0}},
        {.d = {2, 2, 3, 1, 1}},           {.d = {7, 1, 3, 1, 3}, .pad = 5},
        {.d = {3, 3, 5, 1, 3}, .pad = 1}, {.d = {3, 3, 5, 0, 3}, .pad = 1},
        {.d = {6, 2, 5, 0, 4}, .pad = 3}, {.d = {14, 2, 4, 1, 2}},
        {.d = {2, 1, 3, 1, 5}},           {.d = {2, 2, 3, 0, 6}},
        {.d = {2, 2, 3, 1, 6}},           {.d = {2, 1, 3, 1, 7}, .pad = 2},
        {.d = {2, 1, 3, 0, 7}, .pad = 2}, {.d = {7, 1, 3, 1, 8}, .pad = 2},
        {.d = {2, 2, 8, 0, 8}},
    };
    if (precision == GR_PRECISION_BF16) {
        OP_CHECK_BF16(&c, 4e-3, sizes);
    } else {
        OP_CHECK(&c, sizes);
    }
}

static void test_attention(void)
{
    check_attention(GR_PRECISION_FP32);
}

static void test_attention_bf16(void)
{
    check_attention(GR_PRECISION_BF16);
}

enum { T = 150, H = 4, G = 2, D = 6, WIDTH = (H + 2 * G) * D };

/// Forward and backward on one packed qkv buffer, as the models hold it.
typedef struct packed {
    float qkv[T * WIDTH], dqkv[T * WIDTH], dout[T * H * D], out[T * H * D], lse[T * H];
} packed;

static gr_tensor block(float *base, int64_t from, int64_t tokens, int64_t column, int64_t heads)
{
    gr_tensor t = gr_tensor_2d(base + from * WIDTH, tokens, WIDTH);
    return gr_tensor_split(gr_tensor_columns(t, column * D, heads * D), heads);
}

static void run_packed(gr_exec *ex, packed *p, int64_t from, int64_t tokens, const int32_t *cu,
                       int64_t sequences)
{
    gr_tensor q = block(p->qkv, from, tokens, 0, H), k = block(p->qkv, from, tokens, H, G);
    gr_tensor v = block(p->qkv, from, tokens, H + G, G);
    gr_tensor dout = gr_tensor_3d(p->dout + from * H * D, tokens, H, D);
    gr_tensor out = gr_tensor_3d(p->out + from * H * D, tokens, H, D);
    gr_tensor lse = gr_tensor_2d(p->lse + from * H, tokens, H);
    gr_tensor ends = gr_tensor_i32(cu, sequences + 1);
    ex->ops->attention_fwd(ex, q, k, v, ends, true, 0.7, out, lse);
    ex->ops->attention_bwd(
        ex, dout, q, k, v, out, lse, ends, true, 0.7, block(p->dqkv, from, tokens, 0, H),
        block(p->dqkv, from, tokens, H, G), block(p->dqkv, from, tokens, H + G, G));
}

static void fill(packed *p)
{
    memset(p, 0xFF, sizeof *p);
    op_state = 7;
    for (int i = 0; i < T * WIDTH; i++) {
        p->qkv[i] = (float)op_random();
    }
    for (int i = 0; i < T * H * D; i++) {
        p->dout[i] = (float)op_random();
    }
}

/// Sequences in one call give the bytes of each alone: tiles begin where a sequence does.
static void test_packed_is_each_alone(void)
{
    static packed together, alone;
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(2, OP_ARENA, &ex));
    const int32_t cu[] = {0, 70, 70, 71, T};
    fill(&together);
    fill(&alone);
    run_packed(ex, &together, 0, T, cu, 4);
    for (int s = 0; s < 4; s++) {
        const int32_t one[] = {0, cu[s + 1] - cu[s]};
        run_packed(ex, &alone, cu[s], one[1], one, 1);
    }
    GR_CHECK_BYTES(&together, &alone, sizeof together);
    gr_exec_destroy(&ex);
}

/// Queries that come later see the keys before them: as the same rows of the whole.
static void test_continuing(void)
{
    static packed whole, later;
    static const int64_t before[] = {1, 63, 64, 65, T - 1};
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(2, OP_ARENA, &ex));
    const int32_t cu[] = {0, T};
    fill(&whole);
    run_packed(ex, &whole, 0, T, cu, 1);
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        int64_t from = before[i], rows = T - from;
        const int32_t ends[] = {0, (int32_t)rows};
        fill(&later);
        ex->ops->attention_fwd(ex, block(later.qkv, from, rows, 0, H),
                               block(later.qkv, 0, T, H, G), block(later.qkv, 0, T, H + G, G),
                               gr_tensor_i32(ends, 2), true, 0.7,
                               gr_tensor_3d(later.out + from * H * D, rows, H, D),
                               gr_tensor_2d(later.lse + from * H, rows, H));
        GR_CHECK_CLOSE(later.out + from * H * D, whole.out + from * H * D, rows * H * D, 1e-5,
                       1e-6);
        GR_CHECK_CLOSE(later.lse + from * H, whole.lse + from * H, rows * H, 1e-6, 1e-6);
    }
    gr_exec_destroy(&ex);
}

/// Threads at work at the same time, again and again: what they do not share they cannot spoil.
static void test_threads(void)
{
    static packed one, many;
    const int32_t cu[] = {0, 70, 70, 71, T};
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(1, OP_ARENA, &ex));
    fill(&one);
    run_packed(ex, &one, 0, T, cu, 4);
    ex->threads = 3;
    for (int i = 0; i < 50; i++) {
        fill(&many);
        run_packed(ex, &many, 0, T, cu, 4);
        GR_CHECK_BYTES(&many, &one, sizeof one);
    }
    gr_exec_destroy(&ex);
}

/// A token that changes leaves all earlier ones, and other sequences, as they were.
static void test_causal(void)
{
    static packed before, after;
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(1, OP_ARENA, &ex));
    const int32_t cu[] = {0, 100, T};
    fill(&before);
    fill(&after);
    const int64_t changed = 80;
    for (int64_t i = 0; i < WIDTH; i++) {
        after.qkv[changed * WIDTH + i] += 1;
    }
    run_packed(ex, &before, 0, T, cu, 2);
    run_packed(ex, &after, 0, T, cu, 2);
    size_t row = (size_t)H * D * sizeof(float);
    GR_CHECK_BYTES(after.out, before.out, (size_t)changed * row);
    GR_CHECK_BYTES(after.out + 100 * H * D, before.out + 100 * H * D, (T - 100) * row);
    for (int64_t t = changed; t < 100; t++) {
        GR_CHECK(memcmp(after.out + t * H * D, before.out + t * H * D, row) != 0);
    }
    gr_exec_destroy(&ex);
}

/// Scores of thousands: the largest takes all, nothing overflows; lse is the score itself.
static void test_large_scores(void)
{
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(1, OP_ARENA, &ex));
    float q[2] = {100, 100}, k[2] = {-50, 50}, v[2] = {3, 5}, out[2], lse[2], dout[2] = {1, 1};
    float dq[2], dk[2], dv[2];
    const int32_t cu[] = {0, 2};
    gr_tensor ends = gr_tensor_i32(cu, 2), lses = gr_tensor_2d(lse, 2, 1);
    gr_tensor tq = gr_tensor_3d(q, 2, 1, 1), tk = gr_tensor_3d(k, 2, 1, 1);
    gr_tensor tv = gr_tensor_3d(v, 2, 1, 1), to = gr_tensor_3d(out, 2, 1, 1);
    ex->ops->attention_fwd(ex, tq, tk, tv, ends, true, 1, to, lses);
    ex->ops->attention_bwd(ex, gr_tensor_3d(dout, 2, 1, 1), tq, tk, tv, to, lses, ends, true, 1,
                           gr_tensor_3d(dq, 2, 1, 1), gr_tensor_3d(dk, 2, 1, 1),
                           gr_tensor_3d(dv, 2, 1, 1));
    const float want_lse[2] = {-5000, 5000}, zero[2] = {0, 0}, ones[2] = {1, 1};
    GR_CHECK_BYTES(out, v, sizeof v);
    GR_CHECK_BYTES(lse, want_lse, sizeof lse);
    GR_CHECK_CLOSE(dq, zero, 2, 0, 0);
    GR_CHECK_CLOSE(dk, zero, 2, 0, 0);
    GR_CHECK_CLOSE(dv, ones, 2, 0, 0);
    gr_exec_destroy(&ex);
}

/// A token that is not a number reaches every query that sees it, and no tile that does not.
static void test_nan_is_seen(void)
{
    static packed p;
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(1, OP_ARENA, &ex));
    const int32_t cu[] = {0, 100, T};
    fill(&p);
    for (int64_t i = 0; i < WIDTH; i++) {
        p.qkv[70 * WIDTH + i] = NAN;
    }
    run_packed(ex, &p, 0, T, cu, 2);
    for (int64_t t = 0; t < T; t++) {
        if (t < 64 || t >= 70) {
            GR_CHECK(isnan(p.out[t * H * D]) == (t >= 70 && t < 100));
        }
    }
    gr_exec_destroy(&ex);
}

static const gr_test tests[] = {
    {"against the formula", test_attention},
    {"against the formula, bf16", test_attention_bf16, bf16_missing},
    {"continuing", test_continuing},
    {"packed", test_packed_is_each_alone},
    {"threads", test_threads},
    {"causal", test_causal},
    {"large scores", test_large_scores},
    {"not a number", test_nan_is_seen},
};
GR_TEST_MAIN("ops: attention", tests)
