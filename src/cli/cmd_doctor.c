#include "datasets/libraries.h"
#include "mpi/libraries.h"
#include "mpi/world.h"
#include "src/base/cpu.h"
#include "src/base/libraries.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/selftest.h"
#include "src/cli/session.h"
#include "src/cli/start.h"
#include "src/formats/libraries.h"
#include "src/ops/libraries.h"
#include "src/ops/ops.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

typedef enum verdict { OK, WARN, FAIL } verdict;

// What was found so far; rank 0 speaks.
typedef struct report {
    bool json, speaks;
    gr_json j;
    gr_err err;    ///< code of the first FAIL
    gr_str failed; ///< names of the checks that failed
} report;

static GR_PRINTF(5, 6) gr_err
    add(report *r, verdict v, gr_err code, const char *check, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warn", "FAIL"};
    gr_err err = GR_OK;
    char buffer[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buffer, sizeof buffer, fmt, ap);
    va_end(ap);
    if (v == FAIL) {
        r->err = r->err == GR_OK ? code : r->err;
        GR_TRY(gr_str_addf(&r->failed, "%s%s", r->failed.size ? ", " : "", check));
    }
    if (r->json) {
        gr_json_map_begin(&r->j, NULL);
        gr_json_string(&r->j, "check", check);
        gr_json_string(&r->j, "verdict", words[v]);
        gr_json_string(&r->j, "text", buffer);
        gr_json_map_end(&r->j);
    } else if (r->speaks) {
        printf("%-5s %-10s %s\n", words[v], check, buffer);
        fflush(stdout);
    }
done:
    return err;
}

static gr_err check_cpu(report *r)
{
    gr_err err = GR_OK;
    const gr_cpu *cpu = gr_cpu_get();
    const char *threads = getenv("OMP_NUM_THREADS");
    long wanted = threads ? strtol(threads, NULL, 10) : 0;
    GR_TRY(add(r, cpu->avx2 && cpu->fma ? OK : WARN, GR_OK, "cpu", "%s:%s%s%s%s%s", cpu->name,
               cpu->avx2 ? " avx2" : "", cpu->fma ? " fma" : "", cpu->avx512 ? " avx512" : "",
               cpu->avx512_bf16 ? " avx512_bf16" : "",
               cpu->avx2 && cpu->fma ? "" : " (no fast vectors: training will be slow)"));
    if (wanted > cpu->cores) {
        GR_TRY(add(r, WARN, GR_OK, "cores",
                   "%d in this process's mask, but OMP_NUM_THREADS is %ld: set it to %d",
                   cpu->cores, wanted, cpu->cores));
    } else {
        GR_TRY(add(r, OK, GR_OK, "cores", "%d in this process's mask", cpu->cores));
    }
    GR_TRY(add(r, cpu->memory >= (int64_t)2 << 30 ? OK : WARN, GR_OK, "memory", "%.1f GiB",
               (double)cpu->memory / (double)(1 << 30)));
done:
    return err;
}

static gr_err check_mpi(report *r, const gr_world *world, gr_err world_err)
{
    gr_err err = GR_OK;
    gr_str text = {0};
    GR_TRY(gr_mpi_libraries(&text));
    if (world_err != GR_OK) {
        GR_TRY(add(r, FAIL, GR_ERR_UNAVAILABLE, "mpi", "%s: %s", text.data, gr_err_message()));
    } else if (world->size == 1) {
        GR_TRY(add(r, OK, GR_OK, "mpi", "%s; one process (start several with mpirun or srun)",
                   text.data));
    } else {
        GR_TRY(add(r, OK, GR_OK, "mpi", "%s; %d processes", text.data, world->size));
    }
done:
    gr_str_fini(&text);
    return err;
}

// GFLOP/s of one core on a product of the shape that training is made of.
static gr_err measure_product(double *rate)
{
    enum { ROWS = 512, WIDTH = 1024 };
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    float *x = NULL, *w = NULL, *y = NULL;
    double products = 0, seconds = 0;
    GR_TRY(gr_exec_create_cpu(1, (int64_t)64 << 20, &ex));
    GR_ALLOC(x, ROWS * WIDTH);
    GR_ALLOC(w, WIDTH * WIDTH);
    GR_ALLOC(y, ROWS * WIDTH);
    double start = 0;
    for (int round = -1; seconds < 0.3; round++) { // the first round warms up
        if (round == 0) {
            start = gr_clock();
        }
        ex->ops->linear_fwd(ex, gr_tensor_2d(x, ROWS, WIDTH), gr_tensor_2d(w, WIDTH, WIDTH),
                            gr_tensor_none(), gr_tensor_2d(y, ROWS, WIDTH));
        products = round + 1;
        seconds = round >= 0 ? gr_clock() - start : 0;
    }
    *rate = products * 2.0 * ROWS * WIDTH * WIDTH / seconds / 1e9;
done:
    GR_FREE(x);
    GR_FREE(w);
    GR_FREE(y);
    gr_exec_destroy(&ex);
    return err;
}

