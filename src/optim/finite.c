#include "src/optim/finite.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 16384 };

/// By the exponents, without a branch and with what any processor's vectors can do.
static int has_nonfinite(int64_t n, const float *x)
{
    const int32_t exponent = 0x7F800000;
    int32_t found = 0;
#pragma omp simd reduction(| : found)
    for (int64_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        found |= (bits & exponent) == exponent;
    }
    return found;
}

int64_t gr_last_nonfinite(int64_t n, const float *x, int threads)
{
    const int64_t blocks = (n + BLOCK - 1) / BLOCK;
    int64_t last = -1;
#pragma omp parallel for num_threads(threads) reduction(max : last) if (blocks > 1)
    for (int64_t b = 0; b < blocks; b++) {
        int64_t left = n - b * BLOCK;
        if (has_nonfinite(left < BLOCK ? left : BLOCK, x + b * BLOCK)) {
            last = b > last ? b : last;
        }
    }
    if (last < 0) {
        return -1;
    }
    int64_t i = last * BLOCK + BLOCK < n ? last * BLOCK + BLOCK - 1 : n - 1;
    while (isfinite(x[i])) {
        i--;
    }
    return i;
}
