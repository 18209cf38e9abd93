#ifndef STAGES_PACE_H
#define STAGES_PACE_H

/// How fast steps go, for the progress line: a mean over the last of them, since one step alone says little.

#include <stdbool.h>
#include <stdint.h>

typedef struct gr_pace_sum {
    int64_t steps, samples, tokens;
    double seconds, data_wait, communication, operations;
} gr_pace_sum;

/// Zeroed: no step yet.
typedef struct gr_pace {
    gr_pace_sum now, before; ///< the last complete window and what came since
} gr_pace;

/// Counts a step; returns the sums since gr_pace_restart, but of no more than the last two windows of so many seconds of steps.
gr_pace_sum gr_pace_add(gr_pace *pace, double window, const gr_pace_sum *step);
/// A line stays on the screen: the next one is about what comes now.
void gr_pace_restart(gr_pace *pace);

#endif
