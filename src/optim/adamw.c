#include "src/optim/adamw.h"

#include <math.h>

enum { UPDATE_BLOCK = 16384, LANES = 8, SUMS = 64 };

/// The numbers of one update, rounded to the precision of the state once for all elements.
typedef struct factors {
    float grad, keep;   ///< grad_scale; 1 - lr wd
    float b1, one_b1;   ///< beta1, 1 - beta1
    float b2, one_b2;   ///< beta2, 1 - beta2
    float step, root_2; ///< lr / (1 - b1^step); sqrt(1 - b2^step)
    float eps;
} factors;

static factors factors_of(const gr_adamw *opt)
{
    double correction1 = 1 - pow(opt->beta1, (double)opt->step);
    double correction2 = 1 - pow(opt->beta2, (double)opt->step);
    return (factors){.grad = (float)opt->grad_scale,
                     .keep = (float)(1 - opt->learning_rate * opt->weight_decay),
                     .b1 = (float)opt->beta1,
                     .one_b1 = (float)(1 - opt->beta1),
                     .b2 = (float)opt->beta2,
                     .one_b2 = (float)(1 - opt->beta2),
                     .step = (float)(opt->learning_rate / correction1),
                     .root_2 = (float)sqrt(correction2),
                     .eps = (float)opt->eps};
}

static void update_block(factors f, int64_t n, float *p, const float *grad, float *m, float *v)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float g = f.grad * grad[i];
        m[i] = f.b1 * m[i] + f.one_b1 * g;
        v[i] = f.b2 * v[i] + f.one_b2 * (g * g);
        p[i] = p[i] * f.keep - f.step * (m[i] / (sqrtf(v[i]) / f.root_2 + f.eps));
    }
}

static int64_t at_most(int64_t n, int64_t limit)
{
    return n < limit ? n : limit;
}

void gr_adamw_update(const gr_adamw *opt, int64_t n, float *param, const float *grad, float *m,
                     float *v, int threads)
{
    factors f = factors_of(opt);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i += UPDATE_BLOCK) {
        update_block(f, at_most(n - i, UPDATE_BLOCK), param + i, grad + i, m + i, v + i);
    }
}

/// Over a fixed number of lanes, which are added in order.
static double block_squares(int64_t n, const float *x)
{
    double lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
#pragma omp simd
        for (int j = 0; j < LANES; j++) {
            lane[j] += (double)x[i + j] * (double)x[i + j];
        }
    }
    for (int j = 0; i + j < n; j++) {
        lane[j] += (double)x[i + j] * (double)x[i + j];
    }
    for (int j = 0; j < LANES; j++) {
        sum += lane[j];
    }
    return sum;
}

double gr_sum_squares(int64_t n, const float *x, int threads)
{
    double total = 0;
    // SUMS blocks at a time, so that their sums need no memory but the stack.
    for (int64_t from = 0; from < n; from += (int64_t)SUMS * GR_NORM_BLOCK) {
        double sum[SUMS] = {0};
        int64_t length = at_most(n - from, (int64_t)SUMS * GR_NORM_BLOCK);
        int64_t blocks = (length + GR_NORM_BLOCK - 1) / GR_NORM_BLOCK;
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t i = 0; i < blocks; i++) {
            int64_t at = i * GR_NORM_BLOCK;
            sum[i] = block_squares(at_most(length - at, GR_NORM_BLOCK), x + from + at);
        }
        for (int64_t i = 0; i < blocks; i++) {
            total += sum[i];
        }
    }
    return total;
}
