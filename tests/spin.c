/// An infinite loop inside the library of matrix products, for tests of hangs: loaded before it (LD_PRELOAD) into the rank that is
/// to hang. From the moment on at which the file $GR_SPIN_WHEN exists, the product never returns.
#include <cblas.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

typedef void product(enum CBLAS_ORDER, enum CBLAS_TRANSPOSE, enum CBLAS_TRANSPOSE, blasint,
                     blasint, blasint, float, const float *, blasint, const float *, blasint,
                     float, float *, blasint);

void cblas_sgemm(OPENBLAS_CONST enum CBLAS_ORDER order, OPENBLAS_CONST enum CBLAS_TRANSPOSE ta,
                 OPENBLAS_CONST enum CBLAS_TRANSPOSE tb, OPENBLAS_CONST blasint m,
                 OPENBLAS_CONST blasint n, OPENBLAS_CONST blasint k, OPENBLAS_CONST float alpha,
                 OPENBLAS_CONST float *a, OPENBLAS_CONST blasint lda, OPENBLAS_CONST float *b,
                 OPENBLAS_CONST blasint ldb, OPENBLAS_CONST float beta, float *c,
                 OPENBLAS_CONST blasint ldc)
{
    static product *real;
    const char *when = getenv("GR_SPIN_WHEN");
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "cblas_sgemm");
    }
    for (volatile int on = when && access(when, F_OK) == 0; on;) {
    }
    real(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
