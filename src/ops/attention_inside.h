#ifndef SRC_OPS_ATTENTION_INSIDE_H
#define SRC_OPS_ATTENTION_INSIDE_H

/// What forward and backward attention on the CPU share: the cut into tiles of query rows.

#include "src/ops/work.h"

/// Rows row .. row + rows - 1 are queries of the sequence whose keys begin at row `first`; `keys` rows
/// of it, from `first` on, are seen by at least one of them.
typedef struct gri_query_tile {
    int64_t sequence, first, row, rows, keys;
} gri_query_tile;

typedef struct gri_attention {
    const gr_exec *ex;
    gr_tensor q, k, v; ///< as products read them: gri_operand
    bool causal;
    double scale;
    int64_t tokens, heads, kv_heads, head_size;
    int64_t ahead;              ///< keys before the first query, of the only sequence
    int64_t sequences, longest; ///< keys of the longest sequence
    int64_t tiles;
    const gri_query_tile *tile;  ///< in order of sequence, then of row
    const int64_t *sequence_end; ///< [sequences]: number of tiles up to and with this sequence
} gri_attention;

/// Checks the views and lists the tiles; the lists are taken from ex->scratch. `op`, of so many products of a tile: tells the tally.
gri_attention gri_attention_plan(gr_exec *ex, const char *op, int products, gr_tensor q,
                                 gr_tensor k, gr_tensor v, gr_tensor cu_seqlens, bool causal,
                                 double scale);

/// Rows [from, from + rows) of one head of a [T, heads, D] view, as a matrix [rows, D].
gr_tensor gri_attention_rows(gr_tensor t, int64_t from, int64_t rows, int64_t head);

/// The key/value head that this query head reads.
static inline int64_t gri_attention_kv(const gri_attention *a, int64_t head)
{
    return head / (a->heads / a->kv_heads);
}

/// How many of tile.keys row i of the tile sees.
static inline int64_t gri_attention_visible(const gri_attention *a, gri_query_tile tile,
                                            int64_t i)
{
    return a->causal ? a->ahead + tile.row - tile.first + i + 1 : tile.keys;
}

#endif
