#include "src/ops/onednn.h"

#ifdef GRADUS_ONEDNN

#include "src/base/mem.h"

#include <dnnl.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { SLOTS = 1024, DIMS = 2 };

/// What a call of the library depends on.
typedef struct shape {
    int64_t m, k, n, stride_a, stride_b, stride_c;
    float alpha;
    int16_t transposed_a, transposed_b;
    int64_t add; ///< to what is there
} shape;

/// A product of one shape, ready to run; primitive NULL: the slot is empty.
typedef struct product {
    shape of;
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c;
} product;

/// One thread's products: a shape has one place, and whoever comes later takes it.
typedef struct products {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    product slot[SLOTS];
} products;

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/// The library fails only where memory runs out or a call of ours is wrong; an operation has no way to say so.
static void must(dnnl_status_t status)
{
    GR_ASSERT(status == dnnl_success);
}

static void forget(product *p)
{
    if (p->primitive) {
        must(dnnl_primitive_destroy(p->primitive));
        must(dnnl_memory_destroy(p->a));
        must(dnnl_memory_destroy(p->b));
        must(dnnl_memory_destroy(p->c));
        p->primitive = NULL;
    }
}

static void forget_all(void *mine)
{
    products *all = mine;
    for (int i = 0; i < SLOTS; i++) {
        forget(&all->slot[i]);
    }
    must(dnnl_stream_destroy(all->stream));
    must(dnnl_engine_destroy(all->engine));
    GR_FREE(all);
}

static void make_key(void)
{
    GR_ASSERT(pthread_key_create(&key, forget_all) == 0);
}

static products *mine(void)
{
    pthread_once(&once, make_key);
    products *all = pthread_getspecific(key);
    if (!all) {
        all = gr_mem_alloc(1, sizeof *all);
        GR_ASSERT(all != NULL);
        must(dnnl_engine_create(&all->engine, dnnl_cpu, 0));
        must(dnnl_stream_create(&all->stream, all->engine, dnnl_stream_in_order));
        GR_ASSERT(pthread_setspecific(key, all) == 0);
    }
    return all;
}

static void describe(int64_t rows, int64_t columns, int64_t stride, bool transposed,
                     dnnl_data_type_t type, dnnl_memory_desc_t *out)
{
    const dnnl_dims_t dims = {rows, columns};
    const dnnl_dims_t strides = {transposed ? 1 : stride, transposed ? stride : 1};
    must(dnnl_memory_desc_init_by_strides(out, DIMS, dims, type, strides));
}

static dnnl_primitive_attr_t attributes(const shape *s)
{
    dnnl_primitive_attr_t attr = NULL;
    must(dnnl_primitive_attr_create(&attr));
    if (s->alpha != 1) {
        must(dnnl_primitive_attr_set_output_scales(attr, 1, 0, &s->alpha));
    }
    if (s->add) {
        dnnl_post_ops_t after = NULL;
        must(dnnl_post_ops_create(&after));
        must(dnnl_post_ops_append_sum(after, 1));
        must(dnnl_primitive_attr_set_post_ops(attr, after));
        must(dnnl_post_ops_destroy(after));
    }
    return attr;
}

static void prepare(const products *all, const shape *s, product *p)
{
    dnnl_memory_desc_t a, b, c;
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_desc_t desc = NULL;
    describe(s->m, s->k, s->stride_a, s->transposed_a, dnnl_bf16, &a);
    describe(s->k, s->n, s->stride_b, s->transposed_b, dnnl_bf16, &b);
    describe(s->m, s->n, s->stride_c, false, dnnl_f32, &c);
    dnnl_primitive_attr_t attr = attributes(s);
    must(dnnl_matmul_desc_init(&matmul, &a, &b, NULL, &c));
    must(dnnl_primitive_desc_create(&desc, &matmul, attr, all->engine, NULL));
    forget(p);
    must(dnnl_primitive_create(&p->primitive, desc));
    must(dnnl_memory_create(&p->a, &a, all->engine, DNNL_MEMORY_NONE));
    must(dnnl_memory_create(&p->b, &b, all->engine, DNNL_MEMORY_NONE));
    must(dnnl_memory_create(&p->c, &c, all->engine, DNNL_MEMORY_NONE));
    must(dnnl_primitive_desc_destroy(desc));
    must(dnnl_primitive_attr_destroy(attr));
    p->of = *s;
}

