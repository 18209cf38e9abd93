#ifndef TESTS_OPS_CHECK_H
#define TESTS_OPS_CHECK_H

/// One harness for all operations. A case gives an operation's shapes, its formula in double,
/// and how to call forward and backward; the harness then checks, for every size and for 1, 2 and 3 threads:
///   forward   against the formula (norm-wise, tolerance of the case);
///   backward  against central differences of the formula, in double: every element where there are
///             few, else a sample of them and random directions through all;
///   memory    inputs unchanged, nothing written between rows or beyond the ends, outputs that
///             are overwritten start as NaN, scratch starts as NaN and is given back;
///   threads   every byte the same.

#include "src/base/mem.h"
#include "src/ops/ops.h"
#include "tests/bf16_support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    OP_ARGS = 4,
    OP_INTS = 2,
    OP_GUARD = 16,
    OP_ALL = 300,
    OP_SAMPLE = 48,
    OP_DIRECTIONS = 3
};
enum { OP_ARENA = 16 << 20 };

typedef struct op_size {
    int64_t d[6];    ///< what they mean is the case's business
    int64_t pad;     ///< elements between rows of every view of two or more dimensions
    bool accumulate; ///< passed to backward where it takes such a flag
    unsigned absent; ///< bit i: input i is none
    unsigned skip;   ///< bit i: the gradient of input i is none
} op_size;

typedef struct op_run {
    const op_size *size;
    gr_tensor in[OP_ARGS],
        out[OP_ARGS]; ///< out[0] is differentiated, others are kept for backward
    gr_tensor dout, din[OP_ARGS];
    gr_tensor ints[OP_INTS];
} op_run;

typedef struct op_case {
    const char *name;
    int inputs, outputs;
    double tolerance;
    /// Sets ndim and shape of in and out; fills `ints` (room for 1024 each, sets their shape[0]).
    void (*shapes)(op_run *r);
    /// out[0] from the inputs, contiguous arrays in double; an absent input is NULL.
    void (*formula)(const op_run *r, double *const *in, double *out);
    void (*forward)(gr_exec *ex, const op_run *r);
    void (*backward)(gr_exec *ex, const op_run *r); ///< NULL: none to check
    unsigned adds;        ///< bit i: the gradient of input i is added to
    unsigned accumulates; ///< bit i: so it is when size.accumulate
    bool plain_sum;       ///< differentiate the sum of out[0], not a weighted one
} op_case;

static uint64_t op_state;
/// What the cases run in. In bf16 all inputs are bf16 numbers, so that only what is rounded between products
/// differs from the formula.
static gr_precision op_precision = GR_PRECISION_FP32;

static inline float op_rounded(double x)
{
    float y = (float)x;
    if (op_precision == GR_PRECISION_BF16) {
        uint16_t half = 0;
        gr_convert_f32_to_bf16(&y, 1, &half);
        gr_convert_to_f32(GR_DTYPE_BF16, &half, 1, &y);
    }
    return y;
}

