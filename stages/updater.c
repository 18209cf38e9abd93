#include "stages/updater.h"

#include "src/base/mem.h"
#include "src/optim/adamw.h"

#include <math.h>

gr_err gr_updater_create(const gr_params *params, gr_part_set trains, gr_updater **out)
{
    gr_err err = GR_OK;
    gr_updater *updater = NULL;
    GR_ALLOC(updater, 1);
    updater->trains = trains;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (trains & (1u << p)) {
            GR_ALLOC(updater->first[p], params->size[p]);
            GR_ALLOC(updater->second[p], params->size[p]);
        }
    }
    *out = updater;
    updater = NULL;
done:
    gr_updater_destroy(&updater);
    return err;
}

void gr_updater_destroy(gr_updater **updater)
{
    if (*updater) {
        for (int p = 0; p < GR_PART_COUNT; p++) {
            GR_FREE((*updater)->first[p]);
            GR_FREE((*updater)->second[p]);
        }
        GR_FREE(*updater);
    }
}

int64_t gr_updater_layout(const gr_params *params, gr_part_set trains,
                          int64_t offsets[GR_PART_COUNT])
{
    int64_t total = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        offsets[p] = total;
        total += trains & (1u << p) ? params->size[p] : 0;
    }
    return total;
}

/// Norm of the summed gradient, parts added in order.
static double gradient_norm(const gr_params *params, gr_part_set trains, const float *grads,
                            int threads)
{
    int64_t offsets[GR_PART_COUNT];
    double squares = 0.0;
    (void)gr_updater_layout(params, trains, offsets);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (trains & (1u << p)) {
            squares += gr_sum_squares(params->size[p], grads + offsets[p], threads);
        }
    }
    return sqrt(squares);
}

static void update_part(gr_updater *updater, gr_model *model, gr_part part, gr_adamw opt,
                        double weight_decay, const float *grads, int threads)
{
    const gr_params *params = gr_model_get_params(model);
    float *weights = gr_model_edit_weights(model, part);
    for (int64_t i = params->first[part]; i < params->first[part + 1]; i++) {
        const gr_param *p = &params->items[i];
        opt.weight_decay = p->decay ? weight_decay : 0.0;
        gr_adamw_update(&opt, p->count, weights + p->offset, grads + p->offset,
                        updater->first[part] + p->offset, updater->second[part] + p->offset,
                        threads);
    }
}

gr_err gr_updater_apply(gr_updater *updater, gr_model *model, const gr_recipe_stage *stage,
                        const gr_schedule *schedule, int64_t step, const float *grads,
                        int64_t targets, int threads, gr_update_report *report)
{
    gr_err err = GR_OK;
    const gr_params *params = gr_model_get_params(model);
    int64_t offsets[GR_PART_COUNT];
    GR_ASSERT(targets > 0);
    double norm = gradient_norm(params, updater->trains, grads, threads) / (double)targets;
    if (!isfinite(norm)) {
        GR_FAIL(
            GR_ERR_NONFINITE,
            "stage %s, step %lld: the gradient is not finite (norm %g); parameters are as they "
            "were before this step. Lower the learning rate or look at the step's samples",
            stage->name, (long long)step, norm);
    }
    double clip = stage->clip > 0.0 && norm > stage->clip ? stage->clip / norm : 1.0;
    double factor = gr_schedule_factor(schedule, step);
    updater->updates++;
    gr_adamw opt = {.beta1 = stage->beta1,
                    .beta2 = stage->beta2,
                    .eps = stage->eps,
                    .step = updater->updates,
                    .grad_scale = clip / (double)targets};
    (void)gr_updater_layout(params, updater->trains, offsets);
    *report = (gr_update_report){.grad_norm = norm};
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (updater->trains & (1u << p)) {
            opt.learning_rate = report->learning_rate[p] = factor * stage->learning_rate[p];
            update_part(updater, model, (gr_part)p, opt, stage->weight_decay,
                        grads + offsets[p], threads);
        }
    }
done:
    return err;
}
