#include "datasets/order.h"
#include "src/base/mem.h"
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>

/// Whether gr_order is a permutation of 0 .. n-1.
static bool is_bijection(uint64_t seed, uint64_t stream, int64_t epoch, int64_t n)
{
    gr_err err = GR_OK;
    bool *seen = NULL;
    bool ok = true;
    GR_ALLOC(seen, n);
    for (int64_t i = 0; i < n && ok; i++) {
        int64_t at = gr_order(seed, stream, epoch, n, i);
        ok = at >= 0 && at < n && !seen[at];
        if (ok) {
            seen[at] = true;
        }
    }
done:
    GR_FREE(seen);
    return ok && err == GR_OK;
}

static void test_bijection_small(void)
{
    for (int64_t n = 1; n <= 300; n++) {
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            GR_CHECK(is_bijection(7, 3, epoch, n));
        }
    }
}

static void test_bijection_large(void)
{
    static const int64_t sizes[] = {1023, 1024, 1025, 4096, 4097, 65537, 100003, 262145};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        GR_CHECK(is_bijection(UINT64_MAX, UINT64_MAX, 0, sizes[k]));
    }
}

static void test_huge_domain(void)
{
    static const int64_t sizes[] = {((int64_t)1 << 40) + 1, (int64_t)1 << 62, INT64_MAX};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        for (int64_t i = 0; i < 100; i++) {
            int64_t at = gr_order(1, 2, 3, sizes[k], i);
            GR_CHECK(at >= 0 && at < sizes[k]);
        }
    }
}

/// How many of n elements two orders put at the same place.
static int64_t agreement(const uint64_t a[3], const uint64_t b[3], int64_t n)
{
    int64_t same = 0;
    for (int64_t i = 0; i < n; i++) {
        same += gr_order(a[0], a[1], (int64_t)a[2], n, i) ==
                gr_order(b[0], b[1], (int64_t)b[2], n, i);
    }
    return same;
}

static void test_key(void)
{
    const uint64_t base[3] = {11, 5, 2};
    GR_CHECK_INT(agreement(base, base, 1000), 1000);
    for (int k = 0; k < 3; k++) {
        for (int bit = 0; bit < 64; bit += 21) { // 0, 21, 42, 63: low and high words of the key
            uint64_t other[3] = {base[0], base[1], base[2]};
            other[k] ^= (uint64_t)1 << (k == 2 && bit == 63 ? 62 : bit);
            // Two random permutations agree in one place on average; 9 or more has probability 1e-6.
            GR_CHECK(agreement(base, other, 1000) < 9);
        }
    }
}

/// Element 0 lands everywhere about equally often over epochs: chi-square with 15 degrees of freedom.
static void test_uniform(void)
{
    enum { N = 16, EPOCHS = 16000 };
    double counts[N] = {0}, chi = 0;
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        counts[gr_order(3, 4, epoch, N, 0)]++;
    }
    for (int k = 0; k < N; k++) {
        chi += (counts[k] - EPOCHS / N) * (counts[k] - EPOCHS / N) / (EPOCHS / N);
    }
    GR_CHECK(chi < 45.0); // exceeded by chance with probability 8e-5
}

/// Neighbours do not stay neighbours, and position says nothing about value.
static void test_no_correlation(void)
{
    enum { N = 10000 };
    double product = 0, mean = (N - 1) / 2.0, variance = ((double)N * N - 1) / 12;
    int64_t close = 0;
    for (int64_t i = 0; i < N; i++) {
        int64_t at = gr_order(5, 6, 7, N, i);
        product += ((double)i - mean) * ((double)at - mean);
        if (i > 0 && llabs(at - gr_order(5, 6, 7, N, i - 1)) <= 10) {
            close++;
        }
    }
    GR_CHECK(fabs(product / N / variance) < 0.05); // 5 standard deviations
    GR_CHECK(close > 2 && close < 50);             // expected 20
}

static void test_place(void)
{
    GR_CHECK(gr_order_place((gr_digest){0, UINT64_MAX}) == 0.0);
    GR_CHECK(gr_order_place((gr_digest){(uint64_t)1 << 63, 0}) == 0.5);
    double last = gr_order_place((gr_digest){UINT64_MAX, 0});
    GR_CHECK(last < 1.0 && last == 1.0 - 0x1p-53);
}

/// A fraction f takes about f of the samples, and the smaller lies inside the larger.
static void test_subsets(void)
{
    enum { N = 20000 };
    int64_t twentieth = 0, tenth = 0, outside = 0;
    for (int64_t i = 0; i < N; i++) {
        double place = gr_order_place(gr_digest_of(&i, sizeof i));
        twentieth += place < 0.05;
        tenth += place < 0.10;
        outside += place < 0.05 && !(place < 0.10);
    }
    GR_CHECK_INT(outside, 0);
    GR_CHECK(llabs(twentieth - 1000) < 155); // 5 standard deviations
    GR_CHECK(llabs(tenth - 2000) < 212);
}

static const gr_test tests[] = {
    {"bijection_small", test_bijection_small},
    {"bijection_large", test_bijection_large},
    {"huge_domain", test_huge_domain},
    {"key", test_key},
    {"uniform", test_uniform},
    {"no_correlation", test_no_correlation},
    {"place", test_place},
    {"subsets", test_subsets},
};
GR_TEST_MAIN("order", tests)
