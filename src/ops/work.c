#include "src/base/activity.h"
#include "src/ops/onednn.h"

#include <cblas.h>
#include <limits.h>

static bool is_f32(gr_tensor t, int ndim)
{
    return t.dtype == GR_DTYPE_F32 && t.ndim == ndim &&
           (gr_tensor_present(t) || gr_tensor_count(t) == 0);
}

static bool is_number(gr_tensor t, int ndim)
{
    bool rounded = t.dtype == GR_DTYPE_BF16 && t.ndim == ndim &&
                   (gr_tensor_present(t) || gr_tensor_count(t) == 0);
    return rounded || is_f32(t, ndim);
}

bool gri_is_1d(gr_tensor t, int64_t n0)
{
    return is_f32(t, 1) && t.shape[0] == n0 && gr_tensor_contiguous(t);
}

bool gri_is_2d(gr_tensor t, int64_t n0, int64_t n1)
{
    return is_f32(t, 2) && t.shape[0] == n0 && t.shape[1] == n1;
}

bool gri_is_3d(gr_tensor t, int64_t n0, int64_t n1, int64_t n2)
{
    return is_f32(t, 3) && t.shape[0] == n0 && t.shape[1] == n1 && t.shape[2] == n2;
}

bool gri_fits_2d(gr_tensor t, int64_t n0, int64_t n1)
{
    return is_number(t, 2) && t.shape[0] == n0 && t.shape[1] == n1;
}

bool gri_fits_3d(gr_tensor t, int64_t n0, int64_t n1, int64_t n2)
{
    return is_number(t, 3) && t.shape[0] == n0 && t.shape[1] == n1 && t.shape[2] == n2;
}

static bool one_shape(gr_tensor a, gr_tensor b)
{
    bool same = a.ndim == b.ndim;
    for (int i = 0; i < a.ndim; i++) {
        same = same && a.shape[i] == b.shape[i];
    }
    return same;
}

bool gri_same(gr_tensor a, gr_tensor b)
{
    return is_f32(a, a.ndim) && is_f32(b, a.ndim) && one_shape(a, b);
}

bool gri_alike(gr_tensor a, gr_tensor b)
{
    return is_number(a, a.ndim) && is_number(b, a.ndim) && one_shape(a, b);
}

const int32_t *gri_i32(gr_tensor t, int64_t n)
{
    GR_ASSERT(t.dtype == GR_DTYPE_I32 && t.ndim == 1 && t.shape[0] == n);
    GR_ASSERT(gr_tensor_contiguous(t) && (gr_tensor_present(t) || n == 0));
    return t.data;
}

gr_tensor gri_flat(gr_tensor t)
{
    gr_tensor flat = t;
    flat.ndim = 2;
    flat.shape[1] = gr_tensor_row(t);
    flat.shape[2] = flat.shape[3] = 1;
    return flat;
}

/// Length of each of `parts` nearly equal parts of n, in whole vectors of the BLAS's kernels.
static int64_t part_length(int64_t n, int64_t parts)
{
    enum { VECTOR = 16 };
    return gri_tiles(gri_tiles(n, parts), VECTOR) * VECTOR;
}

gri_tiling gri_tiling_of(int64_t rows, int64_t columns)
{
    int64_t down = gri_tiles(rows, GRI_TILE_SIDE), across = gri_tiles(columns, GRI_TILE_SIDE);
    while (down * across > 0 && down * across < GRI_TILES_WANTED &&
           (rows / down) * (columns / across) >= 2 * (int64_t)GRI_TILE_LEAST) {
        *(rows / down >= columns / across ? &down : &across) *= 2;
    }
    gri_tiling t = {.rows = rows, .columns = columns};
    if (down * across > 0) {
        t.tile_rows = part_length(rows, down);
        t.tile_columns = part_length(columns, across);
        t.across = gri_tiles(columns, t.tile_columns);
        t.count = gri_tiles(rows, t.tile_rows) * t.across;
    }
    return t;
}

gri_tile gri_tile_at(const gri_tiling *t, int64_t i)
{
    int64_t down = i / t->across, across = i % t->across;
    return (gri_tile){.row = down * t->tile_rows,
                      .rows = gri_tile_length(t->rows, t->tile_rows, down),
                      .column = across * t->tile_columns,
                      .columns = gri_tile_length(t->columns, t->tile_columns, across)};
}

gr_tensor gri_tile_part(gr_tensor t, gri_tile at)
{
    return gr_tensor_columns(gr_tensor_rows(t, at.row, at.rows), at.column, at.columns);
}

static uint16_t *bf16_at(gr_tensor t, int64_t i, int64_t from)
{
    return (uint16_t *)t.data + i * t.row_stride + from;
}

