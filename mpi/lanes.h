#ifndef MPI_LANES_H
#define MPI_LANES_H

/// Lanes and the canonical tree. The global batch is cut into `lanes` virtual ranks; rank p of P
/// holds the contiguous run [first, first + count). Lane vectors are added by ONE fixed tree over
/// lane numbers: node [a, a + 2^k), a a multiple of 2^k, is node [a, a + 2^(k-1)) + node [a + 2^(k-1), a + 2^k); a node whose right
/// half lies beyond the last lane is its left half. So the bits depend on the lanes, never on P.
///
/// On a rank finished subtrees grow like a binary counter (at most ~2 log2(lanes) kept, one vector
/// each). Across ranks each element (ranges.h) has an owner who receives every rank's subtrees for it
/// and adds them in tree order, in pieces (messages.h). fp32 sums.
///
/// Intended use per step:
///   gr_lanes_begin; for each own lane { v = gr_lanes_next(...); fill v; } gr_lanes_reduce -> the sum, where the rank owns it
///
/// What of the last own lane is complete can be on its way while the rest is computed: gr_lanes_start behind the last
/// gr_lanes_next, then gr_lanes_ready again and again. Each rank does so or not, as it likes.

#include "mpi/messages.h"
#include "mpi/ranges.h"
#include "mpi/world.h"

/// Lanes of rank p: first = floor(p L / P), count = floor((p + 1) L / P) - first.
void gr_lanes_of_rank(int64_t lanes, int rank, int size, int64_t *first, int64_t *count);

typedef struct gr_lanes gr_lanes;

/// For vectors of n fp32. More ranks than lanes is GR_ERR_USAGE and names the counts that would do. All memory is
/// taken here. Collective.
GR_MUST_CHECK gr_err gr_lanes_create(const gr_world *world, int64_t lanes, int64_t n,
                                     gr_lanes **out);
void gr_lanes_destroy(gr_lanes **lanes);
/// What they take on a rank of any world, and one reduction sends.
gr_cost gr_lanes_cost(const gr_world *world, int64_t lanes, int64_t n);
int64_t gr_lanes_first(const gr_lanes *lanes);
int64_t gr_lanes_count(const gr_lanes *lanes);

/// Forgets the last step.
void gr_lanes_begin(gr_lanes *lanes);
/// A zeroed vector [n] for the next own lane, in order; the one before is taken as finished. Valid
/// until the next call. Not collective.
float *gr_lanes_next(gr_lanes *lanes);
/// Sends the lanes' sums from now on, as gr_lanes_ready lets it, beside the main thread. Behind the last gr_lanes_next; no call of this
/// room that is collective until gr_lanes_reduce or gr_lanes_abandon. Nothing where there is one rank. Takes a thread
/// the first time.
GR_MUST_CHECK gr_err gr_lanes_start(gr_lanes *lanes);
/// Elements [from, n) of the vector that gr_lanes_next gave last are complete; `from` falls.
void gr_lanes_ready(gr_lanes *lanes, int64_t from);
/// Instead of gr_lanes_reduce where an error keeps this rank from its lanes: takes part in what the others do, whose sum means
/// nothing then. gr_world_agree comes behind it. Collective with gr_lanes_reduce.
GR_MUST_CHECK gr_err gr_lanes_abandon(gr_lanes *lanes);
/// The sum over all lanes of what this rank owns (gr_owned_of), in its place in *sum [n]; the other elements mean nothing. Valid until
/// gr_lanes_begin. The same bits for any number of ranks. Collective.
GR_MUST_CHECK gr_err gr_lanes_reduce(gr_lanes *lanes, float **sum);

#endif
