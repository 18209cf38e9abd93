#include "src/ops/work.h"

#include <string.h>

static void copy(float *to, const float *from, int64_t n)
{
    memcpy(to, from, (size_t)n * sizeof(float));
}

/// The patch at row r, column c of one image [channels, height, width].
static void copy_patch(const float *image, const int64_t *shape, int64_t patch, int64_t r,
                       int64_t c, float *out)
{
    int64_t channels = shape[1], height = shape[2], width = shape[3];
    for (int64_t k = 0; k < channels; k++) {
        for (int64_t i = 0; i < patch; i++) {
            copy(out, image + (k * height + r * patch + i) * width + c * patch, patch);
            out += patch;
        }
    }
}

/// The same of one image [height, width, channels] of bytes.
static void look_up_patch(const unsigned char *image, const int64_t *shape,
                          const float (*table)[256], int64_t patch, int64_t r, int64_t c,
                          float *out)
{
    int64_t width = shape[2], channels = shape[3];
    for (int64_t k = 0; k < channels; k++) {
        for (int64_t i = 0; i < patch; i++) {
            const unsigned char *from =
                image + ((r * patch + i) * width + c * patch) * channels + k;
            for (int64_t j = 0; j < patch; j++) {
                out[j] = table[k][from[j * channels]];
            }
            out += patch;
        }
    }
}

void gr_patchify_cpu(gr_exec *ex, gr_tensor pixels, const float (*table)[256], int64_t patch,
                     gr_tensor y)
{
    bool bytes = pixels.dtype == GR_DTYPE_U8;
    GR_ASSERT(pixels.ndim == 4 && patch > 0 && bytes == (table != NULL));
    const int64_t *shape = pixels.shape, *sides = shape + (bytes ? 1 : 2);
    int64_t B = shape[0], g = sides[0] / patch, h = sides[1] / patch;
    GR_ASSERT(gri_is_2d(y, B * g * h, shape[bytes ? 3 : 1] * patch * patch));
    gri_begin_rows(ex, "patchify", y.shape[0], y.shape[1]);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, B * g * h); i++) {
        int64_t image = i / (g * h), r = i / h % g, c = i % h;
        if (bytes) {
            look_up_patch((const unsigned char *)pixels.data + image * pixels.row_stride, shape,
                          table, patch, r, c, gr_tensor_f32(y, i));
        } else {
            copy_patch(gr_tensor_f32(pixels, image), shape, patch, r, c, gr_tensor_f32(y, i));
        }
    }
}

typedef enum shuffle_way { UNSHUFFLED_TO_SHUFFLED, SHUFFLED_TO_UNSHUFFLED } shuffle_way;

/// Row r of the grid of image b: cells 2c and 2c + 1 lie side by side in x, and in the token of y.
static void shuffle_row(gr_tensor x, bool by_column, gr_tensor y, shuffle_way way, int64_t b,
                        int64_t r)
{
    int64_t rows = x.shape[1] / 2, columns = x.shape[2] / 2, C = x.shape[3];
    float *wide = gr_tensor_f32(x, b) + r * x.shape[2] * C;
    for (int64_t c = 0; c < columns; c++) {
        int64_t token = by_column ? c * rows + r / 2 : r / 2 * columns + c;
        float *deep = gr_tensor_f32(y, b) + token * 4 * C + r % 2 * 2 * C;
        if (way == UNSHUFFLED_TO_SHUFFLED) {
            copy(deep, wide + c * 2 * C, 2 * C);
        } else {
            copy(wide + c * 2 * C, deep, 2 * C);
        }
    }
}

static void shuffle(gr_exec *ex, gr_tensor x, bool by_column, gr_tensor y, shuffle_way way)
{
    int64_t B = x.shape[0], g = x.shape[1], h = x.shape[2], C = x.shape[3];
    GR_ASSERT(x.dtype == GR_DTYPE_F32 && x.ndim == 4 && g % 2 == 0 && h % 2 == 0);
    GR_ASSERT(gri_is_3d(y, B, g * h / 4, 4 * C));
    gri_begin_rows(ex, "pixel_shuffle", B * g * h, C);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, B * g); i++) {
        shuffle_row(x, by_column, y, way, i / g, i % g);
    }
}

void gr_pixel_shuffle_fwd_cpu(gr_exec *ex, gr_tensor x, bool by_column, gr_tensor y)
{
    shuffle(ex, x, by_column, y, UNSHUFFLED_TO_SHUFFLED);
}

void gr_pixel_shuffle_bwd_cpu(gr_exec *ex, gr_tensor dy, bool by_column, gr_tensor dx)
{
    shuffle(ex, dx, by_column, dy, SHUFFLED_TO_UNSHUFFLED);
}

/// Row r of y from row m of x, each fp32 or bf16.
static void copy_row(const gr_exec *ex, gr_tensor x, int64_t m, gr_tensor y, int64_t r)
{
    float room[GRI_PIECE];
    int64_t C = x.shape[1];
    for (int64_t i = 0; i < gri_tiles(C, GRI_PIECE); i++) {
        int64_t from = i * GRI_PIECE, n = gri_tile_length(C, GRI_PIECE, i);
        const float *numbers = gri_read(ex, x, m, from, n, room);
        if (y.dtype == GR_DTYPE_F32) {
            copy(gr_tensor_f32(y, r) + from, numbers, n);
        } else {
            gri_wrote(ex, y, r, from, n, numbers);
        }
    }
}

void gr_rows_copy_cpu(gr_exec *ex, gr_tensor x, gr_tensor y)
{
    int64_t M = x.shape[0], C = x.shape[1];
    GR_ASSERT(gri_fits_2d(x, M, C) && gri_fits_2d(y, M, C));
    gri_begin_rows(ex, "rows_copy", M, C);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t m = 0; m < gri_each(ex, M); m++) {
        copy_row(ex, x, m, y, m);
    }
}

void gr_rows_scatter_cpu(gr_exec *ex, gr_tensor x, gr_tensor rows, gr_tensor y)
{
    int64_t M = x.shape[0], T = y.shape[0], C = x.shape[1];
    GR_ASSERT(gri_fits_2d(x, M, C) && gri_fits_2d(y, T, C));
    gri_begin_rows(ex, "rows_scatter", M, C);
    const int32_t *row = gri_i32(rows, M);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t m = 0; m < gri_each(ex, M); m++) {
        GR_ASSERT(row[m] >= 0 && row[m] < T);
        copy_row(ex, x, m, y, row[m]);
    }
}

void gr_rows_gather_cpu(gr_exec *ex, gr_tensor x, gr_tensor rows, gr_tensor y)
{
    int64_t M = y.shape[0], T = x.shape[0], C = x.shape[1];
    GR_ASSERT(gri_is_2d(x, T, C) && gri_is_2d(y, M, C));
    gri_begin_rows(ex, "rows_gather", M, C);
    const int32_t *row = gri_i32(rows, M);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t m = 0; m < gri_each(ex, M); m++) {
        GR_ASSERT(row[m] >= 0 && row[m] < T);
        copy(gr_tensor_f32(y, m), gr_tensor_f32(x, row[m]), C);
    }
}
