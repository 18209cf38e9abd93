#include "src/base/mem.h"
#include "src/ops/work.h"
#include "tests/check.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

static void test_create(void)
{
    gr_exec *ex = NULL;
    GR_CHECK_OK(gr_exec_create_cpu(3, 1 << 20, &ex));
    GR_CHECK_INT(ex->threads, 3);
    GR_CHECK(ex->ops == gr_ops_cpu());
    GR_CHECK(gr_arena_take(ex->scratch, 1 << 20) != NULL);
    GR_CHECK_INT(openblas_get_num_threads(), 1);
    gr_exec_destroy(&ex);
    GR_CHECK(ex == NULL);
    gr_exec_destroy(&ex);
}

static void test_create_fails(void)
{
    gr_exec *ex = NULL;
    GR_CHECK_ERR(gr_exec_create_cpu(0, 0, &ex), GR_ERR_USAGE, "at least 1 thread, got 0");
    GR_CHECK_ERR(gr_exec_create_cpu(-4, 0, &ex), GR_ERR_USAGE, "got -4");
    GR_CHECK(ex == NULL);
}

/// Every request fails once: an error, nothing kept.
static void test_out_of_memory(void)
{
    int64_t before = gr_mem_used();
    gr_err err = GR_ERR_MEMORY;
    for (int n = 1; err == GR_ERR_MEMORY; n++) {
        gr_exec *ex = NULL;
        gr_mem_fail_at(n);
        err = gr_exec_create_cpu(1, 1 << 20, &ex);
        gr_mem_fail_at(0);
        GR_CHECK(n > 2 || err == GR_ERR_MEMORY); // the context and its arena
        GR_CHECK((ex == NULL) == (err != GR_OK));
        gr_exec_destroy(&ex);
        GR_CHECK_INT(gr_mem_used(), before);
    }
    GR_CHECK_OK(err);
}

static void test_table_is_full(void)
{
    const gr_ops *ops = gr_ops_cpu();
#define ENTRY(name) GR_CHECK(ops->name == gr_##name##_cpu);
    GR_OPS_LIST(ENTRY)
#undef ENTRY
}

static void test_blas_kernel(void)
{
    GR_CHECK(strlen(gr_blas_kernel()) > 0);
    const char *user = getenv("OPENBLAS_CORETYPE");
    const char *want = gri_blas_advice(gr_cpu_get(), gr_blas_kernel(), user);
    GR_CHECK_STR(gr_blas_better_kernel(), want);
}

static void test_blas_advice(void)
{
    static const gr_cpu plain = {.avx2 = false}, no_fma = {.avx2 = true};
    static const gr_cpu avx2 = {.avx2 = true, .fma = true};
    static const gr_cpu avx512 = {.avx2 = true, .fma = true, .avx512 = true};
    static const struct {
        const gr_cpu *cpu;
        const char *core, *user, *want;
    } rows[] = {
        {&avx512, "Haswell", NULL, "SkylakeX"},
        {&avx512, "Zen", NULL, "SkylakeX"},
        {&avx512, "Prescott", NULL, "SkylakeX"},
        {&avx512, "Zen", "Zen", NULL},
        {&avx512, "Zen", "", NULL},
        {&avx512, "SkylakeX", NULL, NULL},
        {&avx512, "SKYLAKEX", NULL, NULL},
        {&avx512, "Cooperlake", NULL, NULL},
        {&avx512, "sapphirerapids", NULL, NULL},
        {&avx2, "Haswell", NULL, NULL},
        {&avx2, "ZEN", NULL, NULL},
        {&avx2, "Prescott", NULL, "Haswell"},
        {&avx2, "Nehalem", NULL, "Haswell"},
        {&avx2, "Sandybridge", NULL, "Haswell"},
        {&avx2, "Core2", NULL, "Haswell"},
        {&avx2, "Penryn", "Penryn", NULL},
        {&no_fma, "Nehalem", NULL, NULL},
        {&plain, "Prescott", NULL, NULL},
        {&plain, "ARMV8", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        GR_CHECK_STR(gri_blas_advice(rows[i].cpu, rows[i].core, rows[i].user), rows[i].want);
    }
}

static const gr_test tests[] = {
    {"create", test_create},
    {"create with no thread", test_create_fails},
    {"out of memory", test_out_of_memory},
    {"table", test_table_is_full},
    {"blas kernel", test_blas_kernel},
    {"blas advice", test_blas_advice},
};
GR_TEST_MAIN("ops: context", tests)
