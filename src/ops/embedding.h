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

#endif
