#ifndef SRC_FORMATS_PRETOKENIZE_H
#define SRC_FORMATS_PRETOKENIZE_H

/// What happens to text before the merges: NFC, then cutting into pieces in one or more steps. Each step cuts
/// the pieces of the one before it and sees nothing outside of a piece.

#include "src/formats/unicode.h"

enum { GRI_STEPS_MAX = 8 };

typedef enum gri_step_kind {
    GRI_STEP_EXPRESSION, ///< matches of an expression, and what lies between matches
    GRI_STEP_GPT2,       ///< the same with GPT-2's expression: "ByteLevel" with use_regex
    GRI_STEP_DIGITS,     ///< runs of digits, and what lies between them
    GRI_STEP_EACH_DIGIT, ///< single digits, and what lies between them
} gri_step_kind;

/// End of the match at `at` of an expression written out in C; the text's last byte is before `end`, and at < end.
typedef size_t gri_known_fn(const uint8_t *classes, const char *text, size_t at, size_t end);

typedef struct gri_step {
    gri_step_kind kind;
    char *pattern;       ///< of an expression, as it was given
    gri_known_fn *known; ///< the expression in C; NULL: PCRE2 runs it
    void *code;          ///< PCRE2's, compiled
} gri_step;

/// The steps; read-only after creation, so threads share it.
typedef struct gri_splitter {
    uint8_t *classes; ///< gri_unicode_create
    bool nfc;
    gri_step steps[GRI_STEPS_MAX];
    int count;
} gri_splitter;

/// Expressions that are written out in C; everything else goes to PCRE2, which is the truth they are tested against.
extern const char *const gri_qwen2_pattern, *const gri_gpt2_pattern;
gri_known_fn gri_match_qwen2, gri_match_gpt2;

/// Without steps a text is one piece.
GR_MUST_CHECK gr_err gri_splitter_create(bool nfc, gri_splitter **out);
/// Adds a step. `pattern`: for GRI_STEP_EXPRESSION only.
GR_MUST_CHECK gr_err gri_splitter_add(gri_splitter *splitter, gri_step_kind kind,
                                      const char *pattern);
/// Adds an expression that PCRE2 runs even if it is a known one.
GR_MUST_CHECK gr_err gri_splitter_add_engine(gri_splitter *splitter, const char *pattern);
/// NFC and Qwen2's expression.
GR_MUST_CHECK gr_err gri_splitter_create_qwen2(gri_splitter **out);
bool gri_splitter_is_qwen2(const gri_splitter *splitter);
void gri_splitter_destroy(gri_splitter **splitter);

/// Where a step is in the piece of the step before it.
typedef struct gri_cut {
    size_t begin, at, end;
    size_t match_begin, match_end; ///< the match that comes after a gap
} gri_cut;

/// Walks over the pieces of texts. Zero it, begin, call next until it gives 0 bytes, fini. It can begin again.
typedef struct gri_pieces {
    const gri_splitter *splitter;
    void *match; ///< the engine's memory, kept from text to text
    gri_nfc_memory nfc;
    const char *text;
    gri_cut cuts[GRI_STEPS_MAX];
} gri_pieces;
/// The text in NFC if the splitter asks for that; valid until the next call.
GR_MUST_CHECK gr_err gri_pieces_normalize(gri_pieces *pieces, const gri_splitter *splitter,
                                          const char *text, size_t size, const char **out,
                                          size_t *out_size);
/// `text` must be valid UTF-8, normalised, and outlive the walk.
void gri_pieces_begin(gri_pieces *pieces, const gri_splitter *splitter, const char *text,
                      size_t size);
GR_MUST_CHECK gr_err gri_pieces_next(gri_pieces *pieces, const char **piece, size_t *size);
void gri_pieces_fini(gri_pieces *pieces);

#endif
