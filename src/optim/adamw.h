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

/// Where an update also puts what it wrote: [n] each, not overlapping anything.
typedef struct gr_adamw_copy {
    float *param, *m, *v;
} gr_adamw_copy;
/// The same update, the same bits, and a copy of its results, stored past the caches while they are in them: much cheaper than a copy
/// afterwards.
void gr_adamw_update_copied(const gr_adamw *opt, int64_t n, float *param, const float *grad,
                            float *m, float *v, gr_adamw_copy copy, int threads);

/// sums[i] = the sum of squares, in double, of block i of GR_NORM_BLOCK elements of x[n], the last perhaps shorter. Whoever adds them in
/// the order of the blocks gets the same bits however blocks were shared out among threads and ranks.
enum { GR_NORM_BLOCK = 4096 };
void gr_square_sums(int64_t n, const float *x, double *sums, int threads);

#endif
