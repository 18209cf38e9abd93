#ifndef DATASETS_MIXTURE_H
#define DATASETS_MIXTURE_H

/// From a position of a stage's order to a sample: a pure function of (sources, seed, stream, position) in memory that
/// does not depend on the position; any position is answered directly. Private to datasets/.
///
/// Without weights the sources are one: number k of N samples in all, in epoch e, is element gr_order(seed, stream, e, N,
/// k) of their concatenation.
///
/// With weights w_s a chain of forks deals the positions out: of the first i that reach fork s, floor(i w_s / (w_s + w_(s+1) +
/// ...)) go to source s and the others on. So after any number of positions each source has had its share, but for less than one
/// sample at each fork. Source s gives its k-th sample by an order of its own: epoch k / n_s, element k % n_s. A source that has given
/// max_repeats n_s samples is out, and the others go on with their weights among themselves.

#include "datasets/loader.h"

typedef struct gri_mixture gri_mixture;

/// Where a position leads.
typedef struct gri_draw {
    int64_t source; ///< which
    int64_t index;  ///< of the sample in its data set
} gri_draw;

/// `sources` is borrowed for the call. shuffle false: every order is 0, 1, 2 ...
GR_MUST_CHECK gr_err gri_mixture_create(const gr_loader_source *sources, int64_t count,
                                        uint64_t seed, uint64_t stream, bool shuffle,
                                        gri_mixture **out);
void gri_mixture_destroy(gri_mixture **mixture);
/// Samples of all sources, each counted once: the length of an epoch.
int64_t gri_mixture_size(const gri_mixture *mixture);
/// Positions that the repeat limits allow; INT64_MAX without such an end.
int64_t gri_mixture_end(const gri_mixture *mixture);
/// Sample `number` of all sources end to end, 0 <= number < gri_mixture_size, as the data sets have them.
gri_draw gri_mixture_sample(const gri_mixture *mixture, int64_t number);
/// 0 <= position < gri_mixture_end.
gri_draw gri_mixture_at(const gri_mixture *mixture, int64_t position);

#endif
