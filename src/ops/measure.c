#include "src/ops/measure.h"

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/ops/work.h"

enum { SIZE = 1024, CALLS = 2, MATRICES = 3 };

/// CALLS products in each thread.
static void multiply(int threads, float *memory)
{
    const int64_t count = SIZE * SIZE;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < threads; i++) {
        const float *own = memory + i * MATRICES * count;
        for (int call = 0; call < CALLS; call++) {
            gri_gemm(1, gr_tensor_2d(own, SIZE, SIZE), GRI_PLAIN,
                     gr_tensor_2d(own + count, SIZE, SIZE), GRI_TRANSPOSED, 0,
                     gr_tensor_2d(own + 2 * count, SIZE, SIZE));
        }
    }
}

gr_err gr_blas_measure(int threads, double seconds, gr_clock_fn *now, double *rate)
{
    gr_err err = GR_OK;
    float *memory = NULL;
    double passed = 0, begun = gr_clock();
    int64_t calls = 0;
    GR_ALLOC(memory, (int64_t)threads * MATRICES * SIZE * SIZE);
    multiply(threads, memory); // warms up: pages, buffers of the BLAS, threads
    for (int64_t i = 0; i < (int64_t)threads * MATRICES * SIZE * SIZE; i++) {
        memory[i] = (float)(i % 17) / 16;
    }
    double start = now();
    while (calls == 0 || gr_clock() - begun < seconds) {
        multiply(threads, memory);
        calls += CALLS;
        passed = now() - start;
    }
    *rate = 2.0 * SIZE * SIZE * SIZE * (double)calls * threads / passed;
done:
    GR_FREE(memory);
    return err;
}
