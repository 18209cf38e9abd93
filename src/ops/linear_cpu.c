#include "src/ops/work.h"

#include <omp.h>

/// Room for a tile of y in each thread where y is bf16.
static float *take_rooms(gr_exec *ex, gr_tensor y, const gri_tiling *tiles)
{
    int64_t each = y.dtype == GR_DTYPE_BF16 ? tiles->tile_rows * tiles->tile_columns : 0;
    return gr_arena_f32(ex->scratch, each * ex->threads);
}

/// Where this thread's product goes that ends in y, a part of a matrix cut into `tiles`.
static gr_tensor result(gr_tensor y, const gri_tiling *tiles, float *rooms)
{
    int64_t each = tiles->tile_rows * tiles->tile_columns;
    return y.dtype == GR_DTYPE_BF16 ? gri_result(y, rooms + omp_get_thread_num() * each) : y;
}

static void begin(const gr_exec *ex, const char *op, int64_t N, int64_t I, int64_t O)
{
    gri_begin(ex, op, I, O, (double)N, 2.0 * (double)N * (double)I * (double)O);
}

void gr_linear_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor w, gr_tensor b, gr_tensor y)
{
    int64_t N = x.shape[0], I = x.shape[1], O = w.shape[0];
    GR_ASSERT(gri_fits_2d(x, N, I) && gri_fits_2d(w, O, I) && gri_fits_2d(y, N, O));
    GR_ASSERT(!gr_tensor_present(b) || gri_is_1d(b, O));
    begin(ex, "linear_fwd", N, I, O);
    int64_t mark = gr_arena_mark(ex->scratch);
    x = gri_operand(ex, x);
    w = gri_operand(ex, w);
    gri_tiling tiles = gri_tiling_of(N, O);
    float *rooms = take_rooms(ex, y, &tiles);
#pragma omp parallel for num_threads(ex->threads) schedule(dynamic)
    for (int64_t i = 0; i < gri_each(ex, tiles.count); i++) {
        gri_tile at = gri_tile_at(&tiles, i);
        gr_tensor ends = gri_tile_part(y, at), sums = result(ends, &tiles, rooms);
        gri_gemm(1, gr_tensor_rows(x, at.row, at.rows), GRI_PLAIN,
                 gr_tensor_rows(w, at.column, at.columns), GRI_TRANSPOSED, 0, sums);
        for (int64_t n = 0; gr_tensor_present(b) && n < at.rows; n++) {
            ex->rows->add(at.columns, (const float *)b.data + at.column,
                          gr_tensor_f32(sums, n));
        }
        gri_keep(ex, sums, ends);
    }
    gr_arena_reset(ex->scratch, mark);
}

void gr_linear_bwd_input_cpu(gr_exec *ex, gr_tensor dy, gr_tensor w, gr_tensor dx,
                             bool accumulate)
{
    int64_t N = dy.shape[0], I = w.shape[1], O = w.shape[0];
    GR_ASSERT(gri_fits_2d(dy, N, O) && gri_fits_2d(w, O, I));
    GR_ASSERT(gri_is_2d(dx, N, I) || (!accumulate && gri_fits_2d(dx, N, I)));
    begin(ex, "linear_bwd_input", N, I, O);
    int64_t mark = gr_arena_mark(ex->scratch);
    dy = gri_operand(ex, dy);
    w = gri_operand(ex, w);
    gri_tiling tiles = gri_tiling_of(N, I);
    float *rooms = take_rooms(ex, dx, &tiles);
#pragma omp parallel for num_threads(ex->threads) schedule(dynamic)
    for (int64_t i = 0; i < gri_each(ex, tiles.count); i++) {
        gri_tile at = gri_tile_at(&tiles, i);
        gr_tensor ends = gri_tile_part(dx, at), sums = result(ends, &tiles, rooms);
        gri_gemm(1, gr_tensor_rows(dy, at.row, at.rows), GRI_PLAIN,
                 gr_tensor_columns(w, at.column, at.columns), GRI_PLAIN, accumulate ? 1 : 0,
                 sums);
        gri_keep(ex, sums, ends);
    }
    gr_arena_reset(ex->scratch, mark);
}

/// db[o] += sum of column o, at most GRI_TILE_SIDE columns.
static void add_column_sums(const gr_exec *ex, gr_tensor dy, float *db)
{
    double sum[GRI_TILE_SIDE] = {0};
    float room[GRI_TILE_SIDE];
    for (int64_t n = 0; n < dy.shape[0]; n++) {
        ex->rows->add_to_sums(dy.shape[1], gri_read(ex, dy, n, 0, dy.shape[1], room), sum);
    }
    for (int64_t o = 0; o < dy.shape[1]; o++) {
        db[o] += (float)sum[o];
    }
}

void gr_linear_bwd_weight_cpu(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor dw,
                              gr_tensor db)
{
    int64_t N = dy.shape[0], I = x.shape[1], O = dy.shape[1];
    GR_ASSERT(gri_fits_2d(dy, N, O) && gri_fits_2d(x, N, I) && gri_is_2d(dw, O, I));
    GR_ASSERT(!gr_tensor_present(db) || gri_is_1d(db, O));
    begin(ex, "linear_bwd_weight", N, I, O);
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor left = gri_operand(ex, dy);
    x = gri_operand(ex, x);
    gri_tiling tiles = gri_tiling_of(O, I);
#pragma omp parallel for num_threads(ex->threads) schedule(dynamic)
    for (int64_t i = 0; i < gri_each(ex, tiles.count); i++) {
        gri_tile at = gri_tile_at(&tiles, i);
        gri_gemm(1, gr_tensor_columns(left, at.row, at.rows), GRI_TRANSPOSED,
                 gr_tensor_columns(x, at.column, at.columns), GRI_PLAIN, 1,
                 gri_tile_part(dw, at));
        if (gr_tensor_present(db) && at.column == 0) {
            add_column_sums(ex, gr_tensor_columns(dy, at.row, at.rows),
                            (float *)db.data + at.row);
        }
    }
    gr_arena_reset(ex->scratch, mark);
}
