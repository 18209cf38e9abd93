#ifndef SRC_BASE_DIGEST_H
#define SRC_BASE_DIGEST_H

/// 128-bit digests (XXH3-128 of the xxHash library, seed 0): content ids, checksums, step digests.
/// They find damage and accidents, not malice.

#include "src/base/err.h"

#include <stdint.h>

typedef struct gr_digest {
    uint64_t high, low;
} gr_digest;

enum { GR_DIGEST_TEXT = 33 }; ///< 32 hexadecimal digits and a NUL

gr_digest gr_digest_of(const void *data, size_t size);
bool gr_digest_equal(gr_digest a, gr_digest b);
/// 32 lower-case hexadecimal digits, high half first.
void gr_digest_format(gr_digest d, char text[GR_DIGEST_TEXT]);
GR_MUST_CHECK gr_err gr_digest_parse(const char *text, gr_digest *out);
/// Digest of a whole file, read in pieces.
GR_MUST_CHECK gr_err gr_digest_of_file(const char *path, gr_digest *out);

/// Digest of a sequence of pieces; same result as over their concatenation.
typedef struct gr_digest_stream gr_digest_stream;
GR_MUST_CHECK gr_err gr_digest_stream_create(gr_digest_stream **out);
void gr_digest_stream_add(gr_digest_stream *s, const void *data, size_t size);
gr_digest gr_digest_stream_result(const gr_digest_stream *s);
void gr_digest_stream_destroy(gr_digest_stream **s);

#endif
