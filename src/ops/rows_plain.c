// The rows for any processor of this kind.
#define GRI_ROWS gri_rows_plain
#include "src/ops/rows_body.h"
