#ifndef SRC_BASE_STR_H
#define SRC_BASE_STR_H

/// A growable byte string, always ended by a NUL that `size` does not count.
/// Intended use: `gr_str s = {0}; ... GR_TRY(gr_str_add(&s, "x")); ... gr_str_fini(&s);`

#include "src/base/err.h"

typedef struct gr_str {
    char *data;      ///< NULL until the first add; owned
    size_t size;     ///< bytes in use
    size_t capacity; ///< bytes allocated
} gr_str;

GR_MUST_CHECK gr_err gr_str_add(gr_str *s, const char *text);
GR_MUST_CHECK gr_err gr_str_add_bytes(gr_str *s, const void *bytes, size_t n);
GR_MUST_CHECK gr_err gr_str_addf(gr_str *s, const char *fmt, ...) GR_PRINTF(2, 3);
/// Empties, keeping the memory.
void gr_str_clear(gr_str *s);
/// Frees and zeroes; may be called twice.
void gr_str_fini(gr_str *s);

/// printf into new memory; the caller frees it with GR_FREE. NULL with the error set on failure.
GR_MUST_CHECK char *gr_str_format(const char *fmt, ...) GR_PRINTF(1, 2);

/// What makes a noun behind a number plural: "1 step", "2 steps", "0 steps".
#define GR_PLURAL(n) ((n) == 1 ? "" : "s")

/// The text as one line that a terminal does not obey: control characters (of C0, DEL and, in UTF-8, of C1) become \xNN. Cut to `size`
/// bytes with the NUL.
void gr_text_visible(const char *text, char *out, size_t size);

/// Whether the text begins so.
bool gr_starts_with(const char *text, const char *start);

#endif
