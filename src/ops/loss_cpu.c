#include "src/base/elementary.h"
#include "src/ops/work.h"

#include <string.h>

enum { CHUNK = GR_LOSS_CHUNK_ROWS };

/// The rows that have a target, in order; and how many.
static int64_t list_rows(const int32_t *target, int64_t T, int64_t V, int64_t *row)
{
    int64_t count = 0;
    for (int64_t t = 0; t < T; t++) {
        GR_ASSERT(target[t] < V);
        if (target[t] >= 0) {
            row[count++] = t;
        }
    }
    return count;
}

static void copy_row(gr_tensor from, int64_t i, gr_tensor to, int64_t j)
{
    memcpy(gr_tensor_f32(to, j), gr_tensor_f32(from, i), (size_t)from.shape[1] * sizeof(float));
}

static void gather(gr_exec *ex, gr_tensor h, const int64_t *row, gr_tensor chunk)
{
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, chunk.shape[0]); i++) {
        copy_row(h, row[i], chunk, i);
    }
}

/// z = h W^T.
static void logits(gr_exec *ex, gr_tensor h, gr_tensor w, gr_tensor z)
{
    gri_tiling tiles = gri_tiling_of(h.shape[0], w.shape[0]);
#pragma omp parallel for num_threads(ex->threads) schedule(dynamic)
    for (int64_t i = 0; i < gri_each(ex, tiles.count); i++) {
        gri_tile at = gri_tile_at(&tiles, i);
        gri_gemm(1, gr_tensor_rows(h, at.row, at.rows), GRI_PLAIN,
                 gr_tensor_rows(w, at.column, at.columns), GRI_TRANSPOSED, 0,
                 gri_tile_part(z, at));
    }
}

/// Loss of one row; z becomes its gradient, softmax(z) - onehot(target).
static double loss_row(const gr_rows *rows, int64_t n, float *z, int32_t target)
{
    double hit = (double)z[target], sum = 0;
    float max = rows->softmax(n, z, &sum);
    rows->scale(n, z, (float)(1 / sum));
    z[target] -= 1;
    return (double)max + gr_log(sum) - hit;
}

static double loss_chunk(gr_exec *ex, gr_tensor z, const int32_t *target, const int64_t *row)
{
    double loss[CHUNK], sum = 0;
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, z.shape[0]); i++) {
        loss[i] = loss_row(ex->rows, z.shape[1], gr_tensor_f32(z, i), target[row[i]]);
    }
    for (int64_t i = 0; i < gri_each(ex, z.shape[0]); i++) {
        sum += loss[i];
    }
    return sum;
}

/// dh[row] = dz W, through the contiguous `chunk`.
static void input_gradient(gr_exec *ex, gr_tensor dz, gr_tensor w, const int64_t *row,
                           gr_tensor chunk, gr_tensor dh)
{
    gri_tiling tiles = gri_tiling_of(dz.shape[0], w.shape[1]);
#pragma omp parallel for num_threads(ex->threads) schedule(dynamic)
    for (int64_t i = 0; i < gri_each(ex, tiles.count); i++) {
        gri_tile at = gri_tile_at(&tiles, i);
        gri_gemm(1, gr_tensor_rows(dz, at.row, at.rows), GRI_PLAIN,
                 gr_tensor_columns(w, at.column, at.columns), GRI_PLAIN, 0,
                 gri_tile_part(chunk, at));
    }
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, dz.shape[0]); i++) {
        copy_row(chunk, i, dh, row[i]);
    }
}

/// dw += dz^T h.
static void weight_gradient(gr_exec *ex, gr_tensor dz, gr_tensor h, gr_tensor dw)
{
    gri_tiling tiles = gri_tiling_of(dw.shape[0], dw.shape[1]);
#pragma omp parallel for num_threads(ex->threads) schedule(dynamic)
    for (int64_t i = 0; i < gri_each(ex, tiles.count); i++) {
        gri_tile at = gri_tile_at(&tiles, i);
        gri_gemm(1, gr_tensor_columns(dz, at.row, at.rows), GRI_TRANSPOSED,
                 gr_tensor_columns(h, at.column, at.columns), GRI_PLAIN, 1,
                 gri_tile_part(dw, at));
    }
}

static void clear(gr_exec *ex, gr_tensor t)
{
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, t.shape[0]); i++) {
        memset(gr_tensor_f32(t, i), 0, (size_t)t.shape[1] * sizeof(float));
    }
}

void gr_cross_entropy_cpu(gr_exec *ex, gr_tensor h, gr_tensor w, gr_tensor targets,
                          gr_tensor dh, gr_tensor dw, double *loss)
{
    int64_t T = h.shape[0], C = h.shape[1], V = w.shape[0];
    GR_ASSERT(gri_is_2d(h, T, C) && gri_fits_2d(w, V, C));
    GR_ASSERT(!gr_tensor_present(dh) || gri_is_2d(dh, T, C));
    GR_ASSERT(!gr_tensor_present(dw) || gri_is_2d(dw, V, C));
    const int32_t *target = gri_i32(targets, T);
    int64_t mark = gr_arena_mark(ex->scratch);
    int64_t *row = gr_arena_take(ex->scratch, T * (int64_t)sizeof(int64_t));
    int64_t rows = list_rows(target, T, V, row);
    int64_t room = rows < CHUNK ? rows : CHUNK;
    gr_tensor chunk_h = gr_tensor_2d(gr_arena_f32(ex->scratch, room * C), room, C);
    gr_tensor chunk_z = gr_tensor_2d(gr_arena_f32(ex->scratch, room * V), room, V);
    w = gri_operand(ex, w);
    const int products = 1 + gr_tensor_present(dh) + gr_tensor_present(dw);
    const double words = (double)rows * (double)V;
    gri_begin(ex, "cross_entropy", C, products, words, 2.0 * products * words * (double)C);
    bool wanted = gr_tensor_present(dh) || gr_tensor_present(dw);
    *loss = 0;
    if (gr_tensor_present(dh)) {
        clear(ex, dh);
    }
    for (int64_t i = 0; i < gri_tiles(rows, CHUNK); i++) {
        int64_t length = gri_tile_length(rows, CHUNK, i);
        const int64_t *chunk_row = row + i * CHUNK;
        gr_tensor x = gr_tensor_rows(chunk_h, 0, length);
        gr_tensor z = gr_tensor_rows(chunk_z, 0, length);
        gather(ex, h, chunk_row, x);
        int64_t chunk_mark = gr_arena_mark(ex->scratch);
        gr_tensor x_operand = gri_operand(ex, x);
        logits(ex, x_operand, w, z);
        *loss += loss_chunk(ex, z, target, chunk_row);
        gr_tensor dz = wanted ? gri_operand(ex, z) : z;
        if (gr_tensor_present(dw)) {
            weight_gradient(ex, dz, x_operand, dw);
        }
        if (gr_tensor_present(dh)) {
            input_gradient(ex, dz, w, chunk_row, x, dh); // x is no longer needed
        }
        gr_arena_reset(ex->scratch, chunk_mark);
    }
    gr_arena_reset(ex->scratch, mark);
}
