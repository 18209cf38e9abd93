#ifndef SRC_OPS_KNOWN_H
#define SRC_OPS_KNOWN_H

/// Known answers of single operations: PyTorch's bicubic resize of a table (appendix B.2 of the specification).

#include "src/base/known.h"

const gr_known *gr_ops_known(int64_t *count);

#endif
