// The rows for 256-bit vectors (flags: CMakeLists.txt).
#define GRI_ROWS gri_rows_avx2
#include "src/ops/rows_body.h"
