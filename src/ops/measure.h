#ifndef SRC_OPS_MEASURE_H
#define SRC_OPS_MEASURE_H

/// How fast this machine multiplies matrices: the yardstick of every benchmark.

#include "src/ops/exec.h"

/// Seconds of some clock: gr_clock or gr_clock_cpu.
typedef double gr_clock_fn(void);

/// Floating-point operations (an addition and a multiplication are two) per second of `now`, in ex->precision:
/// each of ex->threads threads multiplies its own 1024 x 1024 matrices, one single-threaded call of the
/// BLAS or of oneDNN after the other, for about `seconds`. Nothing is converted.
GR_MUST_CHECK gr_err gr_product_measure(gr_exec *ex, double seconds, gr_clock_fn *now,
                                        double *rate);

#endif