/// Uniform in [-1, 1).
static double op_random(void)
{
    uint64_t z = (op_state += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1;
}

static void *op_alloc(int64_t count, size_t size)
{
    void *p = gr_mem_alloc((size_t)count, size);
    GR_ASSERT(p);
    return p;
}

static bool op_bit(unsigned mask, int i)
{
    return (mask >> i & 1) != 0;
}

/// Floats of the whole buffer around a view: guards, rows, the gaps between them.
static int64_t op_buffer_count(gr_tensor t)
{
    return t.shape[0] * t.row_stride + 2 * OP_GUARD;
}

/// Gives the view memory: everything NaN.
static void op_make(gr_tensor *t, int64_t pad)
{
    t->dtype = GR_DTYPE_F32;
    for (int i = t->ndim; i < GR_MAX_DIMS; i++) {
        t->shape[i] = 1;
    }
    t->row_stride = gr_tensor_row(*t) + (t->ndim > 1 ? pad : 0);
    float *buffer = op_alloc(op_buffer_count(*t), sizeof(float));
    memset(buffer, 0xFF, (size_t)op_buffer_count(*t) * sizeof(float));
    t->data = buffer + OP_GUARD;
}

static float *op_buffer(gr_tensor t)
{
    return (float *)t.data - OP_GUARD;
}

static void op_free(gr_tensor *t)
{
    if (t->data) {
        gr_mem_free(op_buffer(*t));
        t->data = NULL;
    }
}

/// Element i in the order of a contiguous array.
static float *op_at(gr_tensor t, int64_t i)
{
    int64_t row = gr_tensor_row(t);
    return (float *)t.data + i / row * t.row_stride + i % row;
}

static void op_fill(gr_tensor t)
{
    for (int64_t i = 0; i < gr_tensor_count(t); i++) {
        *op_at(t, i) = op_rounded(op_random());
    }
}

/// Copies the numbers of one view into another of the same shape.
static inline void op_copy(gr_tensor to, gr_tensor from)
{
    for (int64_t i = 0; i < gr_tensor_count(to); i++) {
        *op_at(to, i) = *op_at(from, i);
    }
}

/// The view, or none where the bit is set.
static inline gr_tensor op_unless(unsigned mask, int i, gr_tensor t)
{
    return op_bit(mask, i) ? gr_tensor_none() : t;
}

/// Guards and gaps are still what op_make made them.
static void op_check_guards(gr_tensor t)
{
    static const uint32_t untouched = 0xFFFFFFFFU;
    int64_t row = gr_tensor_row(t), stride = t.row_stride, wrong = 0;
    for (int64_t i = 0; i < op_buffer_count(t); i++) {
        int64_t at = i - OP_GUARD;
        bool inside = at >= 0 && at < t.shape[0] * stride && at % stride < row;
        if (!inside && memcmp(op_buffer(t) + i, &untouched, sizeof untouched) != 0) {
            wrong++;
        }
    }
    GR_CHECK_INT(wrong, 0);
}

/// ||got - want|| <= tolerance (||want|| + floor) over the n numbers, none of them NaN. Inputs are
/// of size 1; what is much smaller is a difference of equal numbers (the gradient of a softmax
/// over one key) and as good as their rounding.
static const double op_floor = 0.1;

static void op_check_norm(const char *what, const double *got, const double *want, int64_t n,
                          double tolerance)
{
    double error = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        error += (got[i] - want[i]) * (got[i] - want[i]);
        norm += want[i] * want[i];
    }
    bool ok =
        isfinite(error) && isfinite(norm) && sqrt(error) <= tolerance * (sqrt(norm) + op_floor);
    if (!ok) {
        printf("%s: error %.3g of norm %.3g, tolerance %.1g\n", what, sqrt(error), sqrt(norm),
               tolerance);
    }
    GR_CHECK(ok);
}

/// A case at one size: views, weights of the outputs, and the inputs in double.
typedef struct op_bench {
    const op_case *c;
    op_run run;
    gr_tensor before[OP_ARGS]; ///< din as it was before backward
    double *in[OP_ARGS], *out;
    int32_t ints[OP_INTS][1024];
} op_bench;

static bool op_wanted(const op_bench *b, int i)
{
    return b->c->backward && !op_bit(b->run.size->skip | b->run.size->absent, i);
}

static bool op_added(const op_bench *b, int i)
{
    unsigned mask = b->c->adds | (b->run.size->accumulate ? b->c->accumulates : 0);
    return op_bit(mask, i);
}

static void op_make_input(op_bench *b, int i)
{
    op_run *r = &b->run;
    if (op_bit(r->size->absent, i)) {
        r->in[i] = gr_tensor_none();
        return;
    }
    op_make(&r->in[i], r->size->pad);
    op_fill(r->in[i]);
    b->in[i] = op_alloc(gr_tensor_count(r->in[i]), sizeof(double));
    for (int64_t j = 0; j < gr_tensor_count(r->in[i]); j++) {
        b->in[i][j] = (double)*op_at(r->in[i], j);
    }
    if (op_wanted(b, i)) {
        r->din[i] = b->before[i] = r->in[i];
        op_make(&b->before[i], r->size->pad);
        op_make(&r->din[i], r->size->pad);
        if (op_added(b, i)) {
            op_fill(b->before[i]);
        }
    }
}

static void op_begin(op_bench *b, const op_case *c, const op_size *size)
{
    memset(b, 0, sizeof *b);
    op_state = 42;
    b->c = c;
    b->run.size = size;
    for (int i = 0; i < OP_INTS; i++) {
        b->run.ints[i] = gr_tensor_i32(b->ints[i], 0);
    }
    c->shapes(&b->run);
    for (int i = 0; i < c->inputs; i++) {
        op_make_input(b, i);
    }
    b->run.dout = b->run.out[0];
    op_make(&b->run.dout, size->pad);
    for (int64_t i = 0; i < gr_tensor_count(b->run.dout); i++) {
        *op_at(b->run.dout, i) = c->plain_sum ? 1 : op_rounded(op_random());
    }
    b->out = op_alloc(gr_tensor_count(b->run.dout), sizeof(double));
}

