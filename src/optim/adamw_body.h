// The loops for one width of vectors; GRI_ADAMW_ROWS is the table's name. No include guard: see adamw_rows.h.
#include "src/optim/adamw_rows.h"

#include <math.h>

enum { LANES = 8 };

static void update(gri_adamw_factors f, int64_t n, float *p, const float *grad, float *m,
                   float *v)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float g = f.grad * grad[i];
        m[i] = f.b1 * m[i] + f.one_b1 * g;
        v[i] = f.b2 * v[i] + f.one_b2 * (g * g);
        p[i] = p[i] * f.keep - f.step * (m[i] / (sqrtf(v[i]) / f.root_2 + f.eps));
    }
}

static double squares(int64_t n, const float *x)
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

const gri_adamw_rows GRI_ADAMW_ROWS = {.update = update, .squares = squares};
