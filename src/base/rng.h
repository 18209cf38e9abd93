#ifndef SRC_BASE_RNG_H
#define SRC_BASE_RNG_H

/// Random numbers as a pure function of (seed, stream, index): Philox4x32-10.
/// Nothing is remembered, so any rank can draw any number in any order.
/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11.

#include <stdint.h>

/// One block: 4 words from a 128-bit counter and a 64-bit key.
void gr_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/// 64 random bits of position `index` in `stream` of `seed` (key = seed, counter = index, stream).
uint64_t gr_rng_u64(uint64_t seed, uint64_t stream, uint64_t index);
/// Uniform in [0, 1), 53 bits.
double gr_rng_uniform(uint64_t seed, uint64_t stream, uint64_t index);
/// Standard normal (Box-Muller on the two halves of one block).
double gr_rng_normal(uint64_t seed, uint64_t stream, uint64_t index);
/// Number of a stream from its name (the 64-bit digest of the text).
uint64_t gr_rng_stream(const char *name);

#endif
