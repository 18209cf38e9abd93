#ifndef DATASETS_SUBSET_H
#define DATASETS_SUBSET_H

/// The samples of a data set whose place (order.h) lies in [from, to), of one task or of all, numbered in the order of the data set: one bit a
/// sample and a count for every 512, so 100,000,000 samples take 14 MB. Private to datasets/.

#include "datasets/shard.h"

typedef struct gri_subset {
    int64_t count;   ///< samples in it
    uint64_t *words; ///< bit i: sample i is in it; NULL: all are
    int64_t *before; ///< [blocks + 1]: samples of the subset before each block of 512
    int64_t blocks;
} gri_subset;

/// Reads every content id of the data set once, unless from <= 0 and to >= 1; of a task (NULL: of all) every label, and that none has it is
/// GR_ERR_DATA.
GR_MUST_CHECK gr_err gri_subset_create(const gr_dataset *dataset, double from, double to,
                                       const char *task, gri_subset *out);
void gri_subset_fini(gri_subset *subset);
/// Index in the data set of the k-th sample of the subset, 0 <= k < count.
int64_t gri_subset_select(const gri_subset *subset, int64_t k);

#endif
