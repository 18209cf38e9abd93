#ifndef SRC_OPS_WORK_H
#define SRC_OPS_WORK_H

/// What the CPU operations share: checks of views, tiles, and the matrix product on views.

#include "src/base/cpu.h"
#include "src/ops/ops.h"
#include "src/ops/rows.h"

/// fp32 of exactly this shape.
bool gri_is_1d(gr_tensor t, int64_t n0);
bool gri_is_2d(gr_tensor t, int64_t n0, int64_t n1);
bool gri_is_3d(gr_tensor t, int64_t n0, int64_t n1, int64_t n2);
/// Both fp32 and of one shape; strides may differ.
bool gri_same(gr_tensor a, gr_tensor b);
/// The numbers of a contiguous int32 vector of n; GR_ASSERTs that it is one.
const int32_t *gri_i32(gr_tensor t, int64_t n);

/// Any fp32 view as [first dimension, all the others].
gr_tensor gri_flat(gr_tensor t);

/// Number of tiles of `size` that cover n, and how many of n tile i holds.
static inline int64_t gri_tiles(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}
static inline int64_t gri_tile_length(int64_t n, int64_t size, int64_t i)
{
    return n - i * size < size ? n - i * size : size;
}

typedef enum gri_op { GRI_PLAIN, GRI_TRANSPOSED } gri_op;

/// What products read of an fp32 view: the view itself, or in bf16 a contiguous copy of the same shape in
/// ex->scratch. None stays none.
gr_tensor gri_operand(gr_exec *ex, gr_tensor t);
/// The same for a 2-d tile inside a parallel loop; `room` is for as many bf16 numbers.
gr_tensor gri_operand_tile(const gr_exec *ex, gr_tensor t, void *room);

/// c = alpha op(a) op(b) + beta c, one single-threaded call on 2-d views: of the BLAS, or of oneDNN when a and b are
/// bf16 (then beta is 0 or 1). c is fp32.
void gri_gemm(float alpha, gr_tensor a, gri_op op_a, gr_tensor b, gri_op op_b, float beta,
              gr_tensor c);

/// gr_blas_better_kernel as a function of what it depends on; `user` is OPENBLAS_CORETYPE.
const char *gri_blas_advice(const gr_cpu *cpu, const char *core, const char *user);

#endif
