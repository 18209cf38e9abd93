#ifndef SRC_FORMATS_TOKENIZER_PARTS_H
#define SRC_FORMATS_TOKENIZER_PARTS_H

/// What the tokenizer's files share: its data, and the calls that build it (loader and trainer).

#include "src/base/doc.h"
#include "src/formats/pretokenize.h"
#include "src/formats/tables.h"
#include "src/formats/tokenizer.h"

typedef struct gri_token {
    char *text;      ///< symbols, or an added token's content; NULL: no token has this id
    bool vocabulary; ///< one of the model's own tokens
    bool added;      ///< found whole in the text before anything else; may be both
    bool special;    ///< the flag of that name in the file
    bool normalized; ///< of an added token: found after NFC, not before it
} gri_token;

typedef struct gri_merge {
    int32_t left, right, merged;
} gri_merge;

/// Added tokens to look for: at a place of the text the longest that begins there.
typedef struct gri_added {
    gri_text_table ids; ///< text to id
    size_t *sizes;      ///< of the texts, each once, longest first
    int64_t count;      ///< sizes
    bool lead[256];     ///< first bytes of the texts
} gri_added;

struct gr_tokenizer {
    gri_splitter *splitter;
    /// a piece that is a token is that token, whatever the merges make of it
    bool ignore_merges;
    gri_token *tokens; ///< by id
    int64_t count, capacity;
    gri_text_table ids; ///< text to id
    gri_merge *merges;  ///< by rank
    int64_t merge_count, merge_capacity;
    gri_pair_table ranks;  ///< (left, right) to rank << 32 | merged
    int32_t byte_ids[256]; ///< -1: no token for this byte
    gri_text_table pieces; ///< bytes to the one token that the merges make of them
    char *piece_bytes;     ///< keys of `pieces`, end to end
    gri_added literal, normalized;
    gr_doc *config;      ///< the tokenizer_config.json that it came with, NULL: none
    char *chat_template; ///< the chat_template.jinja, NULL: none
    size_t chat_template_size;
    int64_t
        came_with; ///< ids before tokens were added that `config` does not know; 0: none were
};

/// An empty tokenizer that takes over the splitter (and sets *splitter to NULL).
GR_MUST_CHECK gr_err gri_tokenizer_create(gri_splitter **splitter, gr_tokenizer **out);
/// Gives `id` its text and flags. An added token may repeat one of the vocabulary with the same id; any other
/// clash is GR_ERR_DATA.
GR_MUST_CHECK gr_err gri_tokenizer_set(gr_tokenizer *t, int32_t id, gri_token token);
/// Appends the merge of the next rank; the ids must exist. The same pair twice is GR_ERR_DATA.
GR_MUST_CHECK gr_err gri_tokenizer_add_merge(gr_tokenizer *t, gri_merge merge);
/// The merge of two token texts, both in the vocabulary as their concatenation must be; else GR_ERR_DATA.
GR_MUST_CHECK gr_err gri_tokenizer_add_merge_of(gr_tokenizer *t, const char *left,
                                                size_t left_size, const char *right,
                                                size_t right_size);
/// Ends the building: finds the byte symbols, indexes the pieces that are tokens, sorts the added tokens.
GR_MUST_CHECK gr_err gri_tokenizer_seal(gr_tokenizer *t);

/// Fills `pieces`.
GR_MUST_CHECK gr_err gri_tokenizer_index_pieces(gr_tokenizer *t);

/// The content of a tokenizer.json; `name` stands in messages for its path.
GR_MUST_CHECK gr_err gri_tokenizer_parse(const char *name, const char *text, size_t size,
                                         gr_tokenizer **out);
/// Reads vocab.json, merges.txt, tokenizer_config.json and, if they are there, added_tokens.json and special_tokens_map.json.
GR_MUST_CHECK gr_err gri_tokenizer_load_parts(const char *dir, gr_tokenizer **out);
/// The tokenizer_config.json of a directory, whose integers may be larger than 64 bits.
GR_MUST_CHECK gr_err gri_tokenizer_read_config(const char *dir, gr_doc **out);
/// Takes the files about its use, if they are there, into the tokenizer; and writes them, or new ones.
GR_MUST_CHECK gr_err gri_tokenizer_keep_config(const char *dir, gr_tokenizer *t);
GR_MUST_CHECK gr_err gri_tokenizer_save_config(const gr_tokenizer *t, const char *dir,
                                               const char *chat_template);
/// content, single_word ... of an added token.
void gri_tokenizer_write_flags(gr_json *j, const gri_token *token);
/// {token: id} of a model's own tokens.
GR_MUST_CHECK gr_err gri_tokenizer_load_vocabulary(const gr_node *vocab, gr_tokenizer *t);
/// One added token: `id` and `content` are given, the flags are in `flags`.
GR_MUST_CHECK gr_err gri_tokenizer_load_added(const gr_node *flags, int64_t id,
                                              const char *content, gr_tokenizer *t);

/// Room for the symbols of n bytes, with the NUL.
#define GRI_SYMBOLS_SIZE(n) (2 * (n) + 1)
/// Writes the symbols of bytes as UTF-8 with a NUL; returns their length.
size_t gri_symbols_of(const void *bytes, size_t n, char *symbols);
/// Bytes of a symbol string into `bytes` (as many as symbols has bytes suffice); false if a
/// character is not a byte's symbol.
bool gri_symbols_to_bytes(const char *symbols, char *bytes, size_t *n);

#endif
