#include "src/ops/work.h"

static void round_vector(gr_exec *ex, gr_tensor x, uint16_t *y)
{
    enum { PIECE = 1 << 16 };
    int64_t N = x.shape[0];
    GR_ASSERT(gri_is_1d(x, N));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, gri_tiles(N, PIECE)); i++) {
        ex->rows->to_bf16(gri_tile_length(N, PIECE, i), gr_tensor_f32(x, 0) + i * PIECE,
                          y + i * PIECE);
    }
}

void gr_round_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    GR_ASSERT(gri_alike(x, y) && x.dtype == GR_DTYPE_F32 && y.dtype == GR_DTYPE_BF16);
    const bool vector = x.ndim == 1;
    gri_begin_rows(ex, "round", x.shape[0], vector ? 1 : gr_tensor_row(x));
    if (vector) {
        round_vector(ex, x, y.data);
        return;
    }
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < gri_each(ex, x.shape[0]); t++) {
        gri_wrote(ex, y, t, 0, gr_tensor_row(x), gr_tensor_f32(x, t));
    }
}

void gr_add_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    GR_ASSERT(gri_same(x, y));
    int64_t n = gr_tensor_row(x);
    gri_begin_rows(ex, "add", x.shape[0], n);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < gri_each(ex, x.shape[0]); t++) {
        ex->rows->add(n, gr_tensor_f32(x, t), gr_tensor_f32(y, t));
    }
}

typedef void unary_row(int64_t n, const float *x, float *y);
typedef void binary_row(int64_t n, const float *a, const float *b, float *y);

static void unary(gr_exec *ex, const char *op, unary_row *call, gr_tensor x, gr_tensor y)
{
    GR_ASSERT(gri_alike(x, y));
    int64_t row = gr_tensor_row(x);
    gri_begin_rows(ex, op, x.shape[0], row);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < gri_each(ex, x.shape[0]); t++) {
        float room[2][GRI_PIECE];
        for (int64_t i = 0; i < gri_tiles(row, GRI_PIECE); i++) {
            int64_t from = i * GRI_PIECE, n = gri_tile_length(row, GRI_PIECE, i);
            call(n, gri_read(ex, x, t, from, n, room[0]), gri_place(y, t, from, room[1]));
            gri_wrote(ex, y, t, from, n, room[1]);
        }
    }
}

static void binary(gr_exec *ex, const char *op, binary_row *call, gr_tensor a, gr_tensor b,
                   gr_tensor y)
{
    GR_ASSERT(gri_alike(a, b) && gri_alike(a, y));
    int64_t row = gr_tensor_row(a);
    gri_begin_rows(ex, op, a.shape[0], row);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < gri_each(ex, a.shape[0]); t++) {
        float room[3][GRI_PIECE];
        for (int64_t i = 0; i < gri_tiles(row, GRI_PIECE); i++) {
            int64_t from = i * GRI_PIECE, n = gri_tile_length(row, GRI_PIECE, i);
            call(n, gri_read(ex, a, t, from, n, room[0]), gri_read(ex, b, t, from, n, room[1]),
                 gri_place(y, t, from, room[2]));
            gri_wrote(ex, y, t, from, n, room[2]);
        }
    }
}

void gr_swiglu_fwd_cpu(gr_exec *ex, gr_tensor gate, gr_tensor up, gr_tensor y)
{
    binary(ex, "swiglu_fwd", ex->rows->swiglu, gate, up, y);
}

void gr_swiglu_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor gate, gr_tensor up, gr_tensor dgate,
                       gr_tensor dup)
{
    GR_ASSERT(gri_alike(dy, gate) && gri_alike(dy, up));
    GR_ASSERT(gri_alike(dy, dgate) && gri_alike(dy, dup));
    int64_t row = gr_tensor_row(dy);
    gri_begin_rows(ex, "swiglu_bwd", dy.shape[0], row);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < gri_each(ex, dy.shape[0]); t++) {
        float room[5][GRI_PIECE];
        for (int64_t i = 0; i < gri_tiles(row, GRI_PIECE); i++) {
            int64_t from = i * GRI_PIECE, n = gri_tile_length(row, GRI_PIECE, i);
            ex->rows->swiglu_bwd(
                n, gri_read(ex, dy, t, from, n, room[0]),
                gri_read(ex, gate, t, from, n, room[1]), gri_read(ex, up, t, from, n, room[2]),
                gri_place(dgate, t, from, room[3]), gri_place(dup, t, from, room[4]));
            gri_wrote(ex, dgate, t, from, n, room[3]);
            gri_wrote(ex, dup, t, from, n, room[4]);
        }
    }
}

void gr_gelu_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    unary(ex, "gelu_fwd", ex->rows->gelu, x, y);
}

void gr_gelu_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor dx)
{
    binary(ex, "gelu_bwd", ex->rows->gelu_bwd, dy, x, dx);
}

void gr_gelu_tanh_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    unary(ex, "gelu_tanh_fwd", ex->rows->gelu_tanh, x, y);
}

void gr_gelu_tanh_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor dx)
{
    binary(ex, "gelu_tanh_bwd", ex->rows->gelu_tanh_bwd, dy, x, dx);
}
