// One source for each width of vectors; GRI_DIGEST is the function's name (gri_digest_avx2 ...). No include guard.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "src/base/digest_wide.h"

gr_digest GRI_DIGEST(const void *data, size_t size)
{
    XXH128_hash_t hash = XXH3_128bits(data, size);
    return (gr_digest){.high = hash.high64, .low = hash.low64};
}
