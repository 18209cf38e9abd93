#ifndef SRC_OPS_NORM_H
#define SRC_OPS_NORM_H

/// RMSNorm and LayerNorm over the last axis.  N rows, C channels. Sums are in double.
/// Sources: Zhang & Sennrich 2019 (RMSNorm); Ba et al. 2016 (LayerNorm).

#include "src/ops/exec.h"

/// r[n] = 1 / sqrt(mean_c x[n,c]^2 + eps);  y = w * (x r).
/// x [N, C], w [C], y [N, C] overwritten (may be x; may be bf16), r [N] kept for backward.
typedef void gr_rmsnorm_fwd_fn(gr_exec *ex, gr_tensor x, gr_tensor w, double eps, gr_tensor y,
                               gr_tensor r);

/// dx[n,c] (+)= r (w dy - xhat mean_c(w dy xhat)), xhat = x r;  dw[c] += sum_n dy xhat.
/// dx is added to when `accumulate`, else overwritten; dx none or dw none: not computed.
typedef void gr_rmsnorm_bwd_fn(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor w, gr_tensor r,
                               gr_tensor dx, bool accumulate, gr_tensor dw);

/// m = mean x, r = 1 / sqrt(var x + eps) (population variance);  y = w * (x - m) r + b.
/// m, r [N] kept for backward; y may be bf16.
typedef void gr_layernorm_fwd_fn(gr_exec *ex, gr_tensor x, gr_tensor w, gr_tensor b, double eps,
                                 gr_tensor y, gr_tensor m, gr_tensor r);

/// xhat = (x - m) r;  dx (+)= r (w dy - mean(w dy) - xhat mean(w dy xhat));
/// dw += sum_n dy xhat;  db += sum_n dy.  dx none, or dw and db none: not computed.
typedef void gr_layernorm_bwd_fn(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor w,
                                 gr_tensor m, gr_tensor r, gr_tensor dx, bool accumulate,
                                 gr_tensor dw, gr_tensor db);

/// RMSNorm of each head by itself, one weight for all heads:
/// r[t,h] = 1 / sqrt(mean_d x[t,h,d]^2 + eps);  y[t,h,d] = w[d] (x[t,h,d] r[t,h]).
/// x and y [T, H, D], rows may be strided, y overwritten; x may be bf16, here and in backward; w [D]; r [T, H] kept for backward.
/// H = 1 norms the full width of all heads (InternViT), H heads each its own (Qwen3).
typedef void gr_head_rmsnorm_fwd_fn(gr_exec *ex, gr_tensor x, gr_tensor w, double eps,
                                    gr_tensor y, gr_tensor r);
/// As rmsnorm_bwd over each head. dx overwritten, may be dy; dw none: not computed.
typedef void gr_head_rmsnorm_bwd_fn(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor w,
                                    gr_tensor r, gr_tensor dx, gr_tensor dw);

#endif
