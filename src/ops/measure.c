#include "src/ops/measure.h"

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/ops/work.h"

enum { SIZE = 1024, CALLS = 2, MATRICES = 3 };

struct gr_product {
    gr_exec *ex;
    float *memory;
};

static gr_tensor matrix(float *memory, int i, int which, gr_dtype dtype)
{
    gr_tensor t =
        gr_tensor_2d(memory + ((int64_t)i * MATRICES + which) * SIZE * SIZE, SIZE, SIZE);
    t.dtype = dtype;
    return t;
}

gr_err gr_product_create(gr_exec *ex, gr_product **out)
{
    gr_err err = GR_OK;
    gr_product *p = NULL;
    const int64_t count = (int64_t)ex->threads * MATRICES * SIZE * SIZE;
    GR_ALLOC(p, 1);
    p->ex = ex;
    GR_ALLOC(p->memory, count);
    for (int64_t i = 0; i < count; i++) {
        p->memory[i] =
            (float)(i % 17) / 16; // the upper halves are bf16 numbers, the lower ones zeros
    }
    (void)gr_product_run(p, 1); // warms up: pages, buffers of the library, threads
    *out = p;
    p = NULL;
done:
    gr_product_destroy(&p);
    return err;
}

void gr_product_destroy(gr_product **product)
{
    if (*product) {
        GR_FREE((*product)->memory);
        GR_FREE(*product);
    }
}

double gr_product_run(const gr_product *p, int calls)
{
    const gr_exec *ex = p->ex;
    float *memory = p->memory;
    gr_dtype dtype = ex->precision == GR_PRECISION_BF16 ? GR_DTYPE_BF16 : GR_DTYPE_F32;
#pragma omp parallel for num_threads(ex->threads) schedule(static)
    for (int i = 0; i < ex->threads; i++) {
        for (int call = 0; call < calls; call++) {
            gri_gemm(1, matrix(memory, i, 0, dtype), GRI_PLAIN, matrix(memory, i, 1, dtype),
                     GRI_TRANSPOSED, 0, matrix(memory, i, 2, GR_DTYPE_F32));
        }
    }
    return 2.0 * SIZE * SIZE * SIZE * calls * ex->threads;
}

gr_err gr_product_measure(gr_exec *ex, double seconds, gr_clock_fn *now, double *rate)
{
    gr_err err = GR_OK;
    gr_product *product = NULL;
    double operations = 0;
    GR_TRY(gr_product_create(ex, &product));
    double begun = gr_clock(), start = now(), passed = 0;
    while (operations == 0 || gr_clock() - begun < seconds) {
        operations += gr_product_run(product, CALLS);
        passed = now() - start;
    }
    *rate = operations / passed;
done:
    gr_product_destroy(&product);
    return err;
}
