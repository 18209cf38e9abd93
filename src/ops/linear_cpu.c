#include "src/ops/math_inline.h"
#include "src/ops/work.h"

enum { TILE = GR_LINEAR_TILE_ROWS };

static void add_bias(gr_tensor y, gr_tensor b)
{
    const float *bias = b.data;
    for (int64_t n = 0; n < y.shape[0]; n++) {
        float *row = gr_tensor_f32(y, n);
        for (int64_t o = 0; o < y.shape[1]; o++) {
            row[o] += bias[o];
        }
    }
}

void gr_linear_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor w, gr_tensor b, gr_tensor y)
{
    int64_t N = x.shape[0], I = x.shape[1], O = w.shape[0];
    GR_ASSERT(gri_is_2d(x, N, I) && gri_is_2d(w, O, I) && gri_is_2d(y, N, O));
    GR_ASSERT(!gr_tensor_present(b) || gri_is_1d(b, O));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_tiles(N, TILE); i++) {
        int64_t rows = gri_tile_length(N, TILE, i);
        gr_tensor tile = gr_tensor_rows(y, i * TILE, rows);
        gri_gemm(1, gr_tensor_rows(x, i * TILE, rows), GRI_PLAIN, w, GRI_TRANSPOSED, 0, tile);
        if (gr_tensor_present(b)) {
            add_bias(tile, b);
        }
    }
}

void gr_linear_bwd_input_cpu(gr_exec *ex, gr_tensor dy, gr_tensor w, gr_tensor dx,
                             bool accumulate)
{
    int64_t N = dy.shape[0], I = w.shape[1], O = w.shape[0];
    GR_ASSERT(gri_is_2d(dy, N, O) && gri_is_2d(w, O, I) && gri_is_2d(dx, N, I));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_tiles(N, TILE); i++) {
        int64_t rows = gri_tile_length(N, TILE, i);
        gri_gemm(1, gr_tensor_rows(dy, i * TILE, rows), GRI_PLAIN, w, GRI_PLAIN,
                 accumulate ? 1 : 0, gr_tensor_rows(dx, i * TILE, rows));
    }
}

/// db[o] += sum of column o, at most TILE columns.
static void add_column_sums(gr_tensor dy, float *db)
{
    double sum[TILE] = {0};
    for (int64_t n = 0; n < dy.shape[0]; n++) {
        const float *row = gr_tensor_f32(dy, n);
        for (int64_t o = 0; o < dy.shape[1]; o++) {
            sum[o] += (double)row[o];
        }
    }
    for (int64_t o = 0; o < dy.shape[1]; o++) {
        db[o] += (float)sum[o];
    }
}

void gr_linear_bwd_weight_cpu(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor dw,
                              gr_tensor db)
{
    int64_t N = dy.shape[0], I = x.shape[1], O = dy.shape[1];
    GR_ASSERT(gri_is_2d(dy, N, O) && gri_is_2d(x, N, I) && gri_is_2d(dw, O, I));
    GR_ASSERT(!gr_tensor_present(db) || gri_is_1d(db, O));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_tiles(O, TILE); i++) {
        int64_t columns = gri_tile_length(O, TILE, i);
        gr_tensor tile = gr_tensor_columns(dy, i * TILE, columns);
        gri_gemm(1, tile, GRI_TRANSPOSED, x, GRI_PLAIN, 1,
                 gr_tensor_rows(dw, i * TILE, columns));
        if (gr_tensor_present(db)) {
            add_column_sums(tile, (float *)db.data + i * TILE);
        }
    }
}
