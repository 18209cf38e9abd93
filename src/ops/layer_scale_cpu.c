#include "src/ops/work.h"

#include <string.h>

/// The scale's gradient is summed in double over blocks of this many rows, block sums in order.
enum { BLOCK = 128 };

void gr_rows_scale_cpu(gr_exec *ex, gr_tensor s, gr_tensor x)
{
    int64_t N = x.shape[0], C = x.shape[1];
    GR_ASSERT(gri_is_1d(s, N) && gri_is_2d(x, N, C));
    const float *scale = s.data;
    gri_begin_rows(ex, "rows_scale", N, C);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t n = 0; n < gri_each(ex, N); n++) {
        float *row = gr_tensor_f32(x, n);
#pragma omp simd
        for (int64_t c = 0; c < C; c++) {
            row[c] *= scale[n];
        }
    }
}

void gr_layer_scale_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor s, gr_tensor z, gr_tensor y)
{
    int64_t N = x.shape[0], C = x.shape[1];
    GR_ASSERT(gri_is_2d(x, N, C) && gri_is_1d(s, C) && gri_is_2d(z, N, C));
    GR_ASSERT(gri_is_2d(y, N, C));
    const float *scale = s.data;
    gri_begin_rows(ex, "layer_scale_fwd", N, C);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t n = 0; n < gri_each(ex, N); n++) {
        const float *in = gr_tensor_f32(x, n), *branch = gr_tensor_f32(z, n);
        float *out = gr_tensor_f32(y, n);
#pragma omp simd
        for (int64_t c = 0; c < C; c++) {
            out[c] = in[c] + scale[c] * branch[c];
        }
    }
}

static void add_products(int64_t n, const float *dy, const float *z, double *sum)
{
    for (int64_t c = 0; c < n; c++) {
        sum[c] += (double)dy[c] * (double)z[c];
    }
}

/// ds += sum over rows of dy z.
static void scale_gradient(gr_exec *ex, gr_tensor dy, gr_tensor z, gr_tensor ds)
{
    int64_t N = dy.shape[0], C = dy.shape[1], blocks = gri_tiles(N, BLOCK);
    GR_ASSERT(gri_is_2d(z, N, C) && gri_is_1d(ds, C));
    int64_t mark = gr_arena_mark(ex->scratch);
    double *sums = gr_arena_take(ex->scratch, blocks * C * (int64_t)sizeof *sums);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, blocks); i++) {
        double *sum = memset(sums + i * C, 0, (size_t)C * sizeof *sums);
        for (int64_t n = i * BLOCK; n < i * BLOCK + gri_tile_length(N, BLOCK, i); n++) {
            add_products(C, gr_tensor_f32(dy, n), gr_tensor_f32(z, n), sum);
        }
    }
    float *out = ds.data;
    for (int64_t c = 0; c < gri_each(ex, C); c++) {
        double sum = 0;
        for (int64_t i = 0; i < blocks; i++) {
            sum += sums[i * C + c];
        }
        out[c] += (float)sum;
    }
    gr_arena_reset(ex->scratch, mark);
}

void gr_layer_scale_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor s, gr_tensor z, gr_tensor dz,
                            gr_tensor ds)
{
    int64_t N = dy.shape[0], C = dy.shape[1];
    GR_ASSERT(gri_is_2d(dy, N, C) && gri_is_1d(s, C) && gri_is_2d(dz, N, C));
    const float *scale = s.data;
    gri_begin_rows(ex, "layer_scale_bwd", N, C);
    if (gr_tensor_present(ds)) {
        scale_gradient(ex, dy, z, ds);
    }
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t n = 0; n < gri_each(ex, N); n++) {
        const float *in = gr_tensor_f32(dy, n);
        float *out = gr_tensor_f32(dz, n);
#pragma omp simd
        for (int64_t c = 0; c < C; c++) {
            out[c] = scale[c] * in[c];
        }
    }
}
