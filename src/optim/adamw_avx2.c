// The update for 256-bit vectors (flags: CMakeLists.txt).
#define GRI_ADAMW_ROWS gri_adamw_avx2
#include "src/optim/adamw_body.h"
