#include "src/ops/attention_inside.h"

enum { TILE = GR_ATTENTION_TILE_ROWS };

static int64_t add_tiles(const gri_attention *a, gri_query_tile *tile, int64_t sequence,
                         int64_t first, int64_t length)
{
    int64_t count = gri_tiles(length, TILE);
    for (int64_t i = 0; i < count; i++) {
        int64_t rows = gri_tile_length(length, TILE, i);
        tile[i] = (gri_query_tile){.sequence = sequence,
                                   .first = first,
                                   .row = first + i * TILE,
                                   .rows = rows,
                                   .keys = a->causal ? a->ahead + i * TILE + rows : length};
    }
    return count;
}

static void list_tiles(gr_exec *ex, const int32_t *cu, gri_attention *a)
{
    int64_t most = a->tokens / TILE + a->sequences;
    gri_query_tile *tile = gr_arena_take(ex->scratch, most * (int64_t)sizeof(gri_query_tile));
    int64_t *end = gr_arena_take(ex->scratch, a->sequences * (int64_t)sizeof(int64_t));
    for (int64_t s = 0; s < a->sequences; s++) {
        int64_t length = cu[s + 1] - cu[s];
        GR_ASSERT(length >= 0);
        a->longest = length + a->ahead > a->longest ? length + a->ahead : a->longest;
        a->tiles += add_tiles(a, tile + a->tiles, s, cu[s], length);
        end[s] = a->tiles;
    }
    a->tile = tile;
    a->sequence_end = end;
}

/// Pairs of query and key that tiles compute, those that a causal mask takes out among them.
static void begin(const gri_attention *a, const char *op, int products)
{
    double pairs = 0;
    for (int64_t i = 0; a->ex->tally && i < a->tiles; i++) {
        pairs += (double)a->tile[i].rows * (double)a->tile[i].keys * (double)a->heads;
    }
    gri_begin(a->ex, op, a->head_size, a->causal, pairs,
              2.0 * products * pairs * (double)a->head_size);
}

gri_attention gri_attention_plan(gr_exec *ex, const char *op, int products, gr_tensor q,
                                 gr_tensor k, gr_tensor v, gr_tensor cu_seqlens, bool causal,
                                 double scale)
{
    gri_attention a = {.ex = ex,
                       .causal = causal,
                       .scale = scale,
                       .tokens = q.shape[0],
                       .heads = q.shape[1],
                       .kv_heads = k.shape[1],
                       .head_size = q.shape[2],
                       .ahead = k.shape[0] - q.shape[0],
                       .sequences = cu_seqlens.shape[0] - 1};
    GR_ASSERT(gri_fits_3d(q, a.tokens, a.heads, a.head_size));
    GR_ASSERT(gri_fits_3d(k, a.tokens + a.ahead, a.kv_heads, a.head_size));
    GR_ASSERT(gri_fits_3d(v, a.tokens + a.ahead, a.kv_heads, a.head_size));
    GR_ASSERT(a.kv_heads > 0 && a.heads % a.kv_heads == 0 && a.sequences >= 0);
    GR_ASSERT(a.ahead == 0 || (a.ahead > 0 && causal && a.sequences == 1));
    const int32_t *cu = gri_i32(cu_seqlens, a.sequences + 1);
    GR_ASSERT(cu[0] == 0 && cu[a.sequences] == a.tokens);
    list_tiles(ex, cu, &a);
    begin(&a, op, products);
    a.q = gri_operand(ex, q);
    a.k = gri_operand(ex, k);
    a.v = gri_operand(ex, v);
    return a;
}

gr_tensor gri_attention_rows(gr_tensor t, int64_t from, int64_t rows, int64_t head)
{
    int64_t D = t.shape[2];
    return gr_tensor_columns(gr_tensor_rows(gri_flat(t), from, rows), head * D, D);
}
