#include "src/ops/math_inline.h"
#include "src/ops/work.h"

#include <math.h>

void gr_add_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    GR_ASSERT(gri_same(x, y));
    int64_t n = gr_tensor_row(x);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < x.shape[0]; t++) {
        const float *from = gr_tensor_f32(x, t);
        float *to = gr_tensor_f32(y, t);
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            to[i] += from[i];
        }
    }
}

static void swiglu_row(int64_t n, const float *gate, const float *up, float *y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = gate[i] / (1.0F + gri_expf(-gate[i])) * up[i];
    }
}

void gr_swiglu_fwd_cpu(gr_exec *ex, gr_tensor gate, gr_tensor up, gr_tensor y)
{
    GR_ASSERT(gri_same(gate, up) && gri_same(gate, y));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < gate.shape[0]; t++) {
        swiglu_row(gr_tensor_row(gate), gr_tensor_f32(gate, t), gr_tensor_f32(up, t),
                   gr_tensor_f32(y, t));
    }
}

/// dgate may be gate and dup may be up: each element is read before it is written.
static void swiglu_bwd_row(int64_t n, const float *dy, const float *gate, const float *up,
                           float *dgate, float *dup)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float z = gate[i], u = up[i], g = dy[i];
        float s = 1.0F / (1.0F + gri_expf(-z));
        dgate[i] = g * u * (s * (1.0F + z * (1.0F - s)));
        dup[i] = g * (z * s);
    }
}

void gr_swiglu_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor gate, gr_tensor up, gr_tensor dgate,
                       gr_tensor dup)
{
    GR_ASSERT(gri_same(dy, gate) && gri_same(dy, up) && gri_same(dy, dgate) &&
              gri_same(dy, dup));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < dy.shape[0]; t++) {
        swiglu_bwd_row(gr_tensor_row(dy), gr_tensor_f32(dy, t), gr_tensor_f32(gate, t),
                       gr_tensor_f32(up, t), gr_tensor_f32(dgate, t), gr_tensor_f32(dup, t));
    }
}

static float normal_cdf(float x)
{
    return 0.5F * (1.0F + erff(x * 0x1.6a09e6p-1F));
}

void gr_gelu_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    GR_ASSERT(gri_same(x, y));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < x.shape[0]; t++) {
        const float *in = gr_tensor_f32(x, t);
        float *out = gr_tensor_f32(y, t);
        for (int64_t i = 0; i < gr_tensor_row(x); i++) {
            out[i] = in[i] * normal_cdf(in[i]);
        }
    }
}

void gr_gelu_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor dx)
{
    const float density = 0x1.988454p-2F; // 1 / sqrt(2 pi)
    GR_ASSERT(gri_same(dy, x) && gri_same(dy, dx));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < x.shape[0]; t++) {
        const float *in = gr_tensor_f32(x, t), *g = gr_tensor_f32(dy, t);
        float *out = gr_tensor_f32(dx, t);
        for (int64_t i = 0; i < gr_tensor_row(x); i++) {
            float phi = density * gri_expf(-0.5F * in[i] * in[i]);
            out[i] = g[i] * (normal_cdf(in[i]) + in[i] * phi);
        }
    }
}