const float *gri_read(const gr_exec *ex, gr_tensor t, int64_t i, int64_t from, int64_t n,
                      float *room)
{
    if (t.dtype == GR_DTYPE_F32) {
        return gr_tensor_f32(t, i) + from;
    }
    ex->rows->from_bf16(n, bf16_at(t, i, from), room);
    return room;
}

float *gri_place(gr_tensor t, int64_t i, int64_t from, float *room)
{
    return t.dtype == GR_DTYPE_F32 ? gr_tensor_f32(t, i) + from : room;
}

void gri_wrote(const gr_exec *ex, gr_tensor t, int64_t i, int64_t from, int64_t n,
               const float *room)
{
    if (t.dtype == GR_DTYPE_BF16) {
        ex->rows->to_bf16(n, room, bf16_at(t, i, from));
    }
}

gr_tensor gri_result(gr_tensor c, float *room)
{
    return c.dtype == GR_DTYPE_BF16 ? gr_tensor_2d(room, c.shape[0], c.shape[1]) : c;
}

void gri_keep(const gr_exec *ex, gr_tensor result, gr_tensor c)
{
    for (int64_t i = 0; c.dtype == GR_DTYPE_BF16 && i < c.shape[0]; i++) {
        gri_wrote(ex, c, i, 0, c.shape[1], gr_tensor_f32(result, i));
    }
}

bool gri_is_factor(const gr_exec *ex, gr_tensor t)
{
    return !gr_tensor_present(t) || t.dtype == GR_DTYPE_F32 ||
           (t.dtype == GR_DTYPE_BF16 && ex->precision == GR_PRECISION_BF16);
}

gr_tensor gri_operand(gr_exec *ex, gr_tensor t)
{
    GR_ASSERT(gri_is_factor(ex, t));
    if (ex->precision == GR_PRECISION_FP32 || t.dtype == GR_DTYPE_BF16 ||
        !gr_tensor_present(t)) {
        return t;
    }
    int64_t bytes = gr_tensor_count(t) * (int64_t)sizeof(uint16_t);
    gr_tensor copy = gr_tensor_like(t, GR_DTYPE_BF16, gr_arena_take(ex->scratch, bytes));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, t.shape[0]); i++) {
        gri_wrote(ex, copy, i, 0, gr_tensor_row(t), gr_tensor_f32(t, i));
    }
    return copy;
}

gr_tensor gri_operand_tile(const gr_exec *ex, gr_tensor t, void *room)
{
    if (ex->precision == GR_PRECISION_FP32) {
        return t;
    }
    gr_tensor copy = gr_tensor_like(t, GR_DTYPE_BF16, room);
    for (int64_t i = 0; i < t.shape[0]; i++) {
        gri_wrote(ex, copy, i, 0, gr_tensor_row(t), gr_tensor_f32(t, i));
    }
    return copy;
}

static int narrow(int64_t n)
{
    GR_ASSERT(n >= 0 && n <= INT_MAX);
    return (int)n;
}

/// BLAS wants a leading dimension of at least the row length, also where it is never used.
static int leading(gr_tensor t)
{
    int64_t stride = t.row_stride > t.shape[1] ? t.row_stride : t.shape[1];
    return narrow(stride > 1 ? stride : 1);
}

static CBLAS_TRANSPOSE blas_op(gri_op op)
{
    return op == GRI_TRANSPOSED ? CblasTrans : CblasNoTrans;
}

void gri_gemm(float alpha, gr_tensor a, gri_op op_a, gr_tensor b, gri_op op_b, float beta,
              gr_tensor c)
{
    int64_t m = a.shape[op_a == GRI_TRANSPOSED ? 1 : 0];
    int64_t k = a.shape[op_a == GRI_TRANSPOSED ? 0 : 1];
    int64_t n = b.shape[op_b == GRI_TRANSPOSED ? 0 : 1];
    GR_ASSERT(b.shape[op_b == GRI_TRANSPOSED ? 1 : 0] == k);
    GR_ASSERT(gri_is_2d(c, m, n) && a.dtype == b.dtype);
    gr_activity_pulse();
    if (a.dtype == GR_DTYPE_BF16 && m > 0 && n > 0 && k > 0) {
        gri_onednn_gemm(alpha, a, op_a, b, op_b, beta, c);
    } else if (m > 0 && n > 0) {
        cblas_sgemm(CblasRowMajor, blas_op(op_a), blas_op(op_b), narrow(m), narrow(n),
                    narrow(k), alpha, a.data, leading(a), b.data, leading(b), beta, c.data,
                    leading(c));
    }
}
