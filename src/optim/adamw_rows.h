#ifndef SRC_OPTIM_ADAMW_ROWS_H
#define SRC_OPTIM_ADAMW_ROWS_H

/// The loops of adamw.c for each width of vectors: one source (adamw_body.h), compiled for each, the same bits.

#include "src/optim/adamw.h"

/// The numbers of one update, rounded to the precision of the state once for all elements.
typedef struct gri_adamw_factors {
    float grad, keep;   ///< grad_scale; 1 - lr wd
    float b1, one_b1;   ///< beta1, 1 - beta1
    float b2, one_b2;   ///< beta2, 1 - beta2
    float step, root_2; ///< lr / (1 - b1^step); sqrt(1 - b2^step)
    float eps;
} gri_adamw_factors;

typedef struct gri_adamw_rows {
    void (*update)(gri_adamw_factors f, int64_t n, float *p, const float *grad, float *m,
                   float *v);
    /// Sum of squares over a fixed number of lanes, which are added in order.
    double (*squares)(int64_t n, const float *x);
} gri_adamw_rows;

extern const gri_adamw_rows gri_adamw_plain, gri_adamw_avx2, gri_adamw_avx512;

#endif
