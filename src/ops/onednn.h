#ifndef SRC_OPS_ONEDNN_H
#define SRC_OPS_ONEDNN_H

/// Private to the room: products of bf16 matrices by oneDNN, where the program was built with it.

#include "src/ops/work.h"

/// GR_ERR_UNAVAILABLE, saying what is missing, unless bf16 products run here: oneDNN and a processor with
/// vdpbf16ps (without it oneDNN's are slower than fp32).
GR_MUST_CHECK gr_err gri_onednn_check(void);

/// c = alpha op(a) op(b) + beta c, in one thread; beta is 0 or 1. a and b bf16, c fp32; sums in fp32.
/// What is needed to call the library is kept per thread and shape.
void gri_onednn_gemm(float alpha, gr_tensor a, gri_op op_a, gr_tensor b, gri_op op_b,
                     float beta, gr_tensor c);

#endif
