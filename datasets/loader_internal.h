#ifndef DATASETS_LOADER_INTERNAL_H
#define DATASETS_LOADER_INTERNAL_H

/// The loader's two halves: what a lane holds (loader.c) and making it ahead of time (prefetch.c).

#include "datasets/pack.h"

#include <stdatomic.h>

/// Positions [begin, end) of the stage's endless order.
typedef struct gri_span {
    int64_t begin, end;
} gri_span;
gri_span gri_loader_span(const gr_loader *loader, int64_t step, int64_t lane);
/// Reads, encodes and packs the samples of these positions. Called from two threads at once, each with its own
/// pack. Gives up with GR_ERR_STOPPED between two samples once *stop is true (NULL: never).
GR_MUST_CHECK gr_err gri_loader_fill(const gr_loader *loader, gri_span span,
                                     const atomic_bool *stop, gri_pack *pack);

/// A thread that fills the packs of announced lanes, a few ahead of the caller.
typedef struct gri_prefetch gri_prefetch;
typedef struct gri_plan {
    int64_t step, last_step, first, count; ///< as in gr_loader_expect
} gri_plan;
GR_MUST_CHECK gr_err gri_prefetch_create(const gr_loader *loader, gri_prefetch **out);
/// Waits for the sample in work at most, not for lanes.
void gri_prefetch_destroy(gri_prefetch **prefetch);
/// Drops what was prepared and starts on this plan; the pack that was last taken stays valid.
void gri_prefetch_start(gri_prefetch *prefetch, gri_plan plan);
/// Gives back the pack taken before. If `span` is the plan's next, waits for it and hands it out, or its error as
/// it was in the thread; else *out is NULL.
GR_MUST_CHECK gr_err gri_prefetch_take(gri_prefetch *prefetch, gri_span span, gri_pack **out);

#endif
