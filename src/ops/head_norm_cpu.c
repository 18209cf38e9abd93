#include "src/ops/work.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/// The weight's gradient is summed in double over blocks of this many rows, block sums in order.
enum { BLOCK = 128 };

/// Room for one head in each thread where x is bf16.
static float *take_rooms(gr_exec *ex, gr_tensor x)
{
    return gr_arena_f32(ex->scratch, x.dtype == GR_DTYPE_BF16 ? ex->threads * x.shape[2] : 0);
}

void gr_head_rmsnorm_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor w, double eps, gr_tensor y,
                             gr_tensor r)
{
    int64_t T = x.shape[0], H = x.shape[1], D = x.shape[2];
    GR_ASSERT(gri_fits_3d(x, T, H, D) && gri_is_1d(w, D));
    GR_ASSERT(gri_is_3d(y, T, H, D) && gri_is_2d(r, T, H));
    const float *weight = w.data;
    gri_begin_rows(ex, "head_rmsnorm_fwd", T * H, D);
    int64_t mark = gr_arena_mark(ex->scratch);
    float *rooms = take_rooms(ex, x);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, T * H); i++) {
        const float *in =
            gri_read(ex, x, i / H, i % H * D, D, rooms + omp_get_thread_num() * D);
        float *out = gr_tensor_f32(y, i / H) + i % H * D;
        float scale = (float)(1 / sqrt(ex->rows->dot(D, in, in) / (double)D + eps));
        gr_tensor_f32(r, i / H)[i % H] = scale;
        ex->rows->norm(D, in, weight, NULL, 0, scale, out);
    }
    gr_arena_reset(ex->scratch, mark);
}

static void add_sums(const gr_exec *ex, const double *sums, int64_t blocks, gr_tensor dw)
{
    float *out = dw.data;
    for (int64_t d = 0; d < gri_each(ex, dw.shape[0]); d++) {
        double sum = 0;
        for (int64_t i = 0; i < blocks; i++) {
            sum += sums[i * dw.shape[0] + d];
        }
        out[d] += (float)sum;
    }
}

void gr_head_rmsnorm_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor w, gr_tensor r,
                             gr_tensor dx, gr_tensor dw)
{
    int64_t T = x.shape[0], H = x.shape[1], D = x.shape[2], blocks = gri_tiles(T, BLOCK);
    GR_ASSERT(gri_is_3d(dy, T, H, D) && gri_fits_3d(x, T, H, D) && gri_is_3d(dx, T, H, D));
    GR_ASSERT(gri_is_1d(w, D) && gri_is_2d(r, T, H));
    GR_ASSERT(!gr_tensor_present(dw) || gri_is_1d(dw, D));
    int64_t mark = gr_arena_mark(ex->scratch);
    int64_t bytes = blocks * D * (int64_t)sizeof(double);
    gri_begin_rows(ex, "head_rmsnorm_bwd", T * H, D);
    double *sums = gr_tensor_present(dw) ? gr_arena_take(ex->scratch, bytes) : NULL;
    float *rooms = take_rooms(ex, x);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, blocks); i++) {
        float *room = rooms + omp_get_thread_num() * D;
        double *sum = sums ? memset(sums + i * D, 0, (size_t)D * sizeof(double)) : NULL;
        for (int64_t t = i * BLOCK; t < i * BLOCK + gri_tile_length(T, BLOCK, i); t++) {
            for (int64_t h = 0; h < H; h++) {
                const gri_norm_row row = {.channels = D,
                                          .dy = gr_tensor_f32(dy, t) + h * D,
                                          .x = gri_read(ex, x, t, h * D, D, room),
                                          .w = w.data,
                                          .r = gr_tensor_f32(r, t)[h]};
                ex->rows->norm_sums(&row, sum, NULL); // first: dx may be dy
                ex->rows->norm_gradient(&row, false, gr_tensor_f32(dx, t) + h * D);
            }
        }
    }
    if (sums) {
        add_sums(ex, sums, blocks, dw);
    }
    gr_arena_reset(ex->scratch, mark);
}
