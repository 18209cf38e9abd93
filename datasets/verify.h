#ifndef DATASETS_VERIFY_H
#define DATASETS_VERIFY_H

/// Every digest of a data set, checked by any number of processes.

#include "datasets/shard.h"

enum { GR_VERIFY_LISTED = 32, GR_VERIFY_REASON = 500 };

typedef struct gr_verify_damage {
    int64_t first, count; ///< samples; count 0: the data set as a whole
    char reason[GR_VERIFY_REASON];
} gr_verify_damage;

/// Plain data, so that reports of several processes can be gathered.
typedef struct gr_verify_report {
    int64_t samples, bytes; ///< read and found to be what was written
    int64_t damaged;        ///< samples that are not, or cannot be read
    int64_t faults; ///< how many damages were found; the first GR_VERIFY_LISTED are in the list
    gr_verify_damage list[GR_VERIFY_LISTED];
} gr_verify_report;

/// Checks part `rank` of `size` of the samples (a run of them): tables of their shards, content ids of their bytes. Rank 0 also checks the
/// digest of the whole. Damage goes into the report; the error is what keeps from checking (memory).
GR_MUST_CHECK gr_err gr_dataset_verify(const gr_dataset *dataset, int rank, int size,
                                       gr_verify_report *out);

#endif
