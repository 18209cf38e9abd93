#include "datasets/libraries.h"
#include "mpi/libraries.h"
#include "src/base/libraries.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cli/doctor.h"
#include "src/cli/session.h"
#include "src/cli/start.h"
#include "src/formats/libraries.h"
#include "src/ops/libraries.h"
#include "src/ops/ops.h"

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

// GFLOP/s of all threads together on a product of the shape that training is made of, 512 rows a thread: the
// best of several rounds, since others may use the machine too.
static gr_err measure_product(int threads, double *rate)
{
    enum { ROWS = 512, WIDTH = 1024 };
    static const double LONG_ENOUGH = 0.2; // seconds
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    float *x = NULL, *w = NULL, *y = NULL;
    const int64_t rows = (int64_t)ROWS * threads;
    double best = 0;
    GR_TRY(gr_exec_create_cpu(threads, (int64_t)64 << 20, &ex));
    GR_ALLOC(x, rows * WIDTH);
    GR_ALLOC(w, WIDTH * WIDTH);
    GR_ALLOC(y, rows * WIDTH);
    for (double begin = gr_clock(); best == 0 || gr_clock() - begin < LONG_ENOUGH;) {
        double start = gr_clock();
        ex->ops->linear_fwd(ex, gr_tensor_2d(x, rows, WIDTH), gr_tensor_2d(w, WIDTH, WIDTH),
                            gr_tensor_none(), gr_tensor_2d(y, rows, WIDTH));
        double speed = 2.0 * (double)rows * WIDTH * WIDTH / (gr_clock() - start) / 1e9;
        best = speed > best ? speed : best;
    }
    *rate = best;
done:
    GR_FREE(x);
    GR_FREE(w);
    GR_FREE(y);
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
    return gri_report_add(
        r, GRI_OK, GR_OK, "blas", "OpenBLAS runs %s kernels%s", gr_blas_kernel(),
        gri_start_corrected() ? " (corrected at start: it would have chosen others)"
        : user                ? " (OPENBLAS_CORETYPE is set)"
                              : "");
}

// Every rank measures at the same time, as in training; rank 0 tells its own figures.
static gr_err check_product(gri_report *r, const gr_world *world)
{
    gr_err err = GR_OK;
    double one = 0, all = 0;
    int threads = gri_threads(0, world ? world->local_size : 1);
    threads = threads > 256 ? 256 : threads;
    GR_TRY(measure_product(1, &one));
    all = one;
    if (threads > 1) {
        GR_TRY(measure_product(threads, &all));
    }
    GR_TRY(gri_report_add(
        r, GRI_OK, GR_OK, "product",
        "%.1f GFLOP/s in one core, %.1f with %d thread%s (fp32, best of several)", one, all,
        threads, threads > 1 ? "s" : ""));
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

// What may be built in or not: `version` appends what is there, NULL where it is not built.
static const struct {
    const char *check;
    gr_err (*version)(gr_str *out);
    const char *without;
} options[] = {
    {"onednn", NULL, "bf16 on the CPU needs it"},
    {"cuda", NULL, "everything runs on the CPU"},
};

static gr_err check_options(gri_report *r)
{
    gr_err err = GR_OK;
    gr_str text = {0};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        gr_str_clear(&text);
        GR_TRY(options[i].version ? options[i].version(&text)
                                  : gr_str_addf(&text, "not built in: %s", options[i].without));
        GR_TRY(gri_report_add(r, GRI_OK, GR_OK, options[i].check, "%s", text.data));
    }
done:
    gr_str_fini(&text);
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
