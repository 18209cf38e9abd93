/// Read it from the bottom.

#include "stages/rate_search.h"

#include "src/base/log.h"
#include "src/base/mem.h"
#include "stages/metrics.h"
#include "stages/share_state.h"

#include <math.h>
#include <stdio.h>

/// What is kept while a rate is tried.
struct gri_rate_search {
    float *room;
    gr_updater_copy kept;
    int64_t updates; ///< AdamW's count then
};

static void keep(const gr_trainer *t, gr_stage_run *r)
{
    gri_copy_state(t->setup->model, r->updater, &r->search->kept, t->options->threads);
    r->search->updates = r->updater->updates;
}

static void set_scale(const gr_trainer *t, gr_stage_run *r)
{
    r->schedule.scale = gr_adalrs_scale(&r->stage->adalrs, &t->progress.adalrs);
}

gr_err gri_rate_search_open(gr_trainer *t, gr_stage_run *r)
{
    gr_err err = GR_OK;
    if (!gr_adalrs_is_set(&r->stage->adalrs)) {
        goto done;
    }
    const int64_t count = gr_owned_count(&r->updater->own);
    GR_ALLOC(r->search, 1);
    GR_ALLOC(r->search->room, 3 * count);
    float *room = r->search->room;
    r->search->kept =
        (gr_updater_copy){.weights = room, .first = room + count, .second = room + 2 * count};
    if (t->progress.adalrs.trying) {
        keep(t, r);
    }
    set_scale(t, r);
done:
    return err;
}

void gri_rate_search_close(gr_stage_run *r)
{
    if (r->search) {
        GR_FREE(r->search->room);
        GR_FREE(r->search);
    }
}

bool gri_rate_search_tries(const gr_trainer *t, bool *begins)
{
    const gr_adalrs_state *s = &t->progress.adalrs;
    *begins = s->trying && s->seen == 0;
    return s->trying;
}

/// Rank 0 says what was found, on the terminal and in the metrics.
static gr_err tell(const gr_trainer *t, const gr_stage_run *r, const gr_adalrs_found *found)
{
    char tried[64] = "";
    if (isfinite(found->tried_velocity)) {
        snprintf(tried, sizeof tried, ", tried %.3g +- %.2g", found->tried_velocity,
                 found->tried_error);
    }
    gr_progress_end();
    gr_log_info(
        "stage %s, after step %lld of %lld: learning rate %s, now %.4g times the recipe's "
        "(velocity %.3g +- %.2g%s a step)",
        r->stage->name, (long long)t->progress.step, (long long)r->steps,
        gr_adalrs_names[found->act], r->schedule.scale, found->velocity, found->error, tried);
    return gr_metrics_add_search(t->options->run,
                                 &(gr_search_metrics){.stage = r->stage->name,
                                                      .update = t->progress.updates,
                                                      .step = t->progress.step,
                                                      .found = *found,
                                                      .scale = r->schedule.scale},
                                 t->events);
}

gr_err gri_rate_search_step(gr_trainer *t, gr_stage_run *r, const gr_step_result *step)
{
    gr_err err = GR_OK;
    if (!r->search) {
        goto done;
    }
    const double loss = step->skipped ? NAN : step->totals.loss / (double)step->totals.targets;
    const gr_adalrs_found found = gr_adalrs_take(&r->stage->adalrs, &t->progress.adalrs,
                                                 t->progress.step, r->schedule.steps, loss);
    if (found.act == GR_ADALRS_TRY) {
        keep(t, r);
    } else if (found.act == GR_ADALRS_SLOWER) {
        GR_TRY(gr_updater_put_back(r->updater, t->setup->model, &r->search->kept,
                                   r->search->updates));
        gri_step_digest_replaced(r->digest);
    }
    set_scale(t, r);
    if (found.act != GR_ADALRS_GO_ON && found.act != GR_ADALRS_TRY && !t->verifies) {
        GR_TRY(gr_world_agree(t->world, gri_trainer_leads(t) ? tell(t, r, &found) : GR_OK));
    }
done:
    return err;
}
