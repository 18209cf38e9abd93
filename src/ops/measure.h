#ifndef SRC_OPS_MEASURE_H
#define SRC_OPS_MEASURE_H

/// How fast this machine multiplies matrices: the yardstick of every benchmark.

#include "src/base/err.h"

#include <stdint.h>

/// Seconds of some clock: gr_clock or gr_clock_cpu.
typedef double gr_clock_fn(void);

/// Floating-point operations (an addition and a multiplication are two) per second of `now`, in fp32:
/// each of `threads` threads multiplies its own 1024 x 1024 matrices with one single-threaded
/// BLAS call after the other, for about `seconds`.
GR_MUST_CHECK gr_err gr_blas_measure(int threads, double seconds, gr_clock_fn *now,
                                     double *rate);

#endif
