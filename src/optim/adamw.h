#ifndef SRC_OPTIM_ADAMW_H
#define SRC_OPTIM_ADAMW_H

/// AdamW with decoupled weight decay over a flat range, and the norm that clipping needs.
/// Source: Loshchilov & Hutter 2019; the update is PyTorch's torch.optim.AdamW.

#include "src/tensor/tensor.h"

typedef struct gr_adamw {
    double learning_rate, beta1, beta2, eps, weight_decay;
    int64_t step;      ///< number of this update, 1 for the first
    double grad_scale; ///< gradients are multiplied by this first (1 / targets, times clipping)
} gr_adamw;

/// For each i:  g = grad_scale grad;  p -= lr wd p;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
/// p -= lr / (1 - b1^step) * m / (sqrt(v / (1 - b2^step)) + eps).   All fp32 [n], in place.
/// Elementwise: any split into ranges and threads gives the same bits.
void gr_adamw_update(const gr_adamw *opt, int64_t n, float *param, const float *grad, float *m,
                     float *v, int threads);

/// Sum of squares in double over blocks of GR_NORM_BLOCK elements of the flat space, blocks added in
/// order: the same bits for any number of threads. n elements starting at a block border.
enum { GR_NORM_BLOCK = 65536 };
double gr_sum_squares(int64_t n, const float *x, int threads);

#endif
