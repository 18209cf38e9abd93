#include "src/base/elementary.h"
#include "src/ops/work.h"

#include <omp.h>

/// theta^(-2j/D), rounded where the Hugging Face implementation rounds.
static void fill_frequencies(int64_t half, double theta, float *out)
{
    for (int64_t j = 0; j < half; j++) {
        float exponent = (float)j / (float)half;
        out[j] = 1.0F / (float)gr_pow(theta, (double)exponent);
    }
}

/// Rotates all heads of one token by direction (1 or -1) times its angles; `table` is for D floats.
static void rotate_token(const gr_rows *rows, gr_tensor x, int64_t t, float position,
                         float direction, const float *frequency, float *table)
{
    int64_t half = x.shape[2] / 2;
    rows->angles(half, position, frequency, table, table + half);
    rows->scale(half, table + half, direction);
    for (int64_t h = 0; h < x.shape[1]; h++) {
        rows->rotate(half, table, table + half, gr_tensor_f32(x, t) + h * x.shape[2]);
    }
}

static void rotate(gr_exec *ex, gr_tensor x, gr_tensor positions, double theta, float direction)
{
    int64_t T = x.shape[0], D = x.shape[2];
    GR_ASSERT(gri_is_3d(x, T, x.shape[1], D) && D % 2 == 0);
    const int32_t *position = gri_i32(positions, T);
    gri_begin_rows(ex, "rope", T, x.shape[1] * D);
    int64_t mark = gr_arena_mark(ex->scratch);
    float *frequency = gr_arena_f32(ex->scratch, D / 2);
    float *tables = gr_arena_f32(ex->scratch, ex->threads * D);
    fill_frequencies(gri_each(ex, D / 2), theta, frequency);
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int64_t t = 0; t < gri_each(ex, T); t++) {
        rotate_token(ex->rows, x, t, (float)position[t], direction, frequency,
                     tables + omp_get_thread_num() * D);
    }
    gr_arena_reset(ex->scratch, mark);
}

void gr_rope_fwd_cpu(gr_exec *ex, gr_tensor x, gr_tensor positions, double theta)
{
    rotate(ex, x, positions, theta, 1);
}

void gr_rope_bwd_cpu(gr_exec *ex, gr_tensor dx, gr_tensor positions, double theta)
{
    rotate(ex, dx, positions, theta, -1);
}
