#ifndef SRC_OPS_MEASURE_H
#define SRC_OPS_MEASURE_H

/// How fast this machine multiplies matrices: the yardstick of every benchmark.

#include "src/ops/exec.h"

/// Seconds of some clock: gr_clock or gr_clock_cpu.
typedef double gr_clock_fn(void);

/// The yardstick itself: each of ex->threads threads multiplies its own 1024 x 1024 matrices, in ex->precision, one single-threaded
/// call of the BLAS or of oneDNN after the other. Nothing is converted. `ex` is borrowed.
typedef struct gr_product gr_product;
GR_MUST_CHECK gr_err gr_product_create(gr_exec *ex, gr_product **out);
void gr_product_destroy(gr_product **product);
/// `calls` products in each thread; returns how many operations they were.
double gr_product_run(const gr_product *product, int calls);

/// Floating-point operations (an addition and a multiplication are two) per second of `now`, in products for about `seconds`.
GR_MUST_CHECK gr_err gr_product_measure(gr_exec *ex, double seconds, gr_clock_fn *now,
                                        double *rate);

#endif
