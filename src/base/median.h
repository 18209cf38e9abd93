#ifndef SRC_BASE_MEDIAN_H
#define SRC_BASE_MEDIAN_H

/// What benchmarks report of their rounds.

#include <stdint.h>

/// Median of count > 0 numbers, of an even count the mean of the middle two. Sorts them.
double gr_median(double *values, int64_t count);

#endif
