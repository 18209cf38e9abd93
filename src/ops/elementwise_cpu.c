#include "src/ops/work.h"

void gr_round_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    enum { PIECE = 1 << 16 };
    int64_t N = x.shape[0];
    GR_ASSERT(gri_is_1d(x, N) && y.dtype == GR_DTYPE_BF16 && y.ndim == 1 && y.shape[0] == N);
    const float *from = x.data;
    uint16_t *to = y.data;
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_tiles(N, PIECE); i++) {
        ex->rows->to_bf16(gri_tile_length(N, PIECE, i), from + i * PIECE, to + i * PIECE);
    }
}

void gr_add_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    GR_ASSERT(gri_same(x, y));
    int64_t n = gr_tensor_row(x);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < x.shape[0]; t++) {
        ex->rows->add(n, gr_tensor_f32(x, t), gr_tensor_f32(y, t));
    }
}

void gr_swiglu_fwd_cpu(gr_exec *ex, gr_tensor gate, gr_tensor up, gr_tensor y)
{
    GR_ASSERT(gri_same(gate, up) && gri_same(gate, y));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < gate.shape[0]; t++) {
        ex->rows->swiglu(gr_tensor_row(gate), gr_tensor_f32(gate, t), gr_tensor_f32(up, t),
                         gr_tensor_f32(y, t));
    }
}

void gr_swiglu_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor gate, gr_tensor up, gr_tensor dgate,
                       gr_tensor dup)
{
    GR_ASSERT(gri_same(dy, gate) && gri_same(dy, up) && gri_same(dy, dgate) &&
              gri_same(dy, dup));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < dy.shape[0]; t++) {
        ex->rows->swiglu_bwd(gr_tensor_row(dy), gr_tensor_f32(dy, t), gr_tensor_f32(gate, t),
                             gr_tensor_f32(up, t), gr_tensor_f32(dgate, t),
                             gr_tensor_f32(dup, t));
    }
}

void gr_gelu_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    GR_ASSERT(gri_same(x, y));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < x.shape[0]; t++) {
        ex->rows->gelu(gr_tensor_row(x), gr_tensor_f32(x, t), gr_tensor_f32(y, t));
    }
}

void gr_gelu_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor dx)
{
    GR_ASSERT(gri_same(dy, x) && gri_same(dy, dx));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < x.shape[0]; t++) {
        ex->rows->gelu_bwd(gr_tensor_row(x), gr_tensor_f32(dy, t), gr_tensor_f32(x, t),
                           gr_tensor_f32(dx, t));
    }
}

void gr_gelu_tanh_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    GR_ASSERT(gri_same(x, y));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < x.shape[0]; t++) {
        ex->rows->gelu_tanh(gr_tensor_row(x), gr_tensor_f32(x, t), gr_tensor_f32(y, t));
    }
}

void gr_gelu_tanh_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor dx)
{
    GR_ASSERT(gri_same(dy, x) && gri_same(dy, dx));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < x.shape[0]; t++) {
        ex->rows->gelu_tanh_bwd(gr_tensor_row(x), gr_tensor_f32(dy, t), gr_tensor_f32(x, t),
                                gr_tensor_f32(dx, t));
    }
}
