// The update for any processor of this kind.
#define GRI_ADAMW_ROWS gri_adamw_plain
#include "src/optim/adamw_body.h"
