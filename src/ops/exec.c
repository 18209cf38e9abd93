#include "src/ops/exec.h"

#include "src/base/mem.h"
#include "src/ops/onednn.h"

#include <cblas.h>
#include <stdlib.h>
#include <strings.h>

gr_err gr_exec_create_cpu(int threads, int64_t arena_bytes, gr_exec **out)
{
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    gr_vectors vectors = GR_VECTORS_PLAIN;
    GR_TRY(gr_cpu_vectors(&vectors));
    if (threads < 1) {
        GR_FAIL(GR_ERR_USAGE, "expected at least 1 thread, got %d", threads);
    }
    GR_ALLOC(ex, 1);
    GR_TRY(gr_arena_create(arena_bytes, &ex->scratch));
    ex->ops = gr_ops_cpu();
    ex->threads = threads;
    ex->rows = gri_rows_of(vectors);
    openblas_set_num_threads(1);
    *out = ex;
    ex = NULL;
done:
    gr_exec_destroy(&ex);
    return err;
}

void gr_exec_destroy(gr_exec **ex)
{
    if (*ex) {
        gr_arena_destroy(&(*ex)->scratch);
        GR_FREE(*ex);
    }
}

const char *gr_precision_name(gr_precision precision)
{
    return precision == GR_PRECISION_BF16 ? "bf16" : "fp32";
}

gr_err gr_exec_set_precision(gr_exec *ex, gr_precision precision)
{
    gr_err err = GR_OK;
    if (precision == GR_PRECISION_BF16) {
        GR_TRY(gri_onednn_check());
    }
    ex->precision = precision;
done:
    return err;
}

const char *gr_blas_kernel(void)
{
    return openblas_get_corename();
}

const char *gr_blas_better_kernel(void)
{
    return gri_blas_advice(gr_cpu_get(), gr_blas_kernel(), getenv("OPENBLAS_CORETYPE"));
}

static bool listed(const char *core, const char *const *list)
{
    while (*list && strcasecmp(core, *list) != 0) {
        list++;
    }
    return *list != NULL;
}

const char *gri_blas_advice(const gr_cpu *cpu, const char *core, const char *user)
{
    static const char *const with_avx512[] = {"SkylakeX", "Cooperlake", "SapphireRapids", NULL};
    static const char *const with_avx2[] = {"Haswell", "Zen", NULL};
    if (user || listed(core, with_avx512)) {
        return NULL;
    }
    if (cpu->avx512) {
        return "SkylakeX";
    }
    return cpu->avx2 && cpu->fma && !listed(core, with_avx2) ? "Haswell" : NULL;
}
