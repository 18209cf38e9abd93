#include "src/optim/adamw_rows.h"

#include "src/base/cpu.h"
#include "src/base/elementary.h"

#include <math.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

enum { UPDATE_BLOCK = 16384 };

static gri_adamw_factors factors_of(const gr_adamw *opt)
{
    double correction1 = 1 - gr_pow(opt->beta1, (double)opt->step);
    double correction2 = 1 - gr_pow(opt->beta2, (double)opt->step);
    return (gri_adamw_factors){.grad = (float)opt->grad_scale,
                               .keep = (float)(1 - opt->learning_rate * opt->weight_decay),
                               .b1 = (float)opt->beta1,
                               .one_b1 = (float)(1 - opt->beta1),
                               .b2 = (float)opt->beta2,
                               .one_b2 = (float)(1 - opt->beta2),
                               .step = (float)(opt->learning_rate / correction1),
                               .root_2 = (float)sqrt(correction2),
                               .eps = (float)opt->eps};
}

/// An unusable GRADUS_VECTORS was refused when the exec was made; here it means plain.
static const gri_adamw_rows *rows_now(void)
{
    gr_vectors vectors = GR_VECTORS_PLAIN;
    if (gr_cpu_vectors(&vectors) != GR_OK) {
        gr_err_clear();
    }
    return vectors == GR_VECTORS_AVX512 ? &gri_adamw_avx512
           : vectors == GR_VECTORS_AVX2 ? &gri_adamw_avx2
                                        : &gri_adamw_plain;
}

static int64_t at_most(int64_t n, int64_t limit)
{
    return n < limit ? n : limit;
}

/// Stores that do not first read the lines they overwrite.
static void store_past_caches(float *to, const float *from, int64_t n)
{
    int64_t i = 0;
#ifdef __SSE2__
    for (; i < n && (uintptr_t)(to + i) % sizeof(__m128) != 0; i++) {
        to[i] = from[i];
    }
    for (; i + 4 <= n; i += 4) {
        _mm_stream_ps(to + i, _mm_loadu_ps(from + i));
    }
#endif
    for (; i < n; i++) {
        to[i] = from[i];
    }
}

/// What was stored past the caches is there before what follows.
static void finish_stores(void)
{
#ifdef __SSE2__
    _mm_sfence();
#endif
}

void gr_adamw_update_copied(const gr_adamw *opt, int64_t n, float *param, const float *grad,
                            float *m, float *v, gr_adamw_copy copy, int threads)
{
    gri_adamw_factors f = factors_of(opt);
    const gri_adamw_rows *rows = rows_now();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i += UPDATE_BLOCK) {
        int64_t count = at_most(n - i, UPDATE_BLOCK);
        rows->update(f, count, param + i, grad + i, m + i, v + i);
        store_past_caches(copy.param + i, param + i, count);
        store_past_caches(copy.m + i, m + i, count);
        store_past_caches(copy.v + i, v + i, count);
        finish_stores();
    }
}

void gr_adamw_update(const gr_adamw *opt, int64_t n, float *param, const float *grad, float *m,
                     float *v, int threads)
{
    gri_adamw_factors f = factors_of(opt);
    const gri_adamw_rows *rows = rows_now();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i += UPDATE_BLOCK) {
        rows->update(f, at_most(n - i, UPDATE_BLOCK), param + i, grad + i, m + i, v + i);
    }
}

void gr_square_sums(int64_t n, const float *x, double *sums, int threads)
{
    const gri_adamw_rows *rows = rows_now();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t at = 0; at < n; at += GR_NORM_BLOCK) {
        sums[at / GR_NORM_BLOCK] = rows->squares(at_most(n - at, GR_NORM_BLOCK), x + at);
    }
}
