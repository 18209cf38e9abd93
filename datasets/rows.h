#ifndef DATASETS_ROWS_H
#define DATASETS_ROWS_H

/// What microbatches a stage has, without making them: no picture is decoded, for plans nothing is read at all.

#include "datasets/loader.h"

/// A microbatch by its place, and what its work and its memory follow from.
typedef struct gr_row_shape {
    int64_t step, lane, microbatch;
    int64_t tokens, images, targets; ///< images: tiles
    int64_t sequences;
    const int64_t
        *lengths; ///< [sequences] tokens of each, in their order; valid during the call
} gr_row_shape;

typedef gr_err gr_row_fn(void *context, const gr_row_shape *row);

/// Packs the stage's first windows, as many as hold `steps` steps (as there are, if fewer), and calls for each row, in the order of steps, lanes
/// and microbatches; one of left-out samples alone holds no tokens. *done: steps of these windows.
GR_MUST_CHECK gr_err gr_loader_rows(const gr_loader *loader, int64_t steps, gr_row_fn *call,
                                    void *context, int64_t *done);

/// Samples that are all alike, of a stage whose data is not there.
typedef struct gr_assumed_rows {
    int64_t samples;               ///< of the stage
    double tokens, targets, tiles; ///< of each, on average: the ones above and below take turns
    int64_t global_batch, lanes, window, sequence_length, max_images;
} gr_assumed_rows;

/// The same for such samples. One that does not fit into a row is GR_ERR_RECIPE.
GR_MUST_CHECK gr_err gr_assumed_rows_list(const gr_assumed_rows *rows, int64_t steps,
                                          gr_row_fn *call, void *context, int64_t *done);

#endif
