#include "stages/validate.h"

gr_err gr_validate(gr_lane_step *s, int64_t global_batch, double *loss, int64_t *targets)
{
    gr_err err = GR_OK;
    double sum = 0.0;
    int64_t count = 0;
    int64_t steps = (s->limit + global_batch - 1) / global_batch;
    for (int64_t step = 0; step < steps; step++) {
        gr_lane_totals totals;
        bool stop = false; // the training loop asks again after the next update
        GR_TRY(gr_lane_step_run(s, step, &totals, &stop));
        sum += totals.loss;
        count += totals.targets;
    }
    *loss = count > 0 ? sum / (double)count : 0.0;
    *targets = count;
done:
    return err;
}
