#ifndef SRC_OPS_TALLY_H
#define SRC_OPS_TALLY_H

/// What operations were asked to do, kind by kind, and how long each kind took. Where nothing is computed (gr_exec_create_counting)
/// only the first. For plans: seconds of a small pass that was computed, times how much more of each kind a large one has.

#include "src/ops/measure.h"

/// One operation at one width: whatever the time of one unit of its work depends on (columns; inputs and outputs; the size of a head).
typedef struct gr_tally_item {
    const char *op; ///< static text
    int64_t width[2];
    int64_t calls;
    double amount;  ///< units: rows; pairs of tokens that see each other; rows times words
    double flops;   ///< of matrix products, a multiplication and an addition being two
    double seconds; ///< from the call to that of the next operation
} gr_tally_item;

enum { GR_TALLY_MOST = 256 };

/// Begins zeroed, but for `now`.
typedef struct gr_tally {
    gr_tally_item items[GR_TALLY_MOST]; ///< in the order of their first calls
    int count;
    gr_clock_fn *now; ///< NULL: not timed
    gr_tally_item *open;
    double since;
} gr_tally;

/// An operation begins; the one before it has ended.
void gr_tally_begin(gr_tally *tally, const char *op, int64_t width0, int64_t width1,
                    double amount, double flops);
/// The last one has ended.
void gr_tally_end(gr_tally *tally);
/// The item of this operation and width; NULL: there was none.
const gr_tally_item *gr_tally_find(const gr_tally *tally, const char *op,
                                   const int64_t width[2]);
double gr_tally_flops(const gr_tally *tally);

#endif
