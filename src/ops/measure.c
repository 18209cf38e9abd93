#include "src/ops/measure.h"

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/ops/work.h"

enum { SIZE = 1024, CALLS = 2, MATRICES = 3 };

static gr_tensor matrix(float *memory, int i, int which, gr_dtype dtype)
{
    gr_tensor t =
        gr_tensor_2d(memory + ((int64_t)i * MATRICES + which) * SIZE * SIZE, SIZE, SIZE);
    t.dtype = dtype;
    return t;
}

/// CALLS products in each thread.
static void multiply(const gr_exec *ex, float *memory)
{
    gr_dtype dtype = ex->precision == GR_PRECISION_BF16 ? GR_DTYPE_BF16 : GR_DTYPE_F32;
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int i = 0; i < ex->threads; i++) {
        for (int call = 0; call < CALLS; call++) {
            gri_gemm(1, matrix(memory, i, 0, dtype), GRI_PLAIN, matrix(memory, i, 1, dtype),
                     GRI_TRANSPOSED, 0, matrix(memory, i, 2, GR_DTYPE_F32));
        }
    }
}

gr_err gr_product_measure(gr_exec *ex, double seconds, gr_clock_fn *now, double *rate)
{
    gr_err err = GR_OK;
    float *memory = NULL;
    int64_t calls = 0, count = (int64_t)ex->threads * MATRICES * SIZE * SIZE;
    GR_ALLOC(memory, count);
    for (int64_t i = 0; i < count; i++) {
        memory[i] =
            (float)(i % 17) / 16; // the upper halves are bf16 numbers, the lower ones zeros
    }
    multiply(ex, memory); // warms up: pages, buffers of the library, threads
    double begun = gr_clock(), start = now(), passed = 0;
    while (calls == 0 || gr_clock() - begun < seconds) {
        multiply(ex, memory);
        calls += CALLS;
        passed = now() - start;
    }
    *rate = 2.0 * SIZE * SIZE * SIZE * (double)calls * ex->threads / passed;
done:
    GR_FREE(memory);
    return err;
}
