#ifndef DATASETS_ORDER_H
#define DATASETS_ORDER_H

/// Order is a function: a keyed permutation of 0 .. n-1 in constant memory (a balanced Feistel
/// network over Philox, cycle-walking), and subsets by a threshold on the hash of the content id.

#include "src/base/digest.h"

/// Element `i` of the permutation of 0 .. n-1 that (seed, stream, epoch) name. n >= 1, 0 <= i < n.
int64_t gr_order(uint64_t seed, uint64_t stream, int64_t epoch, int64_t n, int64_t i);

/// Place of a sample in [0, 1), from its content id only: the subset [from, to) is the samples with
/// from <= place < to, so smaller subsets lie inside larger ones.
double gr_order_place(gr_digest id);

#endif
