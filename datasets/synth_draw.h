#ifndef DATASETS_SYNTH_DRAW_H
#define DATASETS_SYNTH_DRAW_H

/// Random choices of one sample: number n of sample k is element 2^12 k + n of a stream that task and split name. Private to
/// datasets/.

#include "datasets/synth.h"

typedef struct gri_dice {
    uint64_t seed, stream, at, end;
} gri_dice;

gri_dice gri_dice_of(uint64_t seed, gr_synth_task task, gr_synth_split split, int64_t k);
/// 0 .. n - 1, evenly but for less than n / 2^32.
int gri_dice_below(gri_dice *dice, int n);
/// from .. to, both included.
int gri_dice_between(gri_dice *dice, int from, int to);
/// Shuffles the numbers.
void gri_dice_shuffle(gri_dice *dice, int *items, int count);

#endif