static void op_end(op_bench *b)
{
    for (int i = 0; i < b->c->inputs; i++) {
        op_free(&b->run.in[i]);
        op_free(&b->run.din[i]);
        op_free(&b->before[i]);
        GR_FREE(b->in[i]);
    }
    op_free(&b->run.dout);
    GR_FREE(b->out);
}

/// Runs forward and backward into fresh outputs with this many threads.
static void op_call(op_bench *b, int threads)
{
    gr_exec *ex = NULL;
    GR_ASSERT(gr_exec_create_cpu(threads, OP_ARENA, &ex) == GR_OK);
    GR_ASSERT(gr_exec_set_precision(ex, op_precision) == GR_OK);
    memset(gr_arena_take(ex->scratch, OP_ARENA / 2), 0xFF, OP_ARENA / 2);
    gr_arena_reset(ex->scratch, 0);
    for (int i = 0; i < b->c->outputs; i++) {
        op_make(&b->run.out[i], b->run.size->pad);
    }
    for (int i = 0; i < b->c->inputs; i++) {
        if (op_wanted(b, i)) {
            memcpy(op_buffer(b->run.din[i]), op_buffer(b->before[i]),
                   (size_t)op_buffer_count(b->run.din[i]) * sizeof(float));
        }
    }
    b->c->forward(ex, &b->run);
    if (b->c->backward) {
        b->c->backward(ex, &b->run);
    }
    GR_CHECK_INT(gr_arena_mark(ex->scratch), 0);
    gr_exec_destroy(&ex);
}

static void op_check_forward(op_bench *b)
{
    gr_tensor out = b->run.out[0];
    int64_t n = gr_tensor_count(out);
    double *got = op_alloc(n, sizeof(double));
    for (int64_t i = 0; i < n; i++) {
        got[i] = (double)*op_at(out, i);
    }
    b->c->formula(&b->run, b->in, b->out);
    op_check_norm("forward", got, b->out, n, b->c->tolerance);
    gr_mem_free(got);
    for (int i = 0; i < b->c->outputs; i++) {
        op_check_guards(b->run.out[i]);
    }
}

static void op_check_inputs(const op_bench *b)
{
    for (int i = 0; i < b->c->inputs; i++) {
        if (b->run.in[i].data) {
            int64_t changed = 0;
            for (int64_t j = 0; j < gr_tensor_count(b->run.in[i]); j++) {
                changed += (double)*op_at(b->run.in[i], j) != b->in[i][j];
            }
            GR_CHECK_INT(changed, 0);
            op_check_guards(b->run.in[i]);
        }
    }
}

/// The number that is differentiated: sum of out[0] dout.
static double op_objective(op_bench *b)
{
    double sum = 0;
    b->c->formula(&b->run, b->in, b->out);
    for (int64_t i = 0; i < gr_tensor_count(b->run.dout); i++) {
        sum += b->out[i] * (double)*op_at(b->run.dout, i);
    }
    return sum;
}

static const double op_step = 1e-5;

static double op_slope(op_bench *b, double *x)
{
    double at = *x;
    *x = at + op_step;
    double up = op_objective(b);
    *x = at - op_step;
    double down = op_objective(b);
    *x = at;
    return (up - down) / (2 * op_step);
}

static void op_check_elements(op_bench *b, int i)
{
    gr_tensor din = b->run.din[i];
    int64_t n = gr_tensor_count(din), count = n <= OP_ALL ? n : OP_SAMPLE;
    double got[OP_ALL], want[OP_ALL];
    for (int64_t s = 0; s < count; s++) {
        // Where it is a sample: spread evenly, the first and the last element in it.
        int64_t j = count > 1 ? s * (n - 1) / (count - 1) : 0;
        double before = op_added(b, i) ? (double)*op_at(b->before[i], j) : 0;
        got[s] = (double)*op_at(din, j);
        want[s] = before + op_slope(b, &b->in[i][j]);
    }
    char what[32];
    snprintf(what, sizeof what, "gradient %d", i);
    op_check_norm(what, got, want, count, b->c->tolerance);
}

