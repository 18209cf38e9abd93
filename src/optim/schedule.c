#include "src/optim/schedule.h"

#include "src/base/elementary.h"

static double shape(const gr_schedule *schedule, int64_t step)
{
    int64_t warmup = schedule->warmup_steps;
    if (step < warmup) {
        return (double)(step + 1) / (double)warmup;
    }
    if (schedule->kind == GR_SCHEDULE_CONSTANT) {
        return 1;
    }
    int64_t span = schedule->steps - 1 - warmup;
    double u = (double)(step - warmup) / (double)(span > 1 ? span : 1);
    double f = schedule->final_fraction;
    return f + (1 - f) * (1 + gr_cospi(u)) / 2;
}

double gr_schedule_factor(const gr_schedule *schedule, int64_t step)
{
    return schedule->scale * shape(schedule, step);
}
