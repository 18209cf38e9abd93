#ifndef SRC_BASE_DIGEST_WIDE_H
#define SRC_BASE_DIGEST_WIDE_H

/// XXH3-128 compiled for wider vectors than the library is (its users get SSE2): the same digests, two to three times as fast over
/// memory. Inside this room.

#include "src/base/digest.h"

gr_digest gri_digest_avx2(const void *data, size_t size);
gr_digest gri_digest_avx512(const void *data, size_t size);

#endif
