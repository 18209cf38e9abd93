#include "src/base/elementary.h"
#include "src/ops/attention_inside.h"

#include <omp.h>

/// Softmax of row i of the scores, not yet divided by its sum; what a key after the row's own
/// token got is cleared. Returns 1 / sum and the log-sum-exp.
static float softmax_row(const gr_rows *rows, gr_tensor scores, int64_t i, int64_t keys,
                         float *lse)
{
    float *row = gr_tensor_f32(scores, i);
    double sum = 0;
    float max = rows->softmax(keys, row, &sum);
    for (int64_t u = keys; u < scores.shape[1]; u++) {
        row[u] = 0;
    }
    *lse = (float)((double)max + gr_log(sum));
    return (float)(1 / sum);
}

/// One tile of queries of one head against the keys of its sequence.
static void forward_tile(const gri_attention *a, gri_query_tile tile, int64_t head,
                         float *scratch, gr_tensor out, gr_tensor lse)
{
    gr_tensor q = gri_attention_rows(a->q, tile.row, tile.rows, head);
    gr_tensor k = gri_attention_rows(a->k, tile.first, tile.keys, gri_attention_kv(a, head));
    gr_tensor v = gri_attention_rows(a->v, tile.first, tile.keys, gri_attention_kv(a, head));
    gr_tensor ends = gri_attention_rows(out, tile.row, tile.rows, head);
    gr_tensor scores = gr_tensor_2d(scratch, tile.rows, tile.keys);
    float *p_room = scratch + tile.rows * tile.keys;
    gr_tensor result = gri_result(ends, p_room + tile.rows * tile.keys);
    float inverse[GR_ATTENTION_TILE_ROWS];

    gri_gemm((float)a->scale, q, GRI_PLAIN, k, GRI_TRANSPOSED, 0, scores);
    for (int64_t i = 0; i < tile.rows; i++) {
        inverse[i] = softmax_row(a->ex->rows, scores, i, gri_attention_visible(a, tile, i),
                                 gr_tensor_f32(lse, tile.row + i) + head);
    }
    gr_tensor p = gri_operand_tile(a->ex, scores, p_room);
    gri_gemm(1, p, GRI_PLAIN, v, GRI_PLAIN, 0, result);
    for (int64_t i = 0; i < tile.rows; i++) {
        a->ex->rows->scale(a->head_size, gr_tensor_f32(result, i), inverse[i]);
    }
    gri_keep(a->ex, result, ends);
}

void gr_attention_fwd_cpu(gr_exec *ex, gr_tensor q, gr_tensor k, gr_tensor v,
                          gr_tensor cu_seqlens, bool causal, double scale, gr_tensor out,
                          gr_tensor lse)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_attention a =
        gri_attention_plan(ex, "attention_fwd", 2, q, k, v, cu_seqlens, causal, scale);
    GR_ASSERT(gri_fits_3d(out, a.tokens, a.heads, a.head_size));
    GR_ASSERT(gri_is_2d(lse, a.tokens, a.heads));
    // Scores, the same as bf16, and a result that ends in bf16.
    int64_t room = GR_ATTENTION_TILE_ROWS * (2 * a.longest + a.head_size);
    float *scratch = gr_arena_f32(ex->scratch, room * ex->threads);
    // Tiles late in a causal sequence cost more: threads take the next one when they are free.
#pragma omp parallel for num_threads(ex->threads) schedule(dynamic)
    for (int64_t i = 0; i < gri_each(ex, a.tiles * a.heads); i++) {
        forward_tile(&a, a.tile[i / a.heads], i % a.heads,
                     scratch + omp_get_thread_num() * room, out, lse);
    }
    gr_arena_reset(ex->scratch, mark);
}
