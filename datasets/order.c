#include "datasets/order.h"

#include "src/base/rng.h"

enum { ROUNDS = 8 };

/// Half of the bits of the smallest even-width domain 2^(2 half) that holds n values.
static unsigned half_bits(int64_t n)
{
    unsigned bits = 0;
    while (bits < 63 && (int64_t)1 << bits < n) {
        bits++;
    }
    return bits < 2 ? 1 : (bits + 1) / 2;
}

/// One pass of the Feistel network: a permutation of 0 .. 2^(2 half) - 1.
static uint64_t feistel(const uint32_t key[2], unsigned half, uint64_t value)
{
    uint32_t mask = (uint32_t)(((uint64_t)1 << half) - 1);
    uint32_t left = (uint32_t)(value >> half) & mask;
    uint32_t right = (uint32_t)value & mask;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t words[4];
        gr_philox4x32((const uint32_t[4]){right, round, half, 0}, key, words);
        uint32_t mixed = left ^ (words[0] & mask);
        left = right;
        right = mixed;
    }
    return (uint64_t)left << half | right;
}

int64_t gr_order(uint64_t seed, uint64_t stream, int64_t epoch, int64_t n, int64_t i)
{
    GR_ASSERT(n >= 1 && i >= 0 && i < n);
    unsigned half = half_bits(n);
    uint64_t word = gr_rng_u64(seed, stream, (uint64_t)epoch);
    const uint32_t key[2] = {(uint32_t)word, (uint32_t)(word >> 32)};
    // The domain is less than four times n, so a walk along the cycle is short, and it ends: i itself is on it.
    uint64_t value = (uint64_t)i;
    do {
        value = feistel(key, half, value);
    } while (value >= (uint64_t)n);
    return (int64_t)value;
}

double gr_order_place(gr_digest id)
{
    return (double)(id.high >> 11) * 0x1p-53;
}
