#include "src/ops/work.h"

#include <math.h>
#include <string.h>

/// Channels that one thread adds at a time in resize_bwd.
enum { COLUMNS = 128, TAPS = 4 };

/// Where one output index of an axis takes its value from.
typedef struct taps {
    int64_t at[TAPS];
    float weight[TAPS];
} taps;

static double cubic(double u)
{
    const double a = -0.75;
    if (u <= 1) {
        return ((a + 2) * u - (a + 3)) * u * u + 1;
    }
    return ((a * u - 5 * a) * u + 8 * a) * u - 4 * a;
}

static int64_t clamp(int64_t i, int64_t count)
{
    return i < 0 ? 0 : i < count ? i : count - 1;
}

static taps *take_taps(gr_exec *ex, int64_t in, int64_t out)
{
    taps *all = gr_arena_take(ex->scratch, out * (int64_t)sizeof *all);
    for (int64_t d = 0; d < out; d++) {
        double s = ((double)d + 0.5) * (double)in / (double)out - 0.5, first = floor(s);
        const double t = s - first, distance[TAPS] = {t + 1, t, 1 - t, 2 - t};
        for (int k = 0; k < TAPS; k++) {
            all[d].at[k] = clamp((int64_t)first - 1 + k, in);
            all[d].weight[k] = (float)cubic(distance[k]);
        }
    }
    return all;
}

static void add_scaled(int64_t n, float factor, const float *from, float *to)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] += factor * from[i];
    }
}

void gr_resize_fwd_cpu(gr_exec *ex, gr_tensor p, gr_tensor y)
{
    int64_t g = p.shape[0], h = p.shape[1], C = p.shape[2], G = y.shape[0], H = y.shape[1];
    GR_ASSERT(gri_is_3d(p, g, h, C) && gri_is_3d(y, G, H, C) && g > 0 && h > 0);
    gri_begin_rows(ex, "resize_fwd", G * H, C);
    int64_t mark = gr_arena_mark(ex->scratch);
    const taps *rows = take_taps(ex, g, G), *columns = take_taps(ex, h, H);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t i = 0; i < gri_each(ex, G * H); i++) {
        const taps *r = &rows[i / H], *c = &columns[i % H];
        float *out = gr_tensor_f32(y, i / H) + i % H * C;
        memset(out, 0, (size_t)C * sizeof *out);
        for (int k = 0; k < TAPS * TAPS; k++) {
            add_scaled(C, r->weight[k / TAPS] * c->weight[k % TAPS],
                       gr_tensor_f32(p, r->at[k / TAPS]) + c->at[k % TAPS] * C, out);
        }
    }
    gr_arena_reset(ex->scratch, mark);
}

void gr_resize_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor dp)
{
    int64_t g = dp.shape[0], h = dp.shape[1], C = dp.shape[2], G = dy.shape[0], H = dy.shape[1];
    GR_ASSERT(gri_is_3d(dp, g, h, C) && gri_is_3d(dy, G, H, C) && g > 0 && h > 0);
    gri_begin_rows(ex, "resize_bwd", G * H, C);
    int64_t mark = gr_arena_mark(ex->scratch);
    const taps *rows = take_taps(ex, g, G), *columns = take_taps(ex, h, H);
    // Many outputs take from one entry: threads share the channels, not the outputs.
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t tile = 0; tile < gri_each(ex, gri_tiles(C, COLUMNS)); tile++) {
        int64_t from = tile * COLUMNS, n = gri_tile_length(C, COLUMNS, tile);
        for (int64_t i = 0; i < G * H; i++) {
            const taps *r = &rows[i / H], *c = &columns[i % H];
            for (int k = 0; k < TAPS * TAPS; k++) {
                add_scaled(n, r->weight[k / TAPS] * c->weight[k % TAPS],
                           gr_tensor_f32(dy, i / H) + i % H * C + from,
                           gr_tensor_f32(dp, r->at[k / TAPS]) + c->at[k % TAPS] * C + from);
            }
        }
    }
    gr_arena_reset(ex->scratch, mark);
}

void gr_prepend_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor prefix, gr_tensor y)
{
    int64_t B = x.shape[0], N = x.shape[1], C = x.shape[2], P = y.shape[1] - N;
    GR_ASSERT(gri_is_3d(x, B, N, C) && gri_is_3d(y, B, P + N, C) && P >= 0);
    GR_ASSERT(!gr_tensor_present(prefix) || gri_is_2d(prefix, P, C));
    gri_begin_rows(ex, "prepend_fwd", B * N, C);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t b = 0; b < gri_each(ex, B); b++) {
        float *out = gr_tensor_f32(y, b);
        for (int64_t n = 0; n < P; n++) {
            if (gr_tensor_present(prefix)) {
                memcpy(out + n * C, gr_tensor_f32(prefix, n), (size_t)C * sizeof *out);
            } else {
                memset(out + n * C, 0, (size_t)C * sizeof *out);
            }
        }
        memcpy(out + P * C, gr_tensor_f32(x, b), (size_t)(N * C) * sizeof *out);
    }
}

void gr_prepend_bwd_cpu(gr_exec *ex, gr_tensor dy, gr_tensor dx, gr_tensor dprefix)
{
    int64_t B = dx.shape[0], N = dx.shape[1], C = dx.shape[2], P = dy.shape[1] - N;
    GR_ASSERT(gri_is_3d(dx, B, N, C) && gri_is_3d(dy, B, P + N, C) && P >= 0);
    GR_ASSERT(!gr_tensor_present(dprefix) || gri_is_2d(dprefix, P, C));
    gri_begin_rows(ex, "prepend_bwd", B * N, C);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t b = 0; b < gri_each(ex, B); b++) {
        memcpy(gr_tensor_f32(dx, b), gr_tensor_f32(dy, b) + P * C,
               (size_t)(N * C) * sizeof(float));
    }
    for (int64_t b = 0; gr_tensor_present(dprefix) && b < gri_each(ex, B); b++) {
        for (int64_t n = 0; n < P; n++) {
            add_scaled(C, 1, gr_tensor_f32(dy, b) + n * C, gr_tensor_f32(dprefix, n));
        }
    }
}
