#ifndef SRC_OPTIM_FINITE_H
#define SRC_OPTIM_FINITE_H

/// Numbers that are none: NaN and the infinities.

#include <stdint.h>

/// The last of x[n] that is not finite; -1 when all are. One read of memory.
int64_t gr_last_nonfinite(int64_t n, const float *x, int threads);

#endif
