#include "src/ops/attention_inside.h"

#include <omp.h>
#include <string.h>

/// Query heads that share a key/value head each make their own dk and dv, in parallel; these are
/// then added in head order. Where every head has its own, dk and dv are written at once.
typedef struct attention_bwd {
    gr_tensor dout, out, lse;
    gr_tensor dout_operand; ///< as products read it
    gr_tensor dq;
    gr_tensor dk, dv; ///< [T, H, D]: the caller's own (H = G), or one part per query head
} attention_bwd;

static void clear_row(float *row, int64_t from, int64_t to)
{
    for (int64_t u = from; u < to; u++) {
        row[u] = 0;
    }
}

/// P and dS of row i of a tile, in place of the scores and of dP. delta is dout.out, but not in bf16: there P and dP come
/// from rounded factors and dout.out does not, and a gradient that moves all scores alike (a bias of keys has none else) would
/// be nothing but that difference.
static void score_row(const gri_attention *a, const attention_bwd *b, gri_query_tile tile,
                      int64_t head, int64_t i, gr_tensor p, gr_tensor ds)
{
    const gr_rows *rows = a->ex->rows;
    int64_t keys = gri_attention_visible(a, tile, i), t = tile.row + i, D = a->head_size;
    float *p_row = gr_tensor_f32(p, i), *ds_row = gr_tensor_f32(ds, i);
    float lse = gr_tensor_f32(b->lse, t)[head];
    if (a->ex->precision == GR_PRECISION_BF16) {
        rows->score_gradient_summed(keys, p_row, ds_row, lse);
    } else {
        double delta = rows->dot(D, gr_tensor_f32(b->dout, t) + head * D,
                                 gr_tensor_f32(b->out, t) + head * D);
        rows->score_gradient(keys, p_row, ds_row, lse, (float)delta);
    }
    clear_row(p_row, keys, tile.keys);
    clear_row(ds_row, keys, tile.keys);
}

/// dq of the tile, and its share added to dk and dv of the head.
static void backward_tile(const gri_attention *a, const attention_bwd *b, gri_query_tile tile,
                          int64_t head, float *scratch)
{
    int64_t kv = gri_attention_kv(a, head);
    gr_tensor q = gri_attention_rows(a->q, tile.row, tile.rows, head);
    gr_tensor k = gri_attention_rows(a->k, tile.first, tile.keys, kv);
    gr_tensor v = gri_attention_rows(a->v, tile.first, tile.keys, kv);
    gr_tensor dout = gri_attention_rows(b->dout_operand, tile.row, tile.rows, head);
    gr_tensor p = gr_tensor_2d(scratch, tile.rows, tile.keys);
    gr_tensor ds = gr_tensor_2d(scratch + tile.rows * tile.keys, tile.rows, tile.keys);
    float scale = (float)a->scale;

    gri_gemm(scale, q, GRI_PLAIN, k, GRI_TRANSPOSED, 0, p);
    gri_gemm(1, dout, GRI_PLAIN, v, GRI_TRANSPOSED, 0, ds);
    for (int64_t i = 0; i < tile.rows; i++) {
        score_row(a, b, tile, head, i, p, ds);
    }
    float *room = scratch + 2 * tile.rows * tile.keys;
    p = gri_operand_tile(a->ex, p, room);
    ds = gri_operand_tile(a->ex, ds, room + tile.rows * tile.keys);
    gri_gemm(scale, ds, GRI_PLAIN, k, GRI_PLAIN, 0,
             gri_attention_rows(b->dq, tile.row, tile.rows, head));
    gri_gemm(scale, ds, GRI_TRANSPOSED, q, GRI_PLAIN, 1,
             gri_attention_rows(b->dk, tile.first, tile.keys, head));
    gri_gemm(1, p, GRI_TRANSPOSED, dout, GRI_PLAIN, 1,
             gri_attention_rows(b->dv, tile.first, tile.keys, head));
}

static void clear_head(gr_tensor t, int64_t from, int64_t rows, int64_t head)
{
    gr_tensor part = gri_attention_rows(t, from, rows, head);
    for (int64_t i = 0; i < rows; i++) {
        clear_row(gr_tensor_f32(part, i), 0, part.shape[1]);
    }
}

/// One sequence of one query head, tiles in order: nobody else writes to its dk and dv.
static void backward_head(const gri_attention *a, const attention_bwd *b, int64_t sequence,
                          int64_t head, float *scratch)
{
    int64_t begin = sequence > 0 ? a->sequence_end[sequence - 1] : 0;
    int64_t end = a->sequence_end[sequence];
    for (int64_t i = begin; i < end; i++) {
        clear_head(b->dk, a->tile[i].row, a->tile[i].rows, head);
        clear_head(b->dv, a->tile[i].row, a->tile[i].rows, head);
    }
    for (int64_t i = begin; i < end; i++) {
        backward_tile(a, b, a->tile[i], head, scratch);
    }
}

/// to[t,g] = sum over the query heads of g, in order, of parts[t,h].
static void sum_groups(gr_exec *ex, gr_tensor parts, gr_tensor to)
{
    int64_t H = parts.shape[1], G = to.shape[1], D = to.shape[2];
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < gri_each(ex, to.shape[0]); t++) {
        float *row = gr_tensor_f32(to, t);
        clear_row(row, 0, G * D);
        for (int64_t h = 0; h < H; h++) {
            const float *part = gr_tensor_f32(parts, t) + h * D;
            float *sum = row + h / (H / G) * D;
            ex->rows->add(D, part, sum);
        }
    }
}

static gr_tensor take_parts(gr_exec *ex, const gri_attention *a)
{
    float *data = gr_arena_f32(ex->scratch, a->tokens * a->heads * a->head_size);
    return gr_tensor_3d(data, a->tokens, a->heads, a->head_size);
}

void gr_attention_bwd_cpu(gr_exec *ex, gr_tensor dout, gr_tensor q, gr_tensor k, gr_tensor v,
                          gr_tensor out, gr_tensor lse, gr_tensor cu_seqlens, bool causal,
                          double scale, gr_tensor dq, gr_tensor dk, gr_tensor dv)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_attention a =
        gri_attention_plan(ex, "attention_bwd", 5, q, k, v, cu_seqlens, causal, scale);
    GR_ASSERT(a.ahead == 0);
    GR_ASSERT(gri_alike(dout, q) && gri_alike(out, q) && gri_is_2d(lse, a.tokens, a.heads));
    GR_ASSERT(gri_is_3d(dq, a.tokens, a.heads, a.head_size));
    GR_ASSERT(gri_same(dk, dv) && gri_alike(dk, k));
    bool grouped = a.heads != a.kv_heads;
    attention_bwd b = {.dout = dout, .out = out, .lse = lse, .dq = dq};
    b.dout_operand = gri_operand(ex, dout);
    b.dk = grouped ? take_parts(ex, &a) : dk;
    b.dv = grouped ? take_parts(ex, &a) : dv;
    int64_t room = 4 * GR_ATTENTION_TILE_ROWS * a.longest; // p, ds, and both as bf16
    float *scratch = gr_arena_f32(ex->scratch, room * ex->threads);
#pragma omp parallel for num_threads(ex->threads) schedule(dynamic)
    for (int64_t i = 0; i < gri_each(ex, a.sequences * a.heads); i++) {
        backward_head(&a, &b, i / a.heads, i % a.heads, scratch + omp_get_thread_num() * room);
    }
    if (grouped) {
        sum_groups(ex, b.dk, dk);
        sum_groups(ex, b.dv, dv);
    }
    gr_arena_reset(ex->scratch, mark);
}
