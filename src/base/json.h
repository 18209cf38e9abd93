#ifndef SRC_BASE_JSON_H
#define SRC_BASE_JSON_H

/// Writing JSON into a growable string, in one pass. Commas and escapes are put by the writer; a
/// failed add is remembered and comes out of `gr_json_finish`, so callers check once.
/// Reals are written shortest-round-trip (%.17g trimmed); NaN and infinities become null.

#include "src/base/digest.h"
#include "src/base/str.h"

#include <stdint.h>

typedef struct gr_json {
    gr_str text; ///< what was written so far
    bool comma;  ///< a value stands before at this level
    int indent;  ///< spaces per level; 0: one line
    int depth;
    gr_err err;    ///< first failure
    bool replaced; ///< some bytes were no UTF-8 and became the replacement character
} gr_json;

/// Every call below takes the key first: NULL inside a list and at the root.
void gr_json_map_begin(gr_json *j, const char *key);
void gr_json_map_end(gr_json *j);
void gr_json_list_begin(gr_json *j, const char *key);
void gr_json_list_end(gr_json *j);
void gr_json_string(gr_json *j, const char *key, const char *value);
void gr_json_string_bytes(gr_json *j, const char *key, const char *value, size_t size);
void gr_json_int(gr_json *j, const char *key, int64_t value);
void gr_json_real(gr_json *j, const char *key, double value);
void gr_json_bool(gr_json *j, const char *key, bool value);
/// Its text, as gr_digest_format has it.
void gr_json_digest(gr_json *j, const char *key, gr_digest value);
void gr_json_null(gr_json *j, const char *key);
/// Returns the first failure. The text stays in j->text until gr_json_fini.
GR_MUST_CHECK gr_err gr_json_finish(gr_json *j);
void gr_json_fini(gr_json *j);

#endif
