// The rows for 512-bit vectors (flags: CMakeLists.txt).
#define GRI_ROWS gri_rows_avx512
#include "src/ops/rows_body.h"
