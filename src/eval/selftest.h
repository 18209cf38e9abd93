#ifndef SRC_EVAL_SELFTEST_H
#define SRC_EVAL_SELFTEST_H

/// That the mathematics of this build on this machine does not depend on how work is cut, for `gradus doctor`. A test that
/// fails is GR_ERR_FAILED and says expected and got.

#include "mpi/world.h"

/// Loss and gradient of a packed batch of conversations with pictures: the same bits with 1 and with `threads` threads.
GR_MUST_CHECK gr_err gr_selftest_threads(int threads);

/// ||g - reference|| / ||reference|| that sums of fp32 in another order may differ by: a few times 2^-24 per
/// addition. A wrong weight of a microbatch, or a token that sees another conversation, is off by more than 1e-2.
#define GR_SPLIT_BOUND 3e-6

/// The same gradient, within GR_SPLIT_BOUND, however one batch is cut: into packs of one or several conversations, into
/// microbatches, and over lanes that are added across the ranks of `world` (NULL: without lanes). Collective.
/// *worst: the largest difference found.
GR_MUST_CHECK gr_err gr_selftest_split(const gr_world *world, double *worst);

#endif
