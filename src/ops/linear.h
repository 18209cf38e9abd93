#ifndef SRC_OPS_LINEAR_H
#define SRC_OPS_LINEAR_H

/// Linear layer: y = x W^T + b.  N rows, I inputs, O outputs.
/// Where the precision is bf16, all but b and the gradients of parameters may be bf16 too; dx only when it is overwritten.
/// Every result (y, dx, dw) is cut into tiles that its shape alone decides (work.h), each one
/// single-threaded BLAS call over the whole inner dimension, so threads do not change the bits.

#include "src/ops/exec.h"

/// y[n,o] = sum_i x[n,i] w[o,i] + b[o].   x [N, I], w [O, I], b [O] or none, y [N, O] overwritten.
typedef void gr_linear_fwd_fn(gr_exec *ex, gr_tensor x, gr_tensor w, gr_tensor b, gr_tensor y);

/// dx[n,i] = sum_o dy[n,o] w[o,i], added to dx when `accumulate`, else overwriting it.
typedef void gr_linear_bwd_input_fn(gr_exec *ex, gr_tensor dy, gr_tensor w, gr_tensor dx,
                                    bool accumulate);

/// dw[o,i] += sum_n dy[n,o] x[n,i];  db[o] += sum_n dy[n,o] (db none allowed; its sum is in double).
typedef void gr_linear_bwd_weight_fn(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor dw,
                                     gr_tensor db);

#endif
