#include "datasets/synth_draw.h"

#include "src/base/rng.h"

#include <stdio.h>

enum { DRAWS = 1 << 12 }; // of one sample: many times what any task takes

gri_dice gri_dice_of(uint64_t seed, gr_synth_task task, gr_synth_split split, int64_t k)
{
    char name[64];
    const uint64_t at = (uint64_t)k * DRAWS;
    snprintf(name, sizeof name, "synth/%s/%s", gr_synth_task_names[task],
             split == GR_SYNTH_TEST ? "test" : "train");
    return (gri_dice){seed, gr_rng_stream(name), at, at + DRAWS};
}

int gri_dice_below(gri_dice *dice, int n)
{
    GR_ASSERT(n > 0 && dice->at < dice->end);
    uint64_t bits = gr_rng_u64(dice->seed, dice->stream, dice->at++);
    return (int)((bits >> 32) * (uint64_t)n >> 32);
}

int gri_dice_between(gri_dice *dice, int from, int to)
{
    return from + gri_dice_below(dice, to - from + 1);
}

void gri_dice_shuffle(gri_dice *dice, int *items, int count)
{
    for (int i = count - 1; i > 0; i--) {
        int j = gri_dice_below(dice, i + 1), kept = items[i];
        items[i] = items[j];
        items[j] = kept;
    }
}
