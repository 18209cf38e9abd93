#ifndef SRC_TENSOR_TENSOR_H
#define SRC_TENSOR_TENSOR_H

/// A tensor view: where the numbers lie, their type and their shape. It owns nothing and is
/// passed by value. Row-major; everything inside a row (all dimensions but the first) is
/// contiguous, while rows may lie `row_stride` elements apart: so a view can be a column block of
/// a wider matrix (q, k and v inside one packed qkv).

#include "src/base/err.h"

#include <stdint.h>

/// X(name, size in bytes, safetensors name)
#define GR_DTYPE_LIST(X)                                                                       \
    X(GR_DTYPE_F32, 4, "F32")                                                                  \
    X(GR_DTYPE_F64, 8, "F64")                                                                  \
    X(GR_DTYPE_BF16, 2, "BF16")                                                                \
    X(GR_DTYPE_F16, 2, "F16")                                                                  \
    X(GR_DTYPE_I32, 4, "I32")                                                                  \
    X(GR_DTYPE_I64, 8, "I64")                                                                  \
    X(GR_DTYPE_I16, 2, "I16")                                                                  \
    X(GR_DTYPE_I8, 1, "I8")                                                                    \
    X(GR_DTYPE_U8, 1, "U8")                                                                    \
    X(GR_DTYPE_U16, 2, "U16")                                                                  \
    X(GR_DTYPE_U32, 4, "U32")                                                                  \
    X(GR_DTYPE_U64, 8, "U64")                                                                  \
    X(GR_DTYPE_BOOL, 1, "BOOL")

typedef enum gr_dtype {
#define GR_DTYPE_ENUM(name, size, text) name,
    GR_DTYPE_LIST(GR_DTYPE_ENUM)
#undef GR_DTYPE_ENUM
        GR_DTYPE_COUNT
} gr_dtype;

size_t gr_dtype_size(gr_dtype dtype);
const char *gr_dtype_name(gr_dtype dtype);
/// False if the text names no type we know.
bool gr_dtype_parse(const char *text, gr_dtype *out);

enum { GR_MAX_DIMS = 4 };

typedef struct gr_tensor {
    void *data; ///< first element; NULL only for "absent"
    gr_dtype dtype;
    int ndim;                   ///< 1 to GR_MAX_DIMS
    int64_t shape[GR_MAX_DIMS]; ///< unused entries are 1
    int64_t row_stride;         ///< elements from one index of dimension 0 to the next
} gr_tensor;

/// Contiguous fp32 views. A NULL pointer gives an absent tensor of that shape.
gr_tensor gr_tensor_1d(const float *data, int64_t n0);
gr_tensor gr_tensor_2d(const float *data, int64_t n0, int64_t n1);
gr_tensor gr_tensor_3d(const float *data, int64_t n0, int64_t n1, int64_t n2);
gr_tensor gr_tensor_4d(const float *data, int64_t n0, int64_t n1, int64_t n2, int64_t n3);
/// A contiguous view of t's shape over other numbers of another type.
gr_tensor gr_tensor_like(gr_tensor t, gr_dtype dtype, const void *data);
/// Contiguous int32 vector.
gr_tensor gr_tensor_i32(const int32_t *data, int64_t n0);

/// The absent tensor (data NULL, no shape): optional arguments.
gr_tensor gr_tensor_none(void);
static inline bool gr_tensor_present(gr_tensor t)
{
    return t.data != NULL;
}
/// Elements (product of the shape); elements of one row; whether rows touch.
int64_t gr_tensor_count(gr_tensor t);
int64_t gr_tensor_row(gr_tensor t);
bool gr_tensor_contiguous(gr_tensor t);
/// Columns [from, from + count) of a 2-d view: same rows, same stride.
gr_tensor gr_tensor_columns(gr_tensor t, int64_t from, int64_t count);
/// Rows [from, from + count).
gr_tensor gr_tensor_rows(gr_tensor t, int64_t from, int64_t count);
/// The same memory with another inner shape: [T, H * D] as [T, H, D] and back; keeps the stride.
gr_tensor gr_tensor_split(gr_tensor t, int64_t heads);
/// fp32 pointer to row `i`; GR_ASSERTs the type.
float *gr_tensor_f32(gr_tensor t, int64_t i);

/// Converts n numbers to fp32. F32, F64, BF16, F16 are accepted; false for other types.
/// BF16 and F16 to F32 are exact. Source and result may not overlap.
bool gr_convert_to_f32(gr_dtype from, const void *source, int64_t n, float *out);
/// fp32 to BF16, nearest even, NaN stays NaN.
void gr_convert_f32_to_bf16(const float *source, int64_t n, uint16_t *out);
/// fp32 to F16, nearest even; beyond its range infinity, NaN stays NaN.
void gr_convert_f32_to_f16(const float *source, int64_t n, uint16_t *out);

#endif
