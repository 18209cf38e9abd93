#include "src/ops/work.h"

void gr_linear_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor w, gr_tensor b, gr_tensor y)
{
    int64_t N = x.shape[0], I = x.shape[1], O = w.shape[0];
    GR_ASSERT(gri_is_2d(x, N, I) && gri_fits_2d(w, O, I) && gri_is_2d(y, N, O));
    GR_ASSERT(!gr_tensor_present(b) || gri_is_1d(b, O));
    int64_t mark = gr_arena_mark(ex->scratch);
    x = gri_operand(ex, x);
    w = gri_operand(ex, w);
    gri_tiling tiles = gri_tiling_of(N, O);
#pragma omp parallel for num_threads(ex->threads) schedule(dynamic)
    for (int64_t i = 0; i < tiles.count; i++) {
        gri_tile at = gri_tile_at(&tiles, i);
        gri_gemm(1, gr_tensor_rows(x, at.row, at.rows), GRI_PLAIN,
                 gr_tensor_rows(w, at.column, at.columns), GRI_TRANSPOSED, 0,
                 gri_tile_part(y, at));
        for (int64_t n = at.row; gr_tensor_present(b) && n < at.row + at.rows; n++) {
            ex->rows->add(at.columns, (const float *)b.data + at.column,
                          gr_tensor_f32(y, n) + at.column);
        }
    }
    gr_arena_reset(ex->scratch, mark);
}

void gr_linear_bwd_input_cpu(gr_exec *ex, gr_tensor dy, gr_tensor w, gr_tensor dx,
                             bool accumulate)
{
    int64_t N = dy.shape[0], I = w.shape[1], O = w.shape[0];
    GR_ASSERT(gri_is_2d(dy, N, O) && gri_fits_2d(w, O, I) && gri_is_2d(dx, N, I));
    int64_t mark = gr_arena_mark(ex->scratch);
    dy = gri_operand(ex, dy);
    w = gri_operand(ex, w);
    gri_tiling tiles = gri_tiling_of(N, I);
#pragma omp parallel for num_threads(ex->threads) schedule(dynamic)
    for (int64_t i = 0; i < tiles.count; i++) {
        gri_tile at = gri_tile_at(&tiles, i);
        gri_gemm(1, gr_tensor_rows(dy, at.row, at.rows), GRI_PLAIN,
                 gr_tensor_columns(w, at.column, at.columns), GRI_PLAIN, accumulate ? 1 : 0,
                 gri_tile_part(dx, at));
    }
    gr_arena_reset(ex->scratch, mark);
}

/// db[o] += sum of column o, at most GRI_TILE_SIDE columns.
static void add_column_sums(const gr_rows *rows, gr_tensor dy, float *db)
{
    double sum[GRI_TILE_SIDE] = {0};
    for (int64_t n = 0; n < dy.shape[0]; n++) {
        rows->add_to_sums(dy.shape[1], gr_tensor_f32(dy, n), sum);
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
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor left = gri_operand(ex, dy);
    x = gri_operand(ex, x);
    gri_tiling tiles = gri_tiling_of(O, I);
#pragma omp parallel for num_threads(ex->threads) schedule(dynamic)
    for (int64_t i = 0; i < tiles.count; i++) {
        gri_tile at = gri_tile_at(&tiles, i);
        gri_gemm(1, gr_tensor_columns(left, at.row, at.rows), GRI_TRANSPOSED,
                 gr_tensor_columns(x, at.column, at.columns), GRI_PLAIN, 1,
                 gri_tile_part(dw, at));
        if (gr_tensor_present(db) && at.column == 0) {
            add_column_sums(ex->rows, gr_tensor_columns(dy, at.row, at.rows),
                            (float *)db.data + at.row);
        }
    }
    gr_arena_reset(ex->scratch, mark);
}
