#ifndef SRC_OPS_WORK_H
#define SRC_OPS_WORK_H

/// What the CPU operations share: checks of views, tiles, and the matrix product on views.

#include "src/base/cpu.h"
#include "src/ops/ops.h"
#include "src/ops/rows.h"
#include "src/ops/tally.h"

/// fp32 of exactly this shape.
bool gri_is_1d(gr_tensor t, int64_t n0);
bool gri_is_2d(gr_tensor t, int64_t n0, int64_t n1);
bool gri_is_3d(gr_tensor t, int64_t n0, int64_t n1, int64_t n2);
/// The same, fp32 or bf16: what is read and written through gri_read and gri_place.
bool gri_fits_2d(gr_tensor t, int64_t n0, int64_t n1);
bool gri_fits_3d(gr_tensor t, int64_t n0, int64_t n1, int64_t n2);
/// Both fp32 and of one shape; strides may differ.
bool gri_same(gr_tensor a, gr_tensor b);
/// The same, each fp32 or bf16.
bool gri_alike(gr_tensor a, gr_tensor b);
/// The numbers of a contiguous int32 vector of n; GR_ASSERTs that it is one.
const int32_t *gri_i32(gr_tensor t, int64_t n);

/// Any fp32 view as [first dimension, all the others].
gr_tensor gri_flat(gr_tensor t);

/// bf16 is a way to store rows: what is computed with them is fp32. An operation on rows reads them by gri_read, writes where
/// gri_place says, and then calls gri_wrote; fp32 rows are read and written where they lie.
/// n numbers of row i from element `from` on: in place, or converted into `room`.
const float *gri_read(const gr_exec *ex, gr_tensor t, int64_t i, int64_t from, int64_t n,
                      float *room);
/// Where such numbers are written: their own place, or `room`.
float *gri_place(gr_tensor t, int64_t i, int64_t from, float *room);
/// They are written: rounds them from `room` into their place if that is bf16.
void gri_wrote(const gr_exec *ex, gr_tensor t, int64_t i, int64_t from, int64_t n,
               const float *room);
/// Numbers that operations on each element alone take at a time, so that room for them lies on the stack.
enum { GRI_PIECE = 1024 };

/// Number of tiles of `size` that cover n, and how many of n tile i holds.
static inline int64_t gri_tiles(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}
static inline int64_t gri_tile_length(int64_t n, int64_t size, int64_t i)
{
    return n - i * size < size ? n - i * size : size;
}

/// How many of n pieces of work an operation does: none where the context only counts. Every loop that looks at numbers goes up to this.
static inline int64_t gri_each(const gr_exec *ex, int64_t n)
{
    return ex->counts ? 0 : n;
}
/// Each operation says at its entry how much it is asked for (tally.h): so many rows or pairs of one width.
static inline void gri_begin(const gr_exec *ex, const char *op, int64_t width0, int64_t width1,
                             double amount, double flops)
{
    if (ex->tally) {
        gr_tally_begin(ex->tally, op, width0, width1, amount, flops);
    }
}
static inline void gri_begin_rows(const gr_exec *ex, const char *op, int64_t rows,
                                  int64_t columns)
{
    gri_begin(ex, op, columns, 0, (double)rows, 0);
}

/// The cut of a product's result into tiles for threads, by its shape alone. Wanted are GRI_TILES_WANTED tiles or more of
/// nearly one size, as many threads as a rank can use. Larger tiles copy less of the factors: up to GRI_TILE_SIDE a side
/// they are as fast as the whole, and below GRI_TILE_LEAST numbers they lose more than threads gain
/// (docs/measurements.md).
enum { GRI_TILE_SIDE = 512, GRI_TILE_LEAST = 192 * 128, GRI_TILES_WANTED = 16 };

typedef struct gri_tiling {
    int64_t rows, columns;           ///< of the result
    int64_t tile_rows, tile_columns; ///< of a tile; the last of a row or column may be smaller
    int64_t across, count;           ///< tiles side by side, and all of them
} gri_tiling;

/// One tile: its place and its size.
typedef struct gri_tile {
    int64_t row, rows, column, columns;
} gri_tile;

gri_tiling gri_tiling_of(int64_t rows, int64_t columns);
/// Tile i, 0 .. count - 1, row by row.
gri_tile gri_tile_at(const gri_tiling *tiling, int64_t i);
/// The tile of a matrix.
gr_tensor gri_tile_part(gr_tensor t, gri_tile at);

typedef enum gri_op { GRI_PLAIN, GRI_TRANSPOSED } gri_op;

/// Whether products can read the view: fp32, bf16 where the precision is (gr_exec_set_precision has seen that it
/// runs), or none.
bool gri_is_factor(const gr_exec *ex, gr_tensor t);
/// What products read of a view: the view itself, or, in bf16 and when it is fp32, a rounded contiguous copy in
/// ex->scratch. None stays none. GR_ASSERTs gri_is_factor; an operation calls it at its entry, for each factor.
gr_tensor gri_operand(gr_exec *ex, gr_tensor t);
/// The same for a 2-d tile inside a parallel loop; `room` is for as many bf16 numbers.
gr_tensor gri_operand_tile(const gr_exec *ex, gr_tensor t, void *room);

/// c = alpha op(a) op(b) + beta c, one single-threaded call on 2-d views: of the BLAS, or of oneDNN when a and b are
/// bf16 (then beta is 0 or 1). c is fp32.
void gri_gemm(float alpha, gr_tensor a, gri_op op_a, gr_tensor b, gri_op op_b, float beta,
              gr_tensor c);

/// Products write fp32. Where that goes when it shall end in the 2-d view c: c itself, or `room` when c is bf16, from where gri_keep
/// rounds it into c.
gr_tensor gri_result(gr_tensor c, float *room);
void gri_keep(const gr_exec *ex, gr_tensor result, gr_tensor c);

/// gr_blas_better_kernel as a function of what it depends on; `user` is OPENBLAS_CORETYPE.
const char *gri_blas_advice(const gr_cpu *cpu, const char *core, const char *user);

#endif
