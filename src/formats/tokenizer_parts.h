#ifndef SRC_FORMATS_TOKENIZER_PARTS_H
#define SRC_FORMATS_TOKENIZER_PARTS_H

/// What the tokenizer's files share: its data, and the calls that build it (loader and trainer).

#include "src/formats/pretokenize.h"
#include "src/formats/tables.h"
#include "src/formats/tokenizer.h"

typedef struct gri_token {
    char *text;      ///< symbols, or an added token's content; NULL: no token has this id
    bool vocabulary; ///< one of the model's own tokens
    bool added;      ///< found whole in the text before anything else; may be both
    bool special;    ///< the flag of that name in the file
} gri_token;

typedef struct gri_merge {
    int32_t left, right, merged;
} gri_merge;

struct gr_tokenizer {
    gri_splitter *splitter;
    gri_token *tokens; ///< by id
    int64_t count, capacity;
    gri_text_table ids; ///< text to id
    gri_merge *merges;  ///< by rank
    int64_t merge_count, merge_capacity;
    gri_pair_table ranks; ///< (left, right) to rank
    int32_t byte_ids[256];
    int32_t *added; ///< ids of the added tokens, longest text first
    int64_t added_count;
    bool added_lead[256]; ///< first bytes of added tokens
};

GR_MUST_CHECK gr_err gri_tokenizer_create(const char *pattern, gr_tokenizer **out);
/// Gives `id` its text and flags. An added token may repeat one of the vocabulary with the same id; any other
/// clash is GR_ERR_DATA.
GR_MUST_CHECK gr_err gri_tokenizer_set(gr_tokenizer *t, int32_t id, gri_token token);
/// Appends the merge of the next rank. The three ids must exist.
GR_MUST_CHECK gr_err gri_tokenizer_add_merge(gr_tokenizer *t, gri_merge merge);
/// Ends the building: finds the 256 byte symbols and sorts the added tokens.
GR_MUST_CHECK gr_err gri_tokenizer_seal(gr_tokenizer *t);

/// Room for the symbols of n bytes, with the NUL.
#define GRI_SYMBOLS_SIZE(n) (2 * (n) + 1)
/// Writes the symbols of bytes as UTF-8 with a NUL; returns their length.
size_t gri_symbols_of(const void *bytes, size_t n, char *symbols);
/// Bytes of a symbol string into `bytes` (as many as symbols has bytes suffice); false if a
/// character is not a byte's symbol.
bool gri_symbols_to_bytes(const char *symbols, char *bytes, size_t *n);

#endif
