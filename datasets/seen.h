#ifndef DATASETS_SEEN_H
#define DATASETS_SEEN_H

/// Which samples of which data sets were already looked at: one bit a sample.

#include "datasets/shard.h"

typedef struct gr_seen_set {
    const gr_dataset *dataset; ///< borrowed
    uint64_t *words;           ///< bit i: sample i was seen
} gr_seen_set;

/// Start with a zeroed one; end it with gr_seen_fini.
typedef struct gr_seen {
    gr_seen_set *sets;
    int64_t count;
} gr_seen;

bool gr_seen_has(const gr_seen *seen, const gr_dataset *dataset, int64_t index);
GR_MUST_CHECK gr_err gr_seen_add(gr_seen *seen, const gr_dataset *dataset, int64_t index);
void gr_seen_fini(gr_seen *seen);

#endif
