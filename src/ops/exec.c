#include "src/ops/exec.h"

#include "src/base/mem.h"
#include "src/ops/onednn.h"

#include <cblas.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/resource.h>

/// OpenBLAS's own, in no header: a buffer for one thread inside one of its calls, kept for the next.
extern void *blas_memory_alloc(int) __attribute__((weak));
extern void blas_memory_free(void *) __attribute__((weak));

/// What such a buffer takes on x86-64 (BUFFER_SIZE, 32 << 22, and a page; elsewhere less), what a thread of ours takes when it
/// starts (stack and heap of the C library), and how many threads at most are provided for.
enum { BLAS_BUFFER = (128 << 20) + (64 << 10), THREAD = (128 + 16) << 20, MOST_BUFFERS = 64 };

static void take_buffers(int count)
{
    void *buffers[MOST_BUFFERS];
    count = count < MOST_BUFFERS ? count : MOST_BUFFERS;
    for (int i = 0; i < count; i++) {
        buffers[i] = blas_memory_alloc(0);
    }
    for (int i = 0; i < count; i++) {
        blas_memory_free(buffers[i]);
    }
}

/// Where addresses are limited (ulimit -v) the buffers of the BLAS come first: without room for one OpenBLAS asks for it
/// again and again, for ever. Once for a process and number of threads.
static gr_err provide_buffers(int threads)
{
    static int provided = 0;
    gr_err err = GR_OK;
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    (void)getrlimit(RLIMIT_AS, &limit);
    if (limit.rlim_cur == RLIM_INFINITY || threads <= provided) {
        goto done;
    }
    size_t bytes = (size_t)(threads - provided) * (BLAS_BUFFER + (size_t)THREAD);
    bytes -= provided == 0 ? THREAD : 0; // the first thread is there
    void *room =
        mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) {
        GR_FAIL(GR_ERR_MEMORY,
                "OpenBLAS needs %.3f GiB of addresses for %d thread%s: %s; there is a limit of "
                "%.3f GiB in all (ulimit -v): raise it%s",
                (double)bytes / (1 << 30), threads, threads == 1 ? "" : "s", strerror(errno),
                (double)limit.rlim_cur / (1 << 30),
                threads == 1 ? "" : ", or use fewer threads");
    }
    (void)munmap(room, bytes);
    if (blas_memory_alloc && blas_memory_free) {
        take_buffers(threads);
    }
    provided = threads;
done:
    return err;
}

gr_err gr_exec_create_cpu(int threads, int64_t arena_bytes, gr_exec **out)
{
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    gr_vectors vectors = GR_VECTORS_PLAIN;
    GR_TRY(gr_cpu_vectors(&vectors));
    if (threads < 1) {
        GR_FAIL(GR_ERR_USAGE, "expected at least 1 thread, got %d", threads);
    }
    openblas_set_num_threads(1);
    GR_TRY(provide_buffers(threads));
    GR_ALLOC(ex, 1);
    GR_TRY(gr_arena_create(arena_bytes, &ex->scratch));
    ex->ops = gr_ops_cpu();
    ex->threads = threads;
    ex->rows = gri_rows_of(vectors);
    *out = ex;
    ex = NULL;
done:
    gr_exec_destroy(&ex);
    return err;
}

gr_err gr_exec_create_counting(int threads, gr_precision precision, gr_exec **out)
{
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    GR_ASSERT(threads > 0);
    GR_ALLOC(ex, 1);
    GR_TRY(gr_arena_create_counting(&ex->scratch));
    ex->ops = gr_ops_cpu();
    ex->threads = threads;
    ex->rows = &gri_rows_plain;
    ex->precision = precision;
    ex->counts = true;
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
