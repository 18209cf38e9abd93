#ifndef DATASETS_ROOM_H
#define DATASETS_ROOM_H

/// Which row of a window a sample goes into, in time logarithmic in the rows. Private to window.c.
///
/// Of the rows that have room: for a sample with pictures the one with fewest pictures, of those with fewest tokens; for
/// one without pictures the one with fewest tokens; at last the first.
///
/// Samples come longest first, so the room that is asked for only shrinks: a row too full for one sample is closed, and opened
/// again for the first that it has room for. A sample fills one row, so it closes one at most, and all opening together
/// is no more work than all closing. Rows without room for more pictures need no such care: if the one
/// with fewest has none, no other has.

#include "datasets/window.h"

enum { GRI_ROOM_TREES = 3 };

/// Starts zeroed; end it with gri_room_fini. Its memory is used again.
typedef struct gri_room {
    const gri_window_rules *rules;
    gri_row *rows; ///< tokens and images are kept up to date
    int64_t count;
    int64_t longest; ///< tokens of the sample before
    int64_t
        *tree[GRI_ROOM_TREES]; ///< tournaments of rows: nodes [1 .. count), then a leaf a row
    int64_t capacity;
} gri_room;

/// `rows` become `count` > 0 empty rows.
GR_MUST_CHECK gr_err gri_room_begin(gri_room *room, const gri_window_rules *rules,
                                    gri_row *rows, int64_t count);
/// Puts a sample, no longer than the one before, into its row, which is returned; -1: no row has room.
int64_t gri_room_put(gri_room *room, gri_size size);
void gri_room_fini(gri_room *room);

#endif
