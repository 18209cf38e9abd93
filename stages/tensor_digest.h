#ifndef STAGES_TENSOR_DIGEST_H
#define STAGES_TENSOR_DIGEST_H

/// One 64-bit digest for each tensor of a flat space, whoever computes which piece of it. A piece is what one block
/// (mpi/ranges.h) holds of one tensor; a tensor's digest is the sum, modulo 2^64, of its pieces' mixed digests. Blocks are never cut
/// between ranks, and the order of a sum of integers does not matter: so ranks add their sums, and the result depends neither
/// on them nor on the threads. They find accidents, as XXH3 does, not malice.

#include "mpi/ranges.h"
#include "src/model/params.h"

/// Adds to sums[i], for each tensor params->items[i] of the part that `range` touches, its pieces there. `range` is elements of
/// the part's own flat space, whole blocks (the last may end with the part); values[0] is the first of them.
void gr_tensor_digests_add(const gr_params *params, gr_part part, gr_range range,
                           const float *values, int threads, uint64_t *sums);

/// A digest for a digest at a place: what is mixed before it is added to others, so that equal values at other places do not
/// cancel.
uint64_t gr_digest_mixed(uint64_t digest, uint64_t place);

#endif
