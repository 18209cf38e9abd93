// The update for 512-bit vectors (flags: CMakeLists.txt).
#define GRI_ADAMW_ROWS gri_adamw_avx512
#include "src/optim/adamw_body.h"
