#ifndef SRC_OPS_REARRANGE_H
#define SRC_OPS_REARRANGE_H

/// Copies that only change the order of numbers, or look each up.

#include "src/ops/exec.h"

/// Images to patch rows: y[(b * g + r) * h + c] = the patch of row r, column c, its K = channels p p values in
/// the order channel, row, column.   g = floor(S / p), h = floor(W / p): pixels beyond the last whole patch are not
/// used; y [B g h, K].   pixels: fp32 [B, channels, S, W] with `table` NULL, or bytes (U8) [B, S, W, channels], of which
/// byte v of channel k has the value table[k][v].
typedef void gr_patchify_fn(gr_exec *ex, gr_tensor pixels, const float (*table)[256],
                            int64_t patch, gr_tensor y);

/// Space to depth, ratio 1/2: y[b][r, c][(2 dr + dc) C + k] = x[b][2r + dr, 2c + dc][k].
/// x [B, g, h, C], g and h even; y [B, g h / 4, 4 C]: out tokens row by row, or column by column when
/// `by_column` (InternVL's "ps_version v1").
typedef void gr_pixel_shuffle_fwd_fn(gr_exec *ex, gr_tensor x, bool by_column, gr_tensor y);
/// The inverse copy: dx overwritten from dy.
typedef void gr_pixel_shuffle_bwd_fn(gr_exec *ex, gr_tensor dy, bool by_column, gr_tensor dx);

/// y = x.   x, y [M, C], each fp32 or bf16 (nearest even). Of a gradient from y to x: its own backward.
typedef void gr_rows_copy_fn(gr_exec *ex, gr_tensor x, gr_tensor y);
/// y[rows[m]] = x[m].   x [M, C], rows [M] int32, each row at most once; other rows of y stay. x and y are fp32 or
/// bf16, each its own.
typedef void gr_rows_scatter_fn(gr_exec *ex, gr_tensor x, gr_tensor rows, gr_tensor y);
/// y[m] = x[rows[m]].   x [T, C], y [M, C] overwritten.
typedef void gr_rows_gather_fn(gr_exec *ex, gr_tensor x, gr_tensor rows, gr_tensor y);

#endif
