#ifndef SRC_OPS_ELEMENTWISE_H
#define SRC_OPS_ELEMENTWISE_H

/// Operations on each element alone, and rotary positions. Rows may be strided. Activations take fp32 and bf16 views, mixed as they
/// come; what is between reading and writing is fp32.

#include "src/ops/exec.h"

/// y = x in bf16, nearest even.   x fp32 and y bf16, both [N] and contiguous, or both [N, C].
typedef void gr_round_fn(gr_exec *ex, gr_tensor x, gr_tensor y);

/// y += x.   Same shape.
typedef void gr_add_fn(gr_exec *ex, gr_tensor x, gr_tensor y);

/// y = silu(gate) * up,  silu(z) = z / (1 + exp(-z)).   gate, up, y [N, F]; y overwritten.
typedef void gr_swiglu_fwd_fn(gr_exec *ex, gr_tensor gate, gr_tensor up, gr_tensor y);
/// dgate = dy up silu'(gate), dup = dy silu(gate); both overwritten. dgate may be gate, dup may be up.
typedef void gr_swiglu_bwd_fn(gr_exec *ex, gr_tensor dy, gr_tensor gate, gr_tensor up,
                              gr_tensor dgate, gr_tensor dup);

/// y = x/2 (1 + erf(x / sqrt 2)), exact GELU.   y overwritten, may be x.
typedef void gr_gelu_fwd_fn(gr_exec *ex, gr_tensor x, gr_tensor y);
/// dx = dy (Phi(x) + x phi(x)); overwritten, may be dy.
typedef void gr_gelu_bwd_fn(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor dx);

/// y = x/2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), the usual approximation of GELU, computed as
/// x / (1 + exp(-2 u)), which is the same.   y overwritten, may be x.
typedef void gr_gelu_tanh_fwd_fn(gr_exec *ex, gr_tensor x, gr_tensor y);
/// Its derivative times dy; dx overwritten, may be dy.
typedef void gr_gelu_tanh_bwd_fn(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor dx);

/// x[n,c] *= s[n], s one number a row.   x [N, C], s [N]. Of a gradient with the same s: its own backward.
typedef void gr_rows_scale_fn(gr_exec *ex, gr_tensor s, gr_tensor x);

/// y = x + s z, s one number a channel.   x, z, y [N, C]; s [C]; y overwritten, may be x or z.
/// Source: Touvron et al. 2021 (LayerScale).
typedef void gr_layer_scale_fwd_fn(gr_exec *ex, gr_tensor x, gr_tensor s, gr_tensor z,
                                   gr_tensor y);
/// dz = s dy, overwritten (the gradient of x is dy itself);  ds[c] += sum_n dy z.
/// ds none: not computed, and z is not read.
typedef void gr_layer_scale_bwd_fn(gr_exec *ex, gr_tensor dy, gr_tensor s, gr_tensor z,
                                   gr_tensor dz, gr_tensor ds);

/// Rotary positions, half rotation, in place on x [T, H, D] (D even):
/// a_j = position[t] theta^(-2j/D) in fp32, j < D/2;  x1' = x1 cos a - x2 sin a, x2' = x2 cos a + x1 sin a,
/// with (x1, x2) = (x[j], x[j + D/2]).   positions [T] int32.
/// Source: Su et al. 2021, in the half-split form of transformers' Qwen2.
typedef void gr_rope_fwd_fn(gr_exec *ex, gr_tensor x, gr_tensor positions, double theta);
/// The inverse rotation of the gradient, in place.
typedef void gr_rope_bwd_fn(gr_exec *ex, gr_tensor dx, gr_tensor positions, double theta);

#endif
