#include "src/ops/math_inline.h"
#include "src/ops/work.h"

/// 2 sqrt(2 / pi), and the cubic term's factor.
static const float twice = 0x1.988454p0F, cubic = 0.044715F;

/// (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)).
GRI_INLINE float gate(float x)
{
    return 1.0F / (1.0F + gri_expf(-twice * (x + cubic * x * x * x)));
}

static void forward_row(int64_t n, const float *x, float *y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = x[i] * gate(x[i]);
    }
}

/// dx may be dy: each element is read before it is written.
static void backward_row(int64_t n, const float *dy, const float *x, float *dx)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float s = gate(x[i]), slope = twice * (1.0F + 3.0F * cubic * x[i] * x[i]);
        dx[i] = dy[i] * (s + x[i] * (s * (1.0F - s)) * slope);
    }
}

void gr_gelu_tanh_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    GR_ASSERT(gri_same(x, y));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < x.shape[0]; t++) {
        forward_row(gr_tensor_row(x), gr_tensor_f32(x, t), gr_tensor_f32(y, t));
    }
}

void gr_gelu_tanh_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor dx)
{
    GR_ASSERT(gri_same(dy, x) && gri_same(dy, dx));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < x.shape[0]; t++) {
        backward_row(gr_tensor_row(x), gr_tensor_f32(dy, t), gr_tensor_f32(x, t),
                     gr_tensor_f32(dx, t));
    }
}
