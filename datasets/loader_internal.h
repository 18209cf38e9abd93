#ifndef DATASETS_LOADER_INTERNAL_H
#define DATASETS_LOADER_INTERNAL_H

/// The loader's two halves: what a lane holds (loader.c) and making it ahead of time (prefetch.c).

#include "datasets/pack.h"

/// A window with the samples that its positions lead to.
typedef struct gri_load {
    gri_window window;
    gri_ref *refs;  ///< [window.count]
    gri_kept *kept; ///< [window.count]; of all lanes, for who gets what is dealt later
    gri_store store;
    int64_t capacity;
} gri_load;
void gri_load_fini(gri_load *load);

const gri_pack_rules *gri_loader_rules(const gr_loader *loader);
/// The window that a step belongs to.
int64_t gri_loader_window_of(const gr_loader *loader, int64_t step);
/// Steps of a window.
int64_t gri_loader_window_steps(const gr_loader *loader);
/// Sample `number` of the sources end to end, 0 <= number < gr_loader_epoch_size.
gri_ref gri_loader_sample(const gr_loader *loader, int64_t number);
/// Looks up the samples of a window; then come gri_loader_measure for each of them, in any order and from any thread, and
/// gri_window_pack. `by_counts`: as gri_pack_measure; the rows are the same.
GR_MUST_CHECK gr_err gri_loader_begin(const gr_loader *loader, int64_t number, gri_load *load);
GR_MUST_CHECK gr_err gri_loader_measure(const gr_loader *loader, gri_load *load, int64_t i,
                                        bool by_counts, gri_scratch *scratch);
/// Seats the samples of a lane, whose window was packed.
GR_MUST_CHECK gr_err gri_loader_seat(const gr_loader *loader, const gri_load *load,
                                     int64_t step, int64_t lane, gri_pack *pack);

/// Threads that fill the packs of announced lanes, a few ahead of the caller.
typedef struct gri_prefetch gri_prefetch;
typedef struct gri_plan {
    int64_t step, last_step, first, count; ///< as in gr_loader_expect
} gri_plan;
GR_MUST_CHECK gr_err gri_prefetch_create(const gr_loader *loader, int threads,
                                         gri_prefetch **out);
/// Waits for the samples in work at most, not for lanes.
void gri_prefetch_destroy(gri_prefetch **prefetch);
/// Drops what was prepared and starts on this plan; the pack that was last taken stays valid.
void gri_prefetch_start(gri_prefetch *prefetch, gri_plan plan);
/// Gives back the pack taken before. If this lane is the plan's next, waits for it and hands it out, or its error as
/// it was in the thread; else *out is NULL.
GR_MUST_CHECK gr_err gri_prefetch_take(gri_prefetch *prefetch, int64_t step, int64_t lane,
                                       gri_pack **out);

#endif
