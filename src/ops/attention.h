#ifndef SRC_OPS_ATTENTION_H
#define SRC_OPS_ATTENTION_H

/// Softmax attention over packed sequences, in tiles of query rows: no T x T matrix, forward or
/// backward. Each sequence attends to itself only.
/// T tokens, H query heads, G key/value heads (G divides H; head h reads key head h / (H/G)),
/// D head size. q [T, H, D], k and v [T, G, D]; rows may be strided (blocks of one packed qkv).
/// Where the precision is bf16, q, k, v, out and dout may be bf16; lse and the gradients that are written are fp32.
/// cu_seqlens [S + 1] int32: sequence s owns rows cu[s] .. cu[s+1]-1; cu[0] = 0, cu[S] = T.
/// Continuing one sequence (forward only, causal, S = 1): k and v may have U > T rows, of which the queries
/// are the last T: query t stands where key U - T + t does.
/// Sources: Vaswani et al. 2017; Dao et al. 2022 (log-sum-exp kept, scores recomputed in backward).

#include "src/ops/exec.h"

enum { GR_ATTENTION_TILE_ROWS = 64 };

/// out[t,h] = sum_u softmax_u(scale q[t,h].k[u,g]) v[u,g], u over the sequence of t, and u <= t when `causal`.
/// out [T, H, D] overwritten; lse [T, H] = log sum exp of the scaled scores, kept for backward.
typedef void gr_attention_fwd_fn(gr_exec *ex, gr_tensor q, gr_tensor k, gr_tensor v,
                                 gr_tensor cu_seqlens, bool causal, double scale, gr_tensor out,
                                 gr_tensor lse);

/// dq, dk, dv overwritten (strided like q, k, v). With P the softmax and delta[t,h] = dout.out:
/// dv = P^T dout, dS = P (dout v^T - delta), dq = scale dS k, dk = scale dS^T q; groups are summed
/// over their query heads in head order. In bf16 delta is summed as P (dout v^T), which is the same but for rounding.
typedef void gr_attention_bwd_fn(gr_exec *ex, gr_tensor dout, gr_tensor q, gr_tensor k,
                                 gr_tensor v, gr_tensor out, gr_tensor lse,
                                 gr_tensor cu_seqlens, bool causal, double scale, gr_tensor dq,
                                 gr_tensor dk, gr_tensor dv);

#endif
