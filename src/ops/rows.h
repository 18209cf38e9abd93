#ifndef SRC_OPS_ROWS_H
#define SRC_OPS_ROWS_H

/// What the CPU operations do to one row, in vectors. rows_body.h is the one source, plain C whose loops the
/// compiler can widen without changing a bit (math_inline.h); rows_plain.c, rows_avx2.c and rows_avx512.c
/// compile it for each width. So all tables give the same bits, and the plain one is the truth.

#include "src/base/cpu.h"

/// One row of either norm's backward; m is 0 for RMSNorm.
typedef struct gri_norm_row {
    int64_t channels;
    const float *dy, *x, *w;
    float m, r;
    bool center; ///< subtract mean(w dy) too
} gri_norm_row;

typedef struct gr_rows {
    double (*sum)(int64_t n, const float *x);
    double (*dot)(int64_t n, const float *x, const float *y);
    /// sum (x - center)^2
    double (*spread)(int64_t n, const float *x, double center);
    /// y += x
    void (*add)(int64_t n, const float *x, float *y);
    void (*scale)(int64_t n, float *x, float factor);
    /// sum[i] += x[i]
    void (*add_to_sums)(int64_t n, const float *x, double *sum);

    /// x = exp(x - max x); returns the largest and, in *sum, the sum of the results. n >= 1.
    float (*softmax)(int64_t n, float *x, double *sum);
    /// p = exp(p - lse);  ds = p (ds - delta)
    void (*score_gradient)(int64_t n, float *p, float *ds, float lse, float delta);
    /// The same with delta = sum p ds over this very row, so that ds adds up to 0.
    void (*score_gradient_summed)(int64_t n, float *p, float *ds, float lse);

    void (*swiglu)(int64_t n, const float *gate, const float *up, float *y);
    /// dgate may be gate, dup may be up.
    void (*swiglu_bwd)(int64_t n, const float *dy, const float *gate, const float *up,
                       float *dgate, float *dup);
    void (*gelu)(int64_t n, const float *x, float *y);
    void (*gelu_bwd)(int64_t n, const float *dy, const float *x, float *dx);

    void (*gelu_tanh)(int64_t n, const float *x, float *y);
    /// dx may be dy.
    void (*gelu_tanh_bwd)(int64_t n, const float *dy, const float *x, float *dx);

    /// cosine and sine of position * frequency[j] (rounded to fp32)
    void (*angles)(int64_t n, float position, const float *frequency, float *cosine,
                   float *sine);
    /// Half rotation of one head of 2 n numbers.
    void (*rotate)(int64_t n, const float *cosine, const float *sine, float *x);

    /// y = w (x - m) r + b; b NULL: none
    void (*norm)(int64_t n, const float *x, const float *w, const float *b, float m, float r,
                 float *y);
    void (*norm_gradient)(const gri_norm_row *row, bool accumulate, float *dx);
    /// Adds this row to the running sums of dw and db; either may be NULL.
    void (*norm_sums)(const gri_norm_row *row, double *dw, double *db);

    /// As gr_convert_f32_to_bf16, and back, which is exact.
    void (*to_bf16)(int64_t n, const float *x, uint16_t *y);
    void (*from_bf16)(int64_t n, const uint16_t *x, float *y);
} gr_rows;

/// The table of this width, which the processor must have.
const gr_rows *gri_rows_of(gr_vectors vectors);
extern const gr_rows gri_rows_plain, gri_rows_avx2, gri_rows_avx512;

#endif
