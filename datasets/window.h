#ifndef DATASETS_WINDOW_H
#define DATASETS_WINDOW_H

/// Packing (stream and visual packing of the SAILViT report, section 5.1): the samples of a window of the order become rows of
/// whole samples, and rows are dealt to the lanes of the window's steps. A pure function of the samples' sizes, so what is packed
/// follows from the position alone and can start at any window. Knows numbers only. Private to datasets/.
///
/// The number of rows is the smallest multiple of the lanes, at least one a lane and step, into which the samples go by
/// this rule: in the order of their tokens, longest first, each takes the row that has room and fewest pictures (of those, fewest tokens; a
/// sample without pictures: fewest tokens). So long samples come first and wait for nothing, pictures are level over rows,
/// and short texts level the tokens. Then rows, sorted by pictures, go in groups of one row a lane to the steps (each has
/// the same number of groups, but for one; which is keyed), inside a group the fullest row to the lane with least; at last samples change places between
/// the lanes with most and with least pictures as long as that brings them closer.

#include "src/base/digest.h"

#include <stdint.h>

/// What a sample takes. tokens 0: it cannot be used, or is too large; it comes along without taking room.
typedef struct gri_size {
    int64_t tokens, images;
} gri_size;

typedef struct gri_row {
    int64_t begin, end; ///< its samples: window->order[begin .. end), by position
    int64_t tokens, images;
    int64_t cell; ///< step in the window * lanes + lane
} gri_row;

typedef struct gri_window_rules {
    int64_t lanes, sequence_length;
    int64_t max_images; ///< of a row; 0: no limit
    uint64_t seed, stream;
} gri_window_rules;

/// A window of `count` samples and `steps` steps. Its memory is used again for the next.
typedef struct gri_window {
    int64_t number; ///< which window of the order: keys what is random
    int64_t count, steps;
    gri_size *sizes; ///< [count], filled in by the caller
    int64_t *order;  ///< [count]: samples, row by row
    int64_t row_count;
    gri_row *rows;  ///< [row_count], by cell; none is empty
    int64_t *cells; ///< [steps * lanes + 1]: rows of a cell are [cells[c], cells[c + 1])
    gr_digest
        digest; ///< of number and sizes, from which all of this follows: who has another packs otherwise
    void *inside; ///< working memory
} gri_window;

/// Makes room for this many samples. `window` starts zeroed; end it with gri_window_fini.
GR_MUST_CHECK gr_err gri_window_begin(gri_window *window, const gri_window_rules *rules,
                                      int64_t number, int64_t count, int64_t steps);
/// From sizes to rows and cells.
GR_MUST_CHECK gr_err gri_window_pack(gri_window *window, const gri_window_rules *rules);
void gri_window_fini(gri_window *window);

/// Whether a sample of this size fits into an empty row.
bool gri_size_fits(const gri_window_rules *rules, gri_size size);

#endif
