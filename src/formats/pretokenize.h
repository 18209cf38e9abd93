#ifndef SRC_FORMATS_PRETOKENIZE_H
#define SRC_FORMATS_PRETOKENIZE_H

/// What happens to text before the merges: UTF-8 check, NFC, and cutting into pieces by a regular expression.

#include "src/base/err.h"

/// Length of the character at `text` (`size` >= 1 bytes left). If it is invalid *ok is false and the length is that of
/// the longest beginning of a character, as Unicode recommends for replacement (at least 1).
size_t gri_utf8_step(const char *text, size_t size, bool *ok);
/// GR_ERR_DATA with the byte's position if `text` is not UTF-8.
GR_MUST_CHECK gr_err gri_utf8_check(const char *text, size_t size);

/// A compiled expression; read-only after creation, so threads share it.
typedef struct gri_splitter gri_splitter;
/// Qwen2's expression.
extern const char *const gri_qwen2_pattern;
GR_MUST_CHECK gr_err gri_splitter_create(const char *pattern, gri_splitter **out);
void gri_splitter_destroy(gri_splitter **splitter);
/// The expression as it was given.
const char *gri_splitter_pattern(const gri_splitter *splitter);

/// Walks over the pieces of one text. Zero it, begin, call next until it gives 0 bytes, fini. It can begin again.
typedef struct gri_pieces {
    const gri_splitter *splitter;
    void *match;  ///< the engine's memory, kept from text to text
    char *normal; ///< NFC text if it differs from the given one
    const char *text;
    size_t size, at;
    size_t match_begin, match_end; ///< the match that comes after a gap
} gri_pieces;
/// `text` must be valid UTF-8 and outlive the walk.
GR_MUST_CHECK gr_err gri_pieces_begin(gri_pieces *pieces, const gri_splitter *splitter,
                                      const char *text, size_t size);
GR_MUST_CHECK gr_err gri_pieces_next(gri_pieces *pieces, const char **piece, size_t *size);
void gri_pieces_fini(gri_pieces *pieces);

#endif
