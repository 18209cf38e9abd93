#include "src/ops/work.h"

#include <string.h>

/// Columns that one thread adds at a time in embedding_bwd.
enum { COLUMNS = 128 };

void gr_embedding_fwd_cpu(gr_exec *ex, gr_tensor table, gr_tensor ids, gr_tensor y)
{
    int64_t T = y.shape[0], V = table.shape[0], C = table.shape[1];
    GR_ASSERT(gri_is_2d(table, V, C) && gri_is_2d(y, T, C));
    const int32_t *id = gri_i32(ids, T);
    gri_begin_rows(ex, "embedding_fwd", T, C);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < gri_each(ex, T); t++) {
        GR_ASSERT(id[t] >= -1 && id[t] < V);
        if (id[t] < 0) {
            memset(gr_tensor_f32(y, t), 0, (size_t)C * sizeof(float));
        } else {
            memcpy(gr_tensor_f32(y, t), gr_tensor_f32(table, id[t]), (size_t)C * sizeof(float));
        }
    }
}

void gr_embedding_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor ids, gr_tensor dtable)
{
    int64_t T = dy.shape[0], V = dtable.shape[0], C = dtable.shape[1];
    GR_ASSERT(gri_is_2d(dtable, V, C) && gri_is_2d(dy, T, C));
    const int32_t *id = gri_i32(ids, T);
    gri_begin_rows(ex, "embedding_bwd", T, C);
    // A token may come twice: threads share the columns, not the tokens.
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, gri_tiles(C, COLUMNS)); i++) {
        for (int64_t t = 0; t < T; t++) {
            GR_ASSERT(id[t] >= -1 && id[t] < V);
            if (id[t] >= 0) {
                ex->rows->add(gri_tile_length(C, COLUMNS, i),
                              gr_tensor_f32(dy, t) + i * COLUMNS,
                              gr_tensor_f32(dtable, id[t]) + i * COLUMNS);
            }
        }
    }
}

void gr_positions_fwd_cpu(gr_exec *ex, gr_tensor p, gr_tensor x)
{
    int64_t B = x.shape[0], N = x.shape[1], C = x.shape[2];
    GR_ASSERT(gri_is_2d(p, N, C) && gri_is_3d(x, B, N, C));
    gri_begin_rows(ex, "positions_fwd", B * N, C);
#pragma omp parallel for collapse(2) num_threads(ex->threads) schedule(static)
    for (int64_t b = 0; b < gri_each(ex, B); b++) {
        for (int64_t n = 0; n < N; n++) {
            ex->rows->add(C, gr_tensor_f32(p, n), gr_tensor_f32(x, b) + n * C);
        }
    }
}

void gr_positions_bwd_cpu(gr_exec *ex, gr_tensor dx, gr_tensor dp)
{
    int64_t B = dx.shape[0], N = dx.shape[1], C = dx.shape[2];
    GR_ASSERT(gri_is_2d(dp, N, C) && gri_is_3d(dx, B, N, C));
    gri_begin_rows(ex, "positions_bwd", B * N, C);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t n = 0; n < gri_each(ex, N); n++) {
        for (int64_t b = 0; b < B; b++) {
            ex->rows->add(C, gr_tensor_f32(dx, b) + n * C, gr_tensor_f32(dp, n));
        }
    }
}
