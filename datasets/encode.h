#ifndef DATASETS_ENCODE_H
#define DATASETS_ENCODE_H

/// A stored conversation to token ids. Private to datasets/.

#include "datasets/pack.h"

typedef struct gri_encoded {
    gr_chat_sample chat;
    int64_t *tiles; ///< of each picture, from its stored size
    gri_size size;  ///< images are tiles
} gri_encoded;

/// Bad conversations are GR_ERR_DATA; so is a sample that does not fit into an empty row: nothing is truncated. `out`
/// must be zeroed; free it with gri_encoded_fini.
GR_MUST_CHECK gr_err gri_encode(const gri_pack_rules *rules, const gr_sample *sample,
                                gri_encoded *out);
/// The same of any size, and what gri_encode then asks: whether it fits.
GR_MUST_CHECK gr_err gri_encode_any(const gri_pack_rules *rules, const gr_sample *sample,
                                    gri_encoded *out);
GR_MUST_CHECK gr_err gri_encode_check_fit(const gri_pack_rules *rules, gri_size size);
/// gri_encode_any for the size alone, if the turns' texts make `text_tokens` ids (gr_chat_count): nothing is encoded where that number
/// tells, and all where it does not (-1: it is not known).
GR_MUST_CHECK gr_err gri_encode_size(const gri_pack_rules *rules, const gr_sample *sample,
                                     int64_t text_tokens, gri_encoded *out);
void gri_encoded_fini(gri_encoded *encoded);

#endif