/// FNV-1a over the bytes; the shape has no gaps.
static uint32_t place_of(const shape *s)
{
    const unsigned char *bytes = (const unsigned char *)s;
    uint64_t hash = 0xCBF29CE484222325U;
    for (size_t i = 0; i < sizeof *s; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001B3U;
    }
    return (uint32_t)(hash >> 32) % SLOTS;
}

static product *find(products *all, const shape *s)
{
    product *p = &all->slot[place_of(s)];
    if (!p->primitive || memcmp(&p->of, s, sizeof *s) != 0) {
        prepare(all, s, p);
    }
    return p;
}

static int64_t stride_of(gr_tensor t)
{
    return t.row_stride > t.shape[1] ? t.row_stride : t.shape[1];
}

void gri_onednn_gemm(float alpha, gr_tensor a, gri_op op_a, gr_tensor b, gri_op op_b,
                     float beta, gr_tensor c)
{
    const shape s = {.m = c.shape[0],
                     .k = a.shape[op_a == GRI_TRANSPOSED ? 0 : 1],
                     .n = c.shape[1],
                     .stride_a = stride_of(a),
                     .stride_b = stride_of(b),
                     .stride_c = stride_of(c),
                     .alpha = alpha,
                     .transposed_a = op_a == GRI_TRANSPOSED,
                     .transposed_b = op_b == GRI_TRANSPOSED,
                     .add = beta != 0};
    GR_ASSERT(a.dtype == GR_DTYPE_BF16 && b.dtype == GR_DTYPE_BF16);
    GR_ASSERT((beta == 0 || beta == 1) && s.m > 0 && s.k > 0 && s.n > 0);
    if (omp_get_max_threads() != 1) {
        omp_set_num_threads(
            1); // the library's own threads; all regions of ours name their number
    }
    products *all = mine();
    const product *p = find(all, &s);
    must(dnnl_memory_set_data_handle(p->a, a.data));
    must(dnnl_memory_set_data_handle(p->b, b.data));
    must(dnnl_memory_set_data_handle(p->c, c.data));
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, p->a}, {DNNL_ARG_WEIGHTS, p->b}, {DNNL_ARG_DST, p->c}};
    must(dnnl_primitive_execute(p->primitive, all->stream, 3, args));
    must(dnnl_stream_wait(all->stream));
}

gr_err gri_onednn_check(void)
{
    gr_err err = GR_OK;
    if (!gr_cpu_get()->avx512_bf16) {
        GR_FAIL(GR_ERR_UNAVAILABLE,
                "bf16: this processor (%s) has no bf16 products (AVX512_BF16): use fp32",
                gr_cpu_get()->name);
    }
done:
    return err;
}

const char *gr_onednn_version(void)
{
    static char text[32];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

#else // built without

void gri_onednn_gemm(float alpha, gr_tensor a, gri_op op_a, gr_tensor b, gri_op op_b,
                     float beta, gr_tensor c)
{
    (void)alpha, (void)a, (void)op_a, (void)b, (void)op_b, (void)beta, (void)c;
    GR_ASSERT(!"built with oneDNN"); // gr_exec_set_precision has refused
}

gr_err gri_onednn_check(void)
{
    gr_err err = GR_OK;
    GR_FAIL(GR_ERR_UNAVAILABLE,
            "bf16: this build has no oneDNN: install it (Debian: libdnnl-dev) and build again, "
            "or use fp32");
done:
    return err;
}

const char *gr_onednn_version(void)
{
    return NULL;
}

#endif
