#include "src/base/rng.h"

#include "src/base/elementary.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

void gr_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = UINT64_C(0xD2511F53) * c0;
        uint64_t p1 = UINT64_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += UINT32_C(0x9E3779B9); // golden ratio
        k1 += UINT32_C(0xBB67AE85); // sqrt(3) - 1
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/// Both 64-bit halves of one block.
static void block(uint64_t seed, uint64_t stream, uint64_t index, uint64_t out[2])
{
    uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
                           (uint32_t)(stream >> 32)};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t words[4];
    gr_philox4x32(counter, key, words);
    out[0] = words[0] | (uint64_t)words[1] << 32;
    out[1] = words[2] | (uint64_t)words[3] << 32;
}

uint64_t gr_rng_u64(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint64_t bits[2];
    block(seed, stream, index, bits);
    return bits[0];
}

double gr_rng_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    return (double)(gr_rng_u64(seed, stream, index) >> 11) * 0x1p-53;
}

double gr_rng_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint64_t bits[2];
    block(seed, stream, index, bits);
    double u = (double)((bits[0] >> 11) + 1) * 0x1p-53; // (0, 1]: its logarithm is finite
    double v = (double)(bits[1] >> 11) * 0x1p-53;
    return sqrt(-2 * gr_log(u)) * gr_cospi(2 * v);
}

uint64_t gr_rng_stream(const char *name)
{
    return XXH3_64bits(name, strlen(name));
}