static gr_err check_blas(report *r)
{
    gr_err err = GR_OK;
    double rate = 0;
    const char *better = gr_blas_better_kernel();
    const char *user = getenv("OPENBLAS_CORETYPE");
    if (better) {
        GR_TRY(add(r, WARN, GR_OK, "blas",
                   "OpenBLAS runs %s kernels, this processor has %s: start with "
                   "OPENBLAS_CORETYPE=%s",
                   gr_blas_kernel(), better, better));
    } else {
        GR_TRY(add(r, OK, GR_OK, "blas", "OpenBLAS runs %s kernels%s", gr_blas_kernel(),
                   gri_start_corrected() ? " (corrected at start: it would have chosen others)"
                   : user                ? " (OPENBLAS_CORETYPE is set)"
                                         : ""));
    }
    GR_TRY(measure_product(&rate));
    GR_TRY(add(r, OK, GR_OK, "product", "%.1f GFLOP/s in one core (fp32, 512 x 1024 x 1024)",
               rate));
done:
    return err;
}

static gr_err check_libraries(report *r)
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
    GR_TRY(add(r, OK, GR_OK, "libraries", "%s", text.data));
done:
    gr_str_fini(&text);
    return err;
}

static gr_err check_limits(report *r)
{
    gr_err err = GR_OK;
    struct rlimit files = {0};
    struct statvfs disk = {0};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        bool few = files.rlim_cur < 1024;
        GR_TRY(add(r, few ? WARN : OK, GR_OK, "files", "%llu may be open at once%s",
                   (unsigned long long)files.rlim_cur,
                   few ? " (a shard needs one each: ulimit -n 1024)" : ""));
    }
    if (statvfs(".", &disk) != 0) {
        GR_TRY(
            add(r, WARN, GR_OK, "disk", "cannot ask about this folder: %s", strerror(errno)));
        goto done;
    }
    double free = (double)disk.f_bavail * (double)disk.f_frsize / (double)(1 << 30);
    GR_TRY(add(r, free >= 1 ? OK : WARN, GR_OK, "disk", "%.1f GiB free in this folder%s", free,
               free >= 1 ? "" : " (a checkpoint may not fit)"));
done:
    return err;
}

// A failed self-test is a finding; anything else ends the command.
static gr_err add_selftest(report *r, const char *check, gr_err result)
{
    if (result == GR_OK) {
        return add(r, OK, GR_OK, check, "agrees with its reference");
    }
    return add(r, FAIL, GR_ERR_FAILED, check, "%s", gr_err_message());
}

static gr_err check_mathematics(report *r)
{
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    GR_TRY(gr_exec_create_cpu(1, (int64_t)64 << 20, &ex));
    GR_TRY(add_selftest(r, "vision", gri_selftest_vision(ex)));
    GR_TRY(add_selftest(r, "language", gri_selftest_language(ex)));
done:
    gr_exec_destroy(&ex);
    return err;
}

static gr_err check_all(report *r, const gr_world *world, gr_err world_err)
{
    gr_err err = GR_OK;
    if (r->json) {
        gr_json_list_begin(&r->j, NULL);
    }
    GR_TRY(check_mpi(r, world, world_err));
    GR_TRY(check_cpu(r));
    GR_TRY(check_blas(r));
    GR_TRY(check_libraries(r));
    GR_TRY(check_limits(r));
    GR_TRY(check_mathematics(r));
    if (r->json) {
        gr_json_list_end(&r->j);
        if (r->speaks) {
            GR_TRY(gri_print_json(&r->j));
        }
    }
    if (r->err != GR_OK) {
        GR_FAIL(r->err, "doctor: not in order: %s", r->failed.data);
    }
done:
    return err;
}

gr_err gri_doctor(int argc, char **argv)
{
    gr_err err = GR_OK;
    report r = {.j = {.indent = 2}};
    gr_world *world = NULL;
    bool help = false;
    const gri_arg args[] = {
        GRI_FLAG("json", &r.json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE("doctor",
                          "Says what this machine offers and what is wrong with it, and checks "
                          "the mathematics of this build. Each line is ok, warn or FAIL. Exit "
                          "status: 69 if the machine cannot run, 1 if the self-test fails.",
                          args, argc, argv, &help));
    if (help) {
        goto done;
    }
    gr_err world_err = gr_world_create(&world);
    r.speaks = !world || world->rank == 0;
    err = check_all(&r, world, world_err);
    if (world) {
        err = gr_world_agree(world, err);
        gri_world_leave(&world, err);
    }
done:
    gr_json_fini(&r.j);
    gr_str_fini(&r.failed);
    return err;
}
