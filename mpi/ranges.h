#ifndef MPI_RANGES_H
#define MPI_RANGES_H

/// Which rank owns which elements of a flat space [0, n): whole blocks of GR_RANGE_BLOCK elements, cut as evenly as
/// blocks go. It follows from (n, rank, size) alone, so no rank has to ask another. Sums over one block each (the
/// gradient's norm, digests) are therefore made by one rank, whatever the number of ranks.

#include <stdint.h>

enum { GR_RANGE_BLOCK = 4096 }; ///< elements; 16 KiB of fp32

/// Elements [begin, end); begin == end: none.
typedef struct gr_range {
    int64_t begin, end;
} gr_range;

/// Blocks of n elements, the last one perhaps shorter.
int64_t gr_range_blocks(int64_t n);
/// The range of `rank` of `size`: blocks [B rank / size, B (rank + 1) / size) of B. A rank may have none.
gr_range gr_range_of_rank(int64_t n, int rank, int size);
/// Elements of the longest of the ranges.
int64_t gr_range_longest(int64_t n, int size);
/// What both hold.
gr_range gr_range_overlap(gr_range a, gr_range b);
int64_t gr_range_count(gr_range range);

#endif
