#include "src/ops/work.h"

#include <math.h>
#include <string.h>

/// Parameter gradients are summed in double over blocks of this many rows, block sums in order.
enum { BLOCK = 128 };

static int64_t block_count(gr_tensor x)
{
    return gri_tiles(x.shape[0], BLOCK);
}

static double *take_sums(gr_exec *ex, gr_tensor x, bool wanted)
{
    int64_t bytes = block_count(x) * x.shape[1] * (int64_t)sizeof(double);
    return wanted ? gr_arena_take(ex->scratch, bytes) : NULL;
}

/// Sums of block i, cleared; NULL where none are wanted.
static double *block_sums(double *sums, int64_t i, int64_t channels)
{
    if (!sums) {
        return NULL;
    }
    return memset(sums + i * channels, 0, (size_t)channels * sizeof(double));
}

/// dw[c] += sum of all blocks.
static void add_sums(gr_exec *ex, const double *sums, int64_t blocks, gr_tensor dw)
{
    int64_t C = dw.shape[0];
    float *out = dw.data;
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t c = 0; c < gri_each(ex, C); c++) {
        double sum = 0;
        for (int64_t i = 0; i < blocks; i++) {
            sum += sums[i * C + c];
        }
        out[c] += (float)sum;
    }
}

/// Row n of y = w (x - m) r + b.
static void write_row(const gr_exec *ex, const float *x, const float *w, const float *b,
                      float m, float r, gr_tensor y, int64_t n)
{
    float room[GRI_PIECE];
    int64_t C = y.shape[1];
    for (int64_t i = 0; i < gri_tiles(C, GRI_PIECE); i++) {
        int64_t from = i * GRI_PIECE, count = gri_tile_length(C, GRI_PIECE, i);
        ex->rows->norm(count, x + from, w + from, b ? b + from : NULL, m, r,
                       gri_place(y, n, from, room));
        gri_wrote(ex, y, n, from, count, room);
    }
}

void gr_rmsnorm_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor w, double eps, gr_tensor y,
                        gr_tensor r)
{
    int64_t N = x.shape[0], C = x.shape[1];
    GR_ASSERT(gri_is_2d(x, N, C) && gri_is_1d(w, C) && gri_fits_2d(y, N, C) && gri_is_1d(r, N));
    const float *weight = w.data;
    float *rstd = r.data;
    gri_begin_rows(ex, "rmsnorm_fwd", N, C);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t n = 0; n < gri_each(ex, N); n++) {
        const float *in = gr_tensor_f32(x, n);
        rstd[n] = (float)(1 / sqrt(ex->rows->dot(C, in, in) / (double)C + eps));
        write_row(ex, in, weight, NULL, 0, rstd[n], y, n);
    }
}

/// What both backward passes are told.
typedef struct norm_bwd {
    gr_tensor dy, x, w, m, r, dx, dw, db; ///< m absent for RMSNorm
    bool accumulate;
} norm_bwd;

static gri_norm_row row_of(const norm_bwd *a, int64_t n)
{
    bool center = gr_tensor_present(a->m);
    return (gri_norm_row){.channels = a->x.shape[1],
                          .dy = gr_tensor_f32(a->dy, n),
                          .x = gr_tensor_f32(a->x, n),
                          .w = a->w.data,
                          .m = center ? *gr_tensor_f32(a->m, n) : 0,
                          .r = *gr_tensor_f32(a->r, n),
                          .center = center};
}

static void backward(gr_exec *ex, const norm_bwd *a)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    int64_t N = a->x.shape[0], C = a->x.shape[1];
    double *dw_sums = take_sums(ex, a->x, gr_tensor_present(a->dw));
    double *db_sums = take_sums(ex, a->x, gr_tensor_present(a->db));
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, block_count(a->x)); i++) {
        double *dw = block_sums(dw_sums, i, C);
        double *db = block_sums(db_sums, i, C);
        for (int64_t n = i * BLOCK; n < i * BLOCK + gri_tile_length(N, BLOCK, i); n++) {
            gri_norm_row row = row_of(a, n);
            ex->rows->norm_sums(&row, dw, db);
            if (gr_tensor_present(a->dx)) {
                ex->rows->norm_gradient(&row, a->accumulate, gr_tensor_f32(a->dx, n));
            }
        }
    }
    if (dw_sums) {
        add_sums(ex, dw_sums, block_count(a->x), a->dw);
    }
    if (db_sums) {
        add_sums(ex, db_sums, block_count(a->x), a->db);
    }
    gr_arena_reset(ex->scratch, mark);
}

static void check_backward(const norm_bwd *a)
{
    int64_t N = a->x.shape[0], C = a->x.shape[1];
    GR_ASSERT(gri_is_2d(a->dy, N, C) && gri_is_2d(a->x, N, C));
    GR_ASSERT(gri_is_1d(a->w, C) && gri_is_1d(a->r, N));
    GR_ASSERT(!gr_tensor_present(a->m) || gri_is_1d(a->m, N));
    GR_ASSERT(!gr_tensor_present(a->dx) || gri_is_2d(a->dx, N, C));
    GR_ASSERT(!gr_tensor_present(a->dw) || gri_is_1d(a->dw, C));
    GR_ASSERT(!gr_tensor_present(a->db) || gri_is_1d(a->db, C));
}

void gr_rmsnorm_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor w, gr_tensor r,
                        gr_tensor dx, bool accumulate, gr_tensor dw)
{
    norm_bwd a = {dy, x, w, gr_tensor_none(), r, dx, dw, gr_tensor_none(), accumulate};
    check_backward(&a);
    gri_begin_rows(ex, "rmsnorm_bwd", x.shape[0], x.shape[1]);
    backward(ex, &a);
}

void gr_layernorm_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor w, gr_tensor b, double eps,
                          gr_tensor y, gr_tensor m, gr_tensor r)
{
    int64_t N = x.shape[0], C = x.shape[1];
    GR_ASSERT(gri_is_2d(x, N, C) && gri_is_1d(w, C) && gri_is_1d(b, C));
    GR_ASSERT(gri_fits_2d(y, N, C) && gri_is_1d(m, N) && gri_is_1d(r, N));
    const float *weight = w.data, *bias = b.data;
    float *means = m.data, *rstd = r.data;
    gri_begin_rows(ex, "layernorm_fwd", N, C);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t n = 0; n < gri_each(ex, N); n++) {
        const float *in = gr_tensor_f32(x, n);
        double mean = ex->rows->sum(C, in) / (double)C;
        means[n] = (float)mean;
        rstd[n] = (float)(1 / sqrt(ex->rows->spread(C, in, mean) / (double)C + eps));
        write_row(ex, in, weight, bias, means[n], rstd[n], y, n);
    }
}

void gr_layernorm_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor x, gr_tensor w, gr_tensor m,
                          gr_tensor r, gr_tensor dx, bool accumulate, gr_tensor dw,
                          gr_tensor db)
{
    norm_bwd a = {dy, x, w, m, r, dx, dw, db, accumulate};
    GR_ASSERT(gri_is_1d(m, x.shape[0]));
    check_backward(&a);
    gri_begin_rows(ex, "layernorm_bwd", x.shape[0], x.shape[1]);
    backward(ex, &a);
}
