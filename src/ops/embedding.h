#ifndef SRC_OPS_EMBEDDING_H
#define SRC_OPS_EMBEDDING_H

/// Token embeddings and learned positions.

#include "src/ops/exec.h"

/// y[t] = table[ids[t]], or zeros where ids[t] is -1 (a row that something else fills).
/// table [V, C], ids [T] int32 in -1 .. V-1, y [T, C] overwritten.
typedef void gr_embedding_fwd_fn(gr_exec *ex, gr_tensor table, gr_tensor ids, gr_tensor y);
/// dtable[ids[t]] += dy[t], in the order of t for each row; rows with id -1 are passed over.
typedef void gr_embedding_bwd_fn(gr_exec *ex, gr_tensor dy, gr_tensor ids, gr_tensor dtable);

/// x[b,n] += p[n].   x [B, N, C], p [N, C].
typedef void gr_positions_fwd_fn(gr_exec *ex, gr_tensor p, gr_tensor x);
/// dp[n] += sum_b dx[b,n], in the order of b.
typedef void gr_positions_bwd_fn(gr_exec *ex, gr_tensor dx, gr_tensor dp);

/// Bicubic resize of a table of positions to another grid, as PyTorch does it with align_corners false
/// and no antialiasing: source coordinate (d + 1/2) in/out - 1/2 in each axis, four taps with
/// A = -3/4, indices clamped to the border.   p [g, h, C], y [G, H, C] overwritten.
typedef void gr_resize_fwd_fn(gr_exec *ex, gr_tensor p, gr_tensor y);
/// dp += the transposed map of dy.
typedef void gr_resize_bwd_fn(gr_exec *ex, gr_tensor dy, gr_tensor dp);

/// Tokens in front of each image's: y[b,n] = prefix[n] for n < P, else x[b,n-P].
/// x [B, N, C], prefix [P, C] or none (zeros), y [B, P + N, C] overwritten; P = 0 is a copy.
typedef void gr_prepend_fwd_fn(gr_exec *ex, gr_tensor x, gr_tensor prefix, gr_tensor y);
/// dx[b,n] = dy[b,P+n], overwritten;  dprefix[n] += sum_b dy[b,n] in the order of b, none: not computed.
typedef void gr_prepend_bwd_fn(gr_exec *ex, gr_tensor dy, gr_tensor dx, gr_tensor dprefix);

#endif
