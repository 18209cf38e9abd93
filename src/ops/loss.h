#ifndef SRC_OPS_LOSS_H
#define SRC_OPS_LOSS_H

/// Next-token cross-entropy fused with the output projection, in chunks of rows: a T x V matrix
/// never exists. One call gives the loss and, if wanted, its gradients, since the gradient of
/// a SUM of token losses needs nothing from other rows; the caller divides by the number of targets
/// of the whole global batch.

#include "src/ops/exec.h"

enum { GR_NO_TARGET = -100 }; ///< in place of a target: the position carries no loss

/// loss = sum over t with target[t] >= 0 of  log sum_v exp(z[t,v]) - z[t,target[t]],   z = h W^T.
/// h [T, C], w [V, C] (may be bf16 where the precision is), targets [T] int32 (GR_NO_TARGET: no loss; else 0 .. V-1). Rows without target cost nothing.
/// dh [T, C] overwritten (rows without target: 0), dw [V, C] +=; either may be none.
/// *loss gets the sum in double, added in row order.
typedef void gr_cross_entropy_fn(gr_exec *ex, gr_tensor h, gr_tensor w, gr_tensor targets,
                                 gr_tensor dh, gr_tensor dw, double *loss);

enum { GR_LOSS_CHUNK_ROWS = 256 };

#endif
