// The digest for 512-bit vectors (flags: CMakeLists.txt).
#define GRI_DIGEST gri_digest_avx512
#include "src/base/digest_wide_body.h"