/// Along a random direction u: <gradient, u> against the slope, relative to |gradient| |u|.
static void op_check_direction(op_bench *b, int i)
{
    gr_tensor din = b->run.din[i];
    int64_t n = gr_tensor_count(din);
    double *u = op_alloc(n, sizeof(double)), *at = b->in[i];
    double along = 0, norm = 0, length = 0, value[2];
    for (int64_t j = 0; j < n; j++) {
        double before = op_added(b, i) ? (double)*op_at(b->before[i], j) : 0;
        double g = (double)*op_at(din, j) - before;
        u[j] = op_random();
        along += g * u[j];
        norm += g * g;
        length += u[j] * u[j];
    }
    double *moved = op_alloc(n, sizeof(double)), step = op_step / (sqrt(length) + 1e-30);
    b->in[i] = moved;
    for (int side = 0; side < 2; side++) {
        for (int64_t j = 0; j < n; j++) {
            moved[j] = at[j] + (side ? -step : step) * u[j];
        }
        value[side] = op_objective(b);
    }
    b->in[i] = at;
    double slope = (value[0] - value[1]) / (2 * step);
    GR_CHECK(fabs(slope - along) <= b->c->tolerance * (sqrt(norm) + op_floor) * sqrt(length));
    gr_mem_free(u);
    gr_mem_free(moved);
}

static void op_check_backward(op_bench *b)
{
    for (int i = 0; i < b->c->inputs; i++) {
        if (op_wanted(b, i)) {
            op_check_guards(b->run.din[i]);
            op_check_elements(b, i);
            for (int k = 0; k < OP_DIRECTIONS && gr_tensor_count(b->run.din[i]) > OP_ALL; k++) {
                op_check_direction(b, i);
            }
        }
    }
}

static void op_same_bytes(gr_tensor got, gr_tensor want)
{
    GR_CHECK_BYTES(op_buffer(got), op_buffer(want),
                   (size_t)op_buffer_count(want) * sizeof(float));
}

/// Again with 2 and 3 threads: all bytes of all results as with one.
static void op_check_threads(op_bench *b)
{
    gr_tensor out[OP_ARGS], din[OP_ARGS];
    memcpy(out, b->run.out, sizeof out);
    memcpy(din, b->run.din, sizeof din);
    for (int threads = 2; threads <= 3; threads++) {
        for (int i = 0; i < b->c->inputs; i++) {
            if (op_wanted(b, i)) {
                op_make(&b->run.din[i], b->run.size->pad);
            }
        }
        op_call(b, threads);
        for (int i = 0; i < b->c->outputs; i++) {
            op_same_bytes(b->run.out[i], out[i]);
            op_free(&b->run.out[i]);
        }
        for (int i = 0; i < b->c->inputs; i++) {
            if (op_wanted(b, i)) {
                op_same_bytes(b->run.din[i], din[i]);
                op_free(&b->run.din[i]);
            }
        }
    }
    memcpy(b->run.out, out, sizeof out);
    memcpy(b->run.din, din, sizeof din);
}

static void op_check(const op_case *c, const op_size *sizes, size_t count)
{
    static op_bench b;
    for (size_t s = 0; s < count; s++) {
        op_begin(&b, c, &sizes[s]);
        op_call(&b, 1);
        op_check_inputs(&b);
        op_check_forward(&b);
        op_check_backward(&b);
        op_check_threads(&b);
        for (int i = 0; i < c->outputs; i++) {
            op_free(&b.run.out[i]);
        }
        op_end(&b);
    }
}

/// The case in bf16, with its own tolerance. For tests with bf16_missing.
static inline void op_check_bf16(const op_case *c, double tolerance, const op_size *sizes,
                                 size_t count)
{
    op_case rounded = *c;
    rounded.tolerance = tolerance;
    op_precision = GR_PRECISION_BF16;
    op_check(&rounded, sizes, count);
    op_precision = GR_PRECISION_FP32;
}

#define OP_CHECK_BF16(c, tolerance, sizes)                                                     \
    op_check_bf16((c), (tolerance), (sizes), sizeof(sizes) / sizeof(sizes)[0])
#define OP_CHECK(c, sizes) op_check((c), (sizes), sizeof(sizes) / sizeof(sizes)[0])

/// Shapes, for the `shapes` of a case.
static inline gr_tensor op_1d(int64_t n0)
{
    return (gr_tensor){.ndim = 1, .shape = {n0, 1, 1, 1}};
}
static inline gr_tensor op_2d(int64_t n0, int64_t n1)
{
    return (gr_tensor){.ndim = 2, .shape = {n0, n1, 1, 1}};
}
static inline gr_tensor op_3d(int64_t n0, int64_t n1, int64_t n2)
{
    return (gr_tensor){.ndim = 3, .shape = {n0, n1, n2, 1}};
}
static inline gr_tensor op_4d(int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
    return (gr_tensor){.ndim = 4, .shape = {n0, n1, n2, n3}};
}

#endif
