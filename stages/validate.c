#include "stages/validate.h"

gr_err gr_validate(gr_lane_step *s, double *loss, int64_t *targets, int64_t *dropped)
{
    gr_err err = GR_OK;
    double sum = 0.0;
    int64_t count = 0, out = 0, first = 0, mine = 0;
    int64_t steps = gr_loader_steps(s->loader);
    gr_lanes_of_rank(s->lane_count, s->world->rank, s->world->size, &first, &mine);
    GR_TRY(gr_world_agree(s->world, gr_loader_expect(s->loader, 0, steps, first, mine)));
    for (int64_t step = 0; step < steps; step++) {
        gr_lane_totals totals;
        bool stop = false; // the training loop asks again after the next update
        GR_TRY(gr_lane_step_run(s, step, &totals, &stop));
        sum += totals.loss;
        count += totals.targets;
        out += totals.dropped;
    }
    *loss = count > 0 ? sum / (double)count : 0.0;
    *targets = count;
    *dropped = out;
done:
    return err;
}
