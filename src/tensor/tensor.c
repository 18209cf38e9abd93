#include "src/tensor/tensor.h"

#include <string.h>

size_t gr_dtype_size(gr_dtype dtype)
{
    static const size_t sizes[] = {
#define SIZE(name, size, text) [name] = size,
        GR_DTYPE_LIST(SIZE)
#undef SIZE
    };
    GR_ASSERT((unsigned)dtype < GR_DTYPE_COUNT);
    return sizes[dtype];
}

const char *gr_dtype_name(gr_dtype dtype)
{
    static const char *const names[] = {
#define NAME(name, size, text) [name] = text,
        GR_DTYPE_LIST(NAME)
#undef NAME
    };
    GR_ASSERT((unsigned)dtype < GR_DTYPE_COUNT);
    return names[dtype];
}

bool gr_dtype_parse(const char *text, gr_dtype *out)
{
    for (unsigned i = 0; i < GR_DTYPE_COUNT; i++) {
        if (strcmp(text, gr_dtype_name((gr_dtype)i)) == 0) {
            *out = (gr_dtype)i;
            return true;
        }
    }
    return false;
}

/// A contiguous view; `shape` holds GR_MAX_DIMS entries, 1 where unused.
static gr_tensor contiguous(const void *data, gr_dtype dtype, int ndim, const int64_t *shape)
{
    // Views carry no const: who may write is said by the operation that takes them.
    gr_tensor t = {.data = (void *)(uintptr_t)data, .dtype = dtype, .ndim = ndim};
    for (int i = 0; i < GR_MAX_DIMS; i++) {
        GR_ASSERT(shape[i] >= 0);
        t.shape[i] = shape[i];
    }
    t.row_stride = shape[1] * shape[2] * shape[3];
    return t;
}

gr_tensor gr_tensor_1d(const float *data, int64_t n0)
{
    return contiguous(data, GR_DTYPE_F32, 1, (int64_t[]){n0, 1, 1, 1});
}

gr_tensor gr_tensor_2d(const float *data, int64_t n0, int64_t n1)
{
    return contiguous(data, GR_DTYPE_F32, 2, (int64_t[]){n0, n1, 1, 1});
}

gr_tensor gr_tensor_3d(const float *data, int64_t n0, int64_t n1, int64_t n2)
{
    return contiguous(data, GR_DTYPE_F32, 3, (int64_t[]){n0, n1, n2, 1});
}

gr_tensor gr_tensor_4d(const float *data, int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
    return contiguous(data, GR_DTYPE_F32, 4, (int64_t[]){n0, n1, n2, n3});
}

gr_tensor gr_tensor_i32(const int32_t *data, int64_t n0)
{
    return contiguous(data, GR_DTYPE_I32, 1, (int64_t[]){n0, 1, 1, 1});
}

gr_tensor gr_tensor_like(gr_tensor t, gr_dtype dtype, const void *data)
{
    return contiguous(data, dtype, t.ndim, t.shape);
}

gr_tensor gr_tensor_none(void)
{
    return (gr_tensor){.dtype = GR_DTYPE_F32};
}

int64_t gr_tensor_row(gr_tensor t)
{
    return t.shape[1] * t.shape[2] * t.shape[3];
}

int64_t gr_tensor_count(gr_tensor t)
{
    return t.shape[0] * gr_tensor_row(t);
}

bool gr_tensor_contiguous(gr_tensor t)
{
    return t.shape[0] <= 1 || t.row_stride == gr_tensor_row(t);
}

static void *advance(gr_tensor t, int64_t elements)
{
    return t.data ? (char *)t.data + elements * (int64_t)gr_dtype_size(t.dtype) : NULL;
}

gr_tensor gr_tensor_columns(gr_tensor t, int64_t from, int64_t count)
{
    GR_ASSERT(t.ndim == 2 && from >= 0 && count >= 0 && from + count <= t.shape[1]);
    t.data = advance(t, from);
    t.shape[1] = count;
    return t;
}

gr_tensor gr_tensor_rows(gr_tensor t, int64_t from, int64_t count)
{
    GR_ASSERT(t.ndim >= 1 && from >= 0 && count >= 0 && from + count <= t.shape[0]);
    t.data = advance(t, from * t.row_stride);
    t.shape[0] = count;
    return t;
}

gr_tensor gr_tensor_split(gr_tensor t, int64_t heads)
{
    GR_ASSERT(heads > 0 && (t.ndim == 2 || t.ndim == 3));
    if (t.ndim == 2) {
        GR_ASSERT(t.shape[1] % heads == 0);
        t.shape[2] = t.shape[1] / heads;
        t.shape[1] = heads;
        t.ndim = 3;
    } else {
        GR_ASSERT(t.shape[1] == heads);
        t.shape[1] *= t.shape[2];
        t.shape[2] = 1;
        t.ndim = 2;
    }
    return t;
}

float *gr_tensor_f32(gr_tensor t, int64_t i)
{
    GR_ASSERT(t.dtype == GR_DTYPE_F32 && i >= 0 && i <= t.shape[0]);
    return advance(t, i * t.row_stride);
}
