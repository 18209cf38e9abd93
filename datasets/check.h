#ifndef DATASETS_CHECK_H
#define DATASETS_CHECK_H

/// What a loader would meet in a stage, looked at beforehand by any number of processes.

#include "datasets/loader.h"

enum { GR_CHECK_LISTED = 32, GR_CHECK_REASON = 480 };

typedef struct gr_check_bad {
    int64_t number; ///< of the sample in the concatenated sources
    char reason[GR_CHECK_REASON];
} gr_check_bad;

/// A microbatch by its place, and what its memory follows from.
typedef struct gr_check_row {
    int64_t step, lane, microbatch;
    int64_t tokens, images, targets; ///< images: tiles
    int64_t longest;                 ///< tokens of its longest conversation
} gr_check_row;

/// What rows are compared by, as bits: alone, and added (in tokens) for each set of them. Memory is close to linear in these four, so the
/// row that takes most is among those that are largest by some set.
enum {
    GR_CHECK_TOKENS = 1,
    GR_CHECK_IMAGES = 2, ///< tiles, as the tokens that they become
    GR_CHECK_TARGETS = 4,
    GR_CHECK_LONGEST = 8,
    GR_CHECK_SETS = 16
};

/// Plain data, so that reports of several processes can be gathered.
typedef struct gr_check_report {
    int64_t samples, images, tokens, targets; ///< of good samples, each once; images: tiles
    int64_t longest;                          ///< tokens of the longest
    int64_t bad; ///< samples that cannot be used; the first GR_CHECK_LISTED are in the list
    int64_t too_long;    ///< of `bad`, those with more tokens than a row
    int64_t longest_bad; ///< tokens of the longest of these
    int64_t unusable; ///< of `bad`, those that `drop` does not help: their shard cannot be read
    gr_check_bad list[GR_CHECK_LISTED];
    int64_t rows, row_tokens; ///< microbatches of the stage, and their tokens
    /// [s] for each set s > 0: the row with most by it; of equal ones that with most by all four, then the first.
    gr_check_row most[GR_CHECK_SETS];
    int64_t image_tokens; ///< of one tile
} gr_check_report;

/// Part `rank` of `size` of the samples that the sources offer, each once: content id, every picture's pixels and size, tokens, targets,
/// fit. What is wrong goes into the report; the error is what keeps from checking (memory).
GR_MUST_CHECK gr_err gr_loader_check_samples(const gr_loader *loader, int rank, int size,
                                             gr_check_report *out);
/// Packs every size-th window of the stage and adds its rows to the report. An endless stage has none.
GR_MUST_CHECK gr_err gr_loader_check_rows(const gr_loader *loader, int rank, int size,
                                          gr_check_report *report);
/// Adds a report, of the next rank.
void gr_check_add(gr_check_report *sum, const gr_check_report *part);

#endif
