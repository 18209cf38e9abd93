#include "stages/peak.h"

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/model/flops.h"
#include "src/ops/measure.h"

enum { ROUNDS = 4 };

typedef struct turn {
    double operations, seconds;
} turn;

/// One round, in which all ranks are busy: their operations over the time of the slowest. `all` has room for each. Collective.
static gr_err measure_round(const gr_world *world, const gr_product *product, turn *all,
                            double *rate)
{
    gr_err err = GR_OK;
    turn mine = {0}, sum = {0};
    GR_TRY(gr_world_barrier(world));
    const double began = gr_clock();
    mine.operations = gr_product_run(product, 1);
    mine.seconds = gr_clock() - began;
    GR_TRY(gr_world_gather(world, &mine, sizeof mine, all));
    for (int r = 0; r < world->size; r++) {
        sum.operations += all[r].operations;
        sum.seconds = all[r].seconds > sum.seconds ? all[r].seconds : sum.seconds;
    }
    const double now = sum.seconds > 0 ? sum.operations / sum.seconds : 0.0;
    *rate = now > *rate ? now : *rate;
done:
    return err;
}

static gr_err take(const gr_world *world, gr_exec *exec, turn **all, gr_product **product)
{
    gr_err err = GR_OK;
    GR_ALLOC(*all, world->size);
    GR_TRY(gr_product_create(exec, product));
done:
    return err;
}

gr_err gr_peak_measure(const gr_world *world, gr_exec *exec, double *rate)
{
    gr_err err = GR_OK;
    turn *all = NULL;
    gr_product *product = NULL;
    double best = 0.0;
    GR_TRY(gr_world_agree(world, take(world, exec, &all, &product)));
    for (int i = 0; i < ROUNDS; i++) {
        GR_TRY(measure_round(world, product, all, &best));
    }
    *rate = best;
done:
    gr_product_destroy(&product);
    GR_FREE(all);
    return err;
}

double gr_peak_operations(const gr_model *model, gr_part_set trains,
                          const gr_lane_totals *totals)
{
    const gr_load load = {.images = totals->images,
                          .tokens = totals->tokens,
                          .sequences = totals->samples - totals->dropped,
                          .targets = totals->targets};
    if (load.sequences < 1) {
        return 0.0;
    }
    const gr_step_flops f =
        gr_model_flops(gr_model_get_config(model), gr_model_get_params(model), &load, trains);
    return f.forward + f.backward;
}
