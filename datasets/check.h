#ifndef DATASETS_CHECK_H
#define DATASETS_CHECK_H

/// What a loader would meet in a stage, looked at beforehand by any number of processes.

#include "datasets/loader.h"
#include "datasets/seen.h"

enum { GR_CHECK_LISTED = 32, GR_CHECK_REASON = 480 };

/// One kind of fault: the reasons that differ in names and numbers only.
typedef struct gr_check_bad {
    int64_t number;               ///< of the first such sample, in the concatenated sources
    int64_t count;                ///< of such samples
    char reason[GR_CHECK_REASON]; ///< of the first
} gr_check_bad;

/// Whether two reasons are the same but for what tells one sample from another: numbers, digests, quoted names.
bool gr_check_same_kind(const char *a, const char *b);

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
    int64_t bad;                              ///< samples that cannot be used
    int64_t too_long;                         ///< of `bad`, those with more tokens than a row
    int64_t longest_bad;                      ///< tokens of the longest of these
    int64_t unusable; ///< of `bad`, those that `drop` does not help: their shard cannot be read
    int64_t
        kinds; ///< of `list`, in the order of their first samples; what is beyond GR_CHECK_LISTED kinds is counted in `bad` alone
    gr_check_bad list[GR_CHECK_LISTED];
    int64_t rows, row_tokens; ///< microbatches of the stage, and their tokens
    /// [s] for each set s > 0: the row with most by it; of equal ones that with most by all four, then the first.
    gr_check_row most[GR_CHECK_SETS];
    int64_t image_tokens; ///< of one tile
} gr_check_report;

/// Part `rank` of `size` of the samples that the sources offer, each once: content id, every picture's pixels and size, tokens, targets,
/// fit. What is wrong goes into the report; the error is what keeps from checking (memory). `seen` gets the samples whose content id and
/// pictures are right; of those that it has already, from another stage, only the text is read.
GR_MUST_CHECK gr_err gr_loader_check_samples(const gr_loader *loader, int rank, int size,
                                             gr_seen *seen, gr_check_report *out);
/// Packs every size-th window of the stage and adds its rows to the report. An endless stage has none.
GR_MUST_CHECK gr_err gr_loader_check_rows(const gr_loader *loader, int rank, int size,
                                          gr_check_report *report);
/// Adds a report, of the next rank.
void gr_check_add(gr_check_report *sum, const gr_check_report *part);

#endif
