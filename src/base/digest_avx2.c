// The digest for 256-bit vectors (flags: CMakeLists.txt).
#define GRI_DIGEST gri_digest_avx2
#include "src/base/digest_wide_body.h"
