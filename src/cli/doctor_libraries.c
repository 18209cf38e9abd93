#include "datasets/libraries.h"
#include "mpi/libraries.h"
#include "src/base/libraries.h"
#include "src/base/log.h"
#include "src/cli/doctor.h"
#include "src/cli/session.h"
#include "src/cli/start.h"
#include "src/formats/libraries.h"
#include "src/ops/libraries.h"
#include "src/ops/measure.h"

#include <stdlib.h>

gr_err gri_doctor_mpi(gri_report *r, const gr_world *world, gr_err world_err)
{
    gr_err err = GR_OK;
    gr_str text = {0};
    const char *launcher = gr_mpi_launcher();
    GR_TRY(gr_mpi_libraries(&text));
    GR_TRY(gr_str_addf(&text, "; %s%s", launcher ? "started by " : "started alone",
                       launcher ? launcher : ""));
    if (world_err != GR_OK) {
        GR_TRY(gri_report_add(r, GRI_FAIL, GR_ERR_UNAVAILABLE, "mpi", "%s; %s", text.data,
                              gr_err_message()));
    } else if (world->size == 1) {
        GR_TRY(gri_report_add(r, GRI_OK, GR_OK, "mpi",
                              "%s; 1 rank (start several with mpirun or srun)", text.data));
    } else {
        GR_TRY(gri_report_add(r, GRI_OK, GR_OK, "mpi", "%s; %d ranks, %d on this node",
                              text.data, world->size, world->local_size));
    }
done:
    gr_str_fini(&text);
    return err;
}

static gr_err measure_product(int threads, gr_clock_fn *clock, double *gflops)
{
    static const double SECONDS = 0.2;
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    double rate = 0;
    GR_TRY(gr_exec_create_cpu(threads, (int64_t)64 << 20, &ex));
    GR_TRY(gr_product_measure(ex, SECONDS, clock, &rate));
    *gflops = rate / 1e9;
done:
    gr_exec_destroy(&ex);
    return err;
}

static gr_err check_blas(gri_report *r)
{
    const char *better = gr_blas_better_kernel();
    const char *user = getenv("OPENBLAS_CORETYPE");
    if (better) {
        return gri_report_add(r, GRI_WARN, GR_OK, "blas",
                              "OpenBLAS runs %s kernels, this processor has %s: start with "
                              "OPENBLAS_CORETYPE=%s",
                              gr_blas_kernel(), better, better);
    }
    return gri_report_add(r, GRI_OK, GR_OK, "blas", "OpenBLAS runs %s kernels%s",
                          gr_blas_kernel(),
                          gri_start_set("OPENBLAS_CORETYPE")
                              ? " (corrected at start: it would have chosen others)"
                          : user ? " (OPENBLAS_CORETYPE is set)"
                                 : "");
}

// One core by its processor time, which others' work does not shorten; all threads by the clock, as training feels it.
// Every rank measures at the same time; rank 0 tells its own figures.
static gr_err check_product(gri_report *r, const gr_world *world)
{
    gr_err err = GR_OK;
    double one = 0, all = 0;
    int threads = gri_threads(0, world);
    threads = threads > 256 ? 256 : threads;
    err = measure_product(1, gr_clock_cpu, &one);
    err = err ? err : measure_product(threads, gr_clock, &all);
    if (err == GR_ERR_MEMORY) {
        r->no_products = true;
        return gri_report_add(r, GRI_FAIL, GR_ERR_UNAVAILABLE, "product", "%s",
                              gr_err_message());
    }
    GR_TRY(err);
    GR_TRY(gri_report_add(r, GRI_OK, GR_OK, "product",
                          "%.1f GFLOP/s in one core (per second of its time), %.1f with %d "
                          "thread%s now; fp32",
                          one, all, threads, threads > 1 ? "s" : ""));
done:
    return err;
}

static gr_err check_versions(gri_report *r)
{
    gr_err err = GR_OK;
    gr_str text = {0};
    GR_TRY(gr_ops_libraries(&text));
    GR_TRY(gr_str_add(&text, ", "));
    GR_TRY(gr_datasets_libraries(&text));
    GR_TRY(gr_str_add(&text, ", "));
    GR_TRY(gr_formats_libraries(&text));
    GR_TRY(gr_str_add(&text, ", "));
    GR_TRY(gr_base_libraries(&text));
    GR_TRY(gri_report_add(r, GRI_OK, GR_OK, "libraries", "%s", text.data));
done:
    gr_str_fini(&text);
    return err;
}

// What may be built in or not: `version` is NULL, or gives NULL, where it is not built.
static const struct {
    const char *check;
    const char *(*version)(void);
    const char *with, *without;
} options[] = {
    {"onednn", gr_onednn_version, "products in bf16, where the processor has avx512_bf16",
     "no products in bf16"},
    {"cuda", NULL, "", "everything runs on the CPU"},
};

static gr_err check_options(gri_report *r)
{
    gr_err err = GR_OK;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const char *version = options[i].version ? options[i].version() : NULL;
        GR_TRY(gri_report_add(r, GRI_OK, GR_OK, options[i].check, "%s: %s",
                              version ? version : "not built in",
                              version ? options[i].with : options[i].without));
    }
done:
    return err;
}

gr_err gri_doctor_libraries(gri_report *r, const gr_world *world)
{
    gr_err err = GR_OK;
    GR_TRY(check_blas(r));
    GR_TRY(check_product(r, world));
    GR_TRY(check_versions(r));
    GR_TRY(check_options(r));
done:
    return err;
}
