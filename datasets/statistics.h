#ifndef DATASETS_STATISTICS_H
#define DATASETS_STATISTICS_H

/// What a data set holds, from the shards' index tables alone: no picture is decoded and no text is read.

#include "datasets/shard.h"

enum {
    GR_HISTOGRAM_BUCKETS = 40,
    GR_STATISTICS_FIXED = 4,
    GR_STATISTICS_TASKS = 64,
    GR_STATISTICS_NAME = 64
};

/// How many values lie in [2^k, 2^(k+1)), and how many are 0.
typedef struct gr_histogram {
    char name[GR_STATISTICS_NAME];
    int64_t zeros, counts[GR_HISTOGRAM_BUCKETS];
} gr_histogram;

/// How many samples have a task; the last one, "(others)", counts those of all further tasks.
typedef struct gr_task_counts {
    char names[GR_STATISTICS_TASKS][GR_STATISTICS_NAME];
    int64_t counts[GR_STATISTICS_TASKS];
    int count;
} gr_task_counts;

typedef struct gr_statistics {
    /// of samples: pictures, bytes of all pictures, bytes of the conversation; of pictures: longer side in pixels
    gr_histogram fixed[GR_STATISTICS_FIXED];
    gr_histogram
        *tokens; ///< [tokenizers]: of samples, tokens by each tokenizer whose counts are stored
    int64_t tokenizers;
    gr_task_counts tasks;
} gr_statistics;

/// *out is zeroed before. Reads every shard's tables. Not collective.
GR_MUST_CHECK gr_err gr_statistics_take(const gr_dataset *data, gr_statistics *out);
void gr_statistics_fini(gr_statistics *statistics);

#endif
