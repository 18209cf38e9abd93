#ifndef MPI_RANGES_H
#define MPI_RANGES_H

/// Which rank owns which elements of a flat space [0, n).
///
/// The space is cut into stripes, and each stripe into one run of whole blocks a rank, rank 0's first. So whatever stretch of
/// the space is ready to be sent, all ranks own a part of it, and all links of a network are used both ways. The last
/// stripe, shorter than the others, is cut as evenly as blocks go. All of it follows from (n, rank, size) alone, so no rank has
/// to ask another. Blocks are never cut: sums over one block each (the gradient's norm, digests) are made by one rank,
/// whatever the number of ranks.

#include <stdbool.h>
#include <stdint.h>

enum { GR_RANGE_BLOCK = 4096 }; ///< elements; 16 KiB of fp32

/// Elements [begin, end); begin == end: none.
typedef struct gr_range {
    int64_t begin, end;
} gr_range;

/// Blocks of n elements, the last one perhaps shorter.
int64_t gr_range_blocks(int64_t n);
/// What both hold.
gr_range gr_range_overlap(gr_range a, gr_range b);
int64_t gr_range_count(gr_range range);

/// What `rank` of `size` owns of n elements. A rank may own nothing.
typedef struct gr_owned {
    int64_t n;
    int rank, size;
    int64_t run; ///< elements of one rank in one stripe but the last
} gr_owned;

gr_owned gr_owned_of(int64_t n, int rank, int size);
/// The same space as another rank owns it.
gr_owned gr_owned_by(const gr_owned *owned, int rank);
int64_t gr_owned_stripes(const gr_owned *owned);
/// Stripe `stripe` with all ranks' runs.
gr_range gr_owned_stripe(const gr_owned *owned, int64_t stripe);
/// What is owned of a stripe: one run, perhaps empty.
gr_range gr_owned_run(const gr_owned *owned, int64_t stripe);
/// Owned elements before element `at` of the space, [0, n]: where it lies in an array of the owned ones only.
int64_t gr_owned_place(const gr_owned *owned, int64_t at);
/// All owned elements.
int64_t gr_owned_count(const gr_owned *owned);
/// Elements of the longest run of any rank.
int64_t gr_owned_longest(const gr_owned *owned);
/// Elements of the rank that owns most of n.
int64_t gr_owned_most(int64_t n, int size);
/// Moves *piece on to the next owned elements inside `in`, as far as they are neighbours; false: there are no more. Begin with
/// an empty piece at in.begin.
bool gr_owned_next(const gr_owned *owned, gr_range in, gr_range *piece);
/// Who owns element `at`; *run is that rank's run around it.
int gr_owned_owner(const gr_owned *owned, int64_t at, gr_range *run);

/// Blocks of one rank in one stripe, 1 MiB: long enough for a network's messages, short enough that the first gradients go early.
enum { GR_OWNED_BLOCKS = 64 };
/// Another number from now on, on all ranks alike: it changes the speed, never a bit. Tests lower it, so that small
/// spaces have many stripes.
void gr_owned_set_blocks(int64_t blocks);

#endif
