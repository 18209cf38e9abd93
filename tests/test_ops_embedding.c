#include "tests/ops_check.h"

/// d: words V, channels C, tokens T.
static void embedding_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = op_2d(d[0], d[1]);
    r->out[0] = op_2d(d[2], d[1]);
    int32_t *id = r->ints[0].data;
    for (int64_t t = 0; t < d[2]; t++) {
        id[t] = (int32_t)(t % 5 == 3 ? -1 : t * t % d[0]); // words come again, some are absent
    }
    r->ints[0].shape[0] = d[2];
}

static void embedding_formula(const op_run *r, double *const *in, double *out)
{
    int64_t C = r->size->d[1], T = r->size->d[2];
    const int32_t *id = r->ints[0].data;
    for (int64_t i = 0; i < T * C; i++) {
        out[i] = id[i / C] < 0 ? 0 : in[0][id[i / C] * C + i % C];
    }
}

static void embedding_forward(gr_exec *ex, const op_run *r)
{
    ex->ops->embedding_fwd(ex, r->in[0], r->ints[0], r->out[0]);
}

static void embedding_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->embedding_bwd(ex, r->dout, r->ints[0], r->din[0]);
}

static void test_embedding(void)
{
    static const op_case c = {.name = "embedding",
                              .inputs = 1,
                              .outputs = 1,
                              .tolerance = 1e-6,
                              .shapes = embedding_shapes,
                              .formula = embedding_formula,
                              .forward = embedding_forward,
                              .backward = embedding_backward,
                              .adds = 1};
    static const op_size sizes[] = {
        {.d = {1, 1, 1}},
        {.d = {4, 3, 0}},
        {.d = {7, 5, 23}, .pad = 3},
        {.d = {3, 127, 9}},
        {.d = {3, 128, 9}, .pad = 1},
        {.d = {3, 257, 11}},
    };
    OP_CHECK(&c, sizes);
}

/// d: images B, positions N, channels C.
static void positions_shapes(op_run *r)
{
    const int64_t *d = r->size->d;
    r->in[0] = r->out[0] = op_3d(d[0], d[1], d[2]);
    r->in[1] = op_2d(d[1], d[2]);
}

static void positions_formula(const op_run *r, double *const *in, double *out)
{
    int64_t B = r->size->d[0], row = r->size->d[1] * r->size->d[2];
    for (int64_t i = 0; i < B * row; i++) {
        out[i] = in[0][i] + in[1][i % row];
    }
}

static void positions_forward(gr_exec *ex, const op_run *r)
{
    op_copy(r->out[0], r->in[0]);
    ex->ops->positions_fwd(ex, r->in[1], r->out[0]);
}

static void positions_backward(gr_exec *ex, const op_run *r)
{
    ex->ops->positions_bwd(ex, r->dout, r->din[1]);
}

static void test_positions(void)
{
    static const op_case c = {.name = "positions",
                              .inputs = 2,
                              .outputs = 1,
                              .tolerance = 1e-6,
                              .shapes = positions_shapes,
                              .formula = positions_formula,
                              .forward = positions_forward,
                              .backward = positions_backward,
                              .adds = 2};
    static const op_size sizes[] = {
        {.d = {1, 1, 1}, .skip = 1},
        {.d = {0, 3, 4}, .skip = 1},
        {.d = {5, 3, 7}, .skip = 1, .pad = 3},
        {.d = {2, 9, 5}, .skip = 1},
    };
    OP_CHECK(&c, sizes);
}

static const gr_test tests[] = {{"embedding", test_embedding}, {"positions", test_positions}};
GR_TEST_MAIN("ops: embedding", tests)
