#include "src/ops/work.h"

#include <string.h>

static void copy(float *to, const float *from, int64_t n)
{
    memcpy(to, from, (size_t)n * sizeof(float));
}

/// The patch at row r, column c of one image [channels, S, S].
static void copy_patch(const float *image, int64_t channels, int64_t side, int64_t patch,
                       int64_t r, int64_t c, float *out)
{
    for (int64_t k = 0; k < channels; k++) {
        for (int64_t i = 0; i < patch; i++) {
            copy(out, image + (k * side + r * patch + i) * side + c * patch, patch);
            out += patch;
        }
    }
}

void gr_patchify_cpu(gr_exec *ex, gr_tensor pixels, int64_t patch, gr_tensor y)
{
    GR_ASSERT(pixels.dtype == GR_DTYPE_F32 && pixels.ndim == 4 && patch > 0);
    int64_t B = pixels.shape[0], channels = pixels.shape[1], S = pixels.shape[2], g = S / patch;
    GR_ASSERT(pixels.shape[3] == S);
    GR_ASSERT(gri_is_2d(y, B * g * g, channels * patch * patch));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < B * g * g; i++) {
        copy_patch(gr_tensor_f32(pixels, i / (g * g)), channels, S, patch, i / g % g, i % g,
                   gr_tensor_f32(y, i));
    }
}

/// The side g of the grid behind x [B, g g, C], after checking that y is its shuffled shape.
static int64_t shuffle_side(gr_tensor x, gr_tensor y)
{
    int64_t B = x.shape[0], C = x.shape[2], g = 0;
    while (g * g < x.shape[1]) {
        g += 2;
    }
    GR_ASSERT(gri_is_3d(x, B, g * g, C) && gri_is_3d(y, B, g * g / 4, 4 * C));
    return g;
}

typedef enum shuffle_way { UNSHUFFLED_TO_SHUFFLED, SHUFFLED_TO_UNSHUFFLED } shuffle_way;

static void shuffle(gr_exec *ex, gr_tensor x, gr_tensor y, shuffle_way way)
{
    int64_t C = x.shape[2], g = shuffle_side(x, y);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < x.shape[0] * g; i++) {
        // Row i % g of image i / g: cells 2c and 2c + 1 lie side by side in x and in y.
        int64_t b = i / g, r = i % g;
        float *wide = gr_tensor_f32(x, b) + r * g * C;
        float *deep = gr_tensor_f32(y, b) + (r / 2) * (g / 2) * 4 * C + r % 2 * 2 * C;
        for (int64_t c = 0; c < g / 2; c++) {
            if (way == UNSHUFFLED_TO_SHUFFLED) {
                copy(deep + c * 4 * C, wide + c * 2 * C, 2 * C);
            } else {
                copy(wide + c * 2 * C, deep + c * 4 * C, 2 * C);
            }
        }
    }
}

void gr_pixel_shuffle_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    shuffle(ex, x, y, UNSHUFFLED_TO_SHUFFLED);
}

void gr_pixel_shuffle_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor dx)
{
    shuffle(ex, dx, dy, SHUFFLED_TO_UNSHUFFLED);
}

void gr_rows_scatter_cpu(gr_exec *ex, gr_tensor x, gr_tensor rows, gr_tensor y)
{
    int64_t M = x.shape[0], T = y.shape[0], C = x.shape[1];
    GR_ASSERT(gri_is_2d(x, M, C) && gri_is_2d(y, T, C));
    const int32_t *row = gri_i32(rows, M);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t m = 0; m < M; m++) {
        GR_ASSERT(row[m] >= 0 && row[m] < T);
        copy(gr_tensor_f32(y, row[m]), gr_tensor_f32(x, m), C);
    }
}

void gr_rows_gather_cpu(gr_exec *ex, gr_tensor x, gr_tensor rows, gr_tensor y)
{
    int64_t M = y.shape[0], T = x.shape[0], C = x.shape[1];
    GR_ASSERT(gri_is_2d(x, T, C) && gri_is_2d(y, M, C));
    const int32_t *row = gri_i32(rows, M);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t m = 0; m < M; m++) {
        GR_ASSERT(row[m] >= 0 && row[m] < T);
        copy(gr_tensor_f32(y, m), gr_tensor_f32(x, row[m]), C);
    }
}
