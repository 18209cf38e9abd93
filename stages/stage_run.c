/// The step loop. Read it from the bottom: gri_stage_run runs the steps; step.c has one of them.

#include "stages/stage_run.h"

#include "src/base/activity.h"
#include "src/base/failpoint.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "stages/checkpoint.h"
#include "stages/ledger.h"
#include "stages/metrics.h"
#include "stages/nonfinite.h"
#include "stages/rate_search.h"
#include "stages/step_report.h"
#include "stages/validate.h"

#include <math.h>
#include <stdio.h>

bool gri_trainer_leads(const gr_trainer *t)
{
    return t->world->rank == 0;
}

void gri_stage_close(gr_stage_run *r)
{
    if (r->train.model) {
        gr_model_set_watch(r->train.model, (gr_model_watch){0});
    }
    gr_lane_step_fini(&r->train);
    gr_lane_step_fini(&r->validate);
    gri_step_digest_destroy(&r->digest);
    gri_rate_search_close(r);
    gr_updater_destroy(&r->updater);
    gr_loader_destroy(&r->loader);
    gr_loader_destroy(&r->validation_loader);
}

/// Loader and optimizer of the current stage. Collective.
static gr_err open_training(gr_trainer *t, gr_stage_run *r)
{
    gr_err err = GR_OK;
    const gr_recipe_stage *stage = r->stage;
    const gr_params *params = gr_model_get_params(t->setup->model);
    GR_TRY(gr_world_agree(t->world, gr_setup_loader(t->setup, stage, false, &r->loader)));
    r->steps = gr_loader_steps(r->loader);
    r->schedule = (gr_schedule){.kind = stage->schedule,
                                .warmup_steps = stage->warmup_steps,
                                .steps = r->steps,
                                .final_fraction = stage->final_fraction,
                                .scale = 1};
    GR_TRY(gr_world_agree(t->world,
                          gr_updater_create(t->world, params, stage->trains, &r->updater)));
    GR_TRY(gr_lane_step_init(t->world, t->setup->model, r->loader, t->recipe->lanes,
                             stage->trains, &r->train));
    if (stage->data.count > 1) {
        GR_TRY(gr_world_agree(t->world, gr_lane_step_count_sources(&r->train, &stage->data)));
    }
    r->train.stage = stage->name;
    r->train.seed = t->recipe->seed;
    r->train.stream = gr_rng_stream(stage->name);
done:
    return err;
}

/// Who keeps the books of the steps, if the recipe wants them. Not collective.
static gr_err open_digest(gr_trainer *t, gr_stage_run *r)
{
    gr_err err = GR_OK;
    GR_TRY(gr_flip_read(gr_model_get_params(t->setup->model), &r->train.flip));
    r->train.threads = t->options->threads;
    GR_TRY(gri_step_digest_create(t->world, t->setup, r->updater, t->options->threads,
                                  &r->digest));
    r->train.digest = r->digest;
done:
    return err;
}

/// The model's watch: forward waits for parameters that are on their way, backward lets complete gradients go.
static void reads(void *run, gr_part part, int64_t end)
{
    gr_updater_wait(((gr_stage_run *)run)->updater, part, end);
}

static void made(void *run, gr_part part, int64_t begin)
{
    gr_lane_step_made(&((gr_stage_run *)run)->train, part, begin);
}

gr_err gri_stage_open(gr_trainer *t, gr_stage_run *r, const char *checkpoint)
{
    gr_err err = GR_OK;
    r->stage = &t->recipe->stages[t->progress.stage];
    GR_TRY(gr_world_alike(t->world, gr_setup_enter_stage(t->setup, r->stage)));
    GR_TRY(open_training(t, r));
    GR_TRY(gr_world_agree(t->world, open_digest(t, r)));
    if (checkpoint && t->progress.step > 0) {
        GR_TRY(gr_world_agree(t->world, gr_checkpoint_load(checkpoint, t->setup, r->updater)));
    }
    GR_TRY(gr_updater_part(r->updater, t->setup->model));
    GR_TRY(gr_world_agree(t->world, gri_rate_search_open(t, r)));
    if (r->train.overlap) {
        gr_model_set_watch(t->setup->model, (gr_model_watch){r, reads, made});
    }
done:
    return err;
}

/// What training needs besides: room for copies, held-out data. Collective.
static gr_err open_rest(gr_trainer *t, gr_stage_run *r)
{
    gr_err err = GR_OK;
    if (t->recipe->checkpoint_every > 0) {
        err = gr_saver_reserve(t->saver, r->updater);
    }
    GR_TRY(gr_world_agree(t->world, err));
    if (r->stage->validation.count > 0) {
        GR_TRY(gr_world_agree(
            t->world, gr_setup_loader(t->setup, r->stage, true, &r->validation_loader)));
        GR_TRY(gr_lane_step_init(t->world, t->setup->model, r->validation_loader,
                                 t->recipe->lanes, 0, &r->validate));
        r->validate.stage = r->stage->name;
    }
done:
    return err;
}

gr_err gri_stage_expect(gr_trainer *t, gr_stage_run *r, int64_t end)
{
    int64_t first = 0;
    int64_t count = 0;
    gr_lanes_of_rank(t->recipe->lanes, t->world->rank, t->world->size, &first, &count);
    return gr_world_agree(t->world,
                          gr_loader_expect(r->loader, t->progress.step, end, first, count));
}

/// Lists what a pass left out, as of this update and step. Collective.
static gr_err list_dropped(gr_trainer *t, gr_stage_run *r, const gr_lane_step *pass,
                           int64_t dropped, const char *set)
{
    const gr_ledger_place place = {.stage = r->stage->name,
                                   .set = set,
                                   .update = t->progress.updates,
                                   .step = t->progress.step};
    return dropped > 0
               ? gr_ledger_add(t->world, t->options->run, &place, pass->dropped, dropped)
               : GR_OK;
}

static gr_err check_validation(const gr_stage_run *r, int64_t step, double loss)
{
    gr_err err = GR_OK;
    if (!isfinite(loss)) {
        GR_FAIL(GR_ERR_NONFINITE, "stage %s, after step %lld: the held-out loss is %g",
                r->stage->name, (long long)step, loss);
    }
done:
    return err;
}

/// Ends the stage at this held-out loss if the recipe says so. Collective.
static gr_err judge_end(gr_trainer *t, gr_stage_run *r, double loss)
{
    gr_err err = GR_OK;
    const int64_t step = t->progress.step;
    // Weights of a try may go back: they end no stage.
    const gr_end end = gr_end_rule_is_set(&r->stage->ends) && !t->progress.adalrs.trying
                           ? gr_end_judge(&r->stage->ends, &t->progress.end, loss)
                           : GR_END_NOT;
    if (end == GR_END_NOT || step == 0 || step == r->steps) {
        goto done;
    }
    if (gri_trainer_leads(t)) {
        gr_log_info("stage %s ends after step %lld of %lld: held-out loss %.4f, by its %s",
                    r->stage->name, (long long)step, (long long)r->steps, loss,
                    gr_end_names[end]);
        err = gr_metrics_add_end(t->options->run, r->stage->name, t->progress.updates, step,
                                 gr_end_names[end], t->events);
    }
    GR_TRY(gr_world_agree(t->world, err));
    t->progress.spared += r->steps - step;
    r->steps = step;
    GR_TRY(gri_stage_unite(t, r));
done:
    return err;
}

static gr_err validate(gr_trainer *t, gr_stage_run *r)
{
    gr_err err = GR_OK;
    gr_err written = GR_OK;
    double loss = 0.0;
    int64_t targets = 0, dropped = 0;
    if (!r->validation_loader) {
        goto done;
    }
    const char *when = t->progress.step > 0 ? "after" : "before";
    const int64_t step = t->progress.step > 0 ? t->progress.step : 1;
    const double began = gr_clock();
    gr_activity_place("stage %s, held-out data %s step %lld", r->stage->name, when,
                      (long long)step);
    GR_TRY(gr_validate(&r->validate, &loss, &targets, &dropped));
    GR_TRY(list_dropped(t, r, &r->validate, dropped, "validation"));
    t->last_validation = loss;
    t->validated_step = t->progress.step;
    if (!isfinite(loss) && !t->progress.adalrs.trying) { // a rank's weights may be why
        GR_TRY(gri_nonfinite_check_state(t, r));
        GR_TRY(gr_world_alike(t->world, check_validation(r, t->progress.step, loss)));
    }
    if (gri_trainer_leads(t)) {
        gr_progress_end();
        gr_log_info("stage %s, %s step %lld of %lld: held-out loss %.4f over %lld token%s",
                    r->stage->name, when, (long long)step, (long long)r->steps, loss,
                    (long long)targets, GR_PLURAL(targets));
        written =
            gr_metrics_add_validation(t->options->run,
                                      &(gr_validation_metrics){.stage = r->stage->name,
                                                               .update = t->progress.updates,
                                                               .step = t->progress.step,
                                                               .loss = loss,
                                                               .targets = targets,
                                                               .seconds = gr_clock() - began},
                                      t->events);
    }
    GR_TRY(gr_world_agree(t->world, written));
    gr_failpoint(GR_AT_STAGE_VALIDATED);
    GR_TRY(judge_end(t, r, loss));
done:
    return err;
}

/// A step and what is written of it. Collective.
static gr_err one_step(gr_trainer *t, gr_stage_run *r)
{
    gr_err err = GR_OK;
    gr_step_result result;
    const gri_step_clock clock = gri_step_clock_start(r);
    gr_activity_step_begin();
    GR_TRY(gri_stage_step(t, r, &result));
    if (!result.skipped) {
        gr_saver_changed(t->saver, r->stage->trains);
    }
    t->updates_here++;
    t->stopping = result.asked ||
                  (t->options->stop_after > 0 && t->updates_here >= t->options->stop_after);
    GR_TRY(list_dropped(t, r, &r->train, result.totals.dropped, "data"));
    gr_failpoint(GR_AT_STEP_LISTED);
    GR_TRY(gri_step_report(t, r, &result, &clock));
    GR_TRY(gri_rate_search_step(t, r, &result));
    gr_activity_step_end();
done:
    return err;
}

/// Asked to stop inside the stage; what was done is saved.
static gr_err check_stopped(const gr_trainer *t, const gr_stage_run *r)
{
    gr_err err = GR_OK;
    if (t->stopping) {
        bool begins = false;
        const bool again = gri_rate_search_tries(t, &begins) && !begins;
        GR_FAIL(GR_ERR_STOPPED, "stopped in stage %s after step %lld of %lld%s", r->stage->name,
                (long long)t->progress.step, (long long)r->steps,
                again
                    ? ", where a learning rate is tried: from its beginning on, where the last "
                      "checkpoint is, these steps are made again"
                    : "");
    }
done:
    return err;
}

/// A save that is due, a look at the one under way, or (the last step) its end: the run waits for the disk. Collective.
static gr_err look_after_saves(gr_trainer *t, gr_stage_run *r, bool last)
{
    const double began = gr_clock();
    gr_err err = GR_OK;
    gr_activity_phase(GR_PHASE_CHECKPOINT);
    bool begins = false;
    const bool tries = gri_rate_search_tries(t, &begins);
    const bool due =
        tries ? begins
              : t->stopping || gri_is_due(t->recipe->checkpoint_every, t->progress.updates);
    GR_TRY(due || last ? gri_nonfinite_check_state(t, r) : GR_OK);
    if (last) { // the border between stages saves without moments
        err = gr_saver_wait(t->saver);
    } else if (due) {
        err = gr_saver_save(t->saver, r->updater, &t->progress, t->stopping || begins);
    } else {
        err = gr_saver_poll(t->saver);
    }
    t->saving += gr_clock() - began;
done:
    return err;
}

/// The steps of a stage, from where the run stands; inside a stage it also stops here. Collective.
static gr_err run_steps(gr_trainer *t, gr_stage_run *r)
{
    gr_err err = GR_OK;
    while (t->progress.step < r->steps) {
        GR_TRY(one_step(t, r));
        bool last = t->progress.step == r->steps;
        if (last || gri_is_due(r->stage->validate_every, t->progress.step)) {
            GR_TRY(validate(t, r));
        }
        last = t->progress.step == r->steps; // the held-out loss may have ended the stage
        GR_TRY(look_after_saves(t, r, last));
        if (last) {
            break;
        }
        gr_failpoint(GR_AT_STEP_DONE);
        GR_TRY(gr_world_alike(t->world, check_stopped(t, r)));
    }
done:
    return err;
}

/// A run that ends in an error that every rank has still completes the save that is under way: it is of a good step, and the next
/// try begins there. Returns the error that the run ends with. Collective if every rank has it.
static gr_err complete_save(gr_trainer *t, gr_err ending)
{
    char message[4096];
    bool others_may_be_gone = ending == GR_ERR_UNAVAILABLE && t->world->size > 1;
    if (ending == GR_OK || others_may_be_gone || !gr_world_knows_error(t->world) ||
        !gr_saver_busy(t->saver)) {
        return ending;
    }
    snprintf(message, sizeof message, "%s", gr_err_message());
    if (gri_trainer_leads(t)) {
        gr_progress_end();
        gr_log_warn("%s; the checkpoint under way is completed before the end", message);
    }
    gr_err err = gr_saver_wait(t->saver);
    if (err != GR_OK && !gr_world_knows_error(t->world)) {
        return err;
    }
    if (err != GR_OK && gri_trainer_leads(t)) {
        gr_log_warn("%s", gr_err_message());
    }
    err = gr_err_set(ending, __FILE__, __LINE__, __func__, "%s", message);
    return gr_world_alike(t->world, err);
}

/// A run that goes on inside a stage shows the held-out loss that was measured before it stopped.
static gr_err recall_validation(gr_trainer *t, const gr_stage_run *r)
{
    return gri_trainer_leads(t)
               ? gr_metrics_last_validation(t->options->run, r->stage->name,
                                            &t->last_validation, &t->validated_step)
               : GR_OK;
}

gr_err gri_stage_run(gr_trainer *t, const char *checkpoint)
{
    gr_err err = GR_OK;
    gr_stage_run r = {0};
    t->last_validation = NAN;
    gr_activity_stage();
    gr_activity_phase(GR_PHASE_START);
    gr_activity_place("stage %s, before its first step",
                      t->recipe->stages[t->progress.stage].name);
    gr_failpoint(GR_AT_STAGE_BEGUN);
    GR_TRY(gri_stage_open(t, &r, checkpoint));
    GR_TRY(open_rest(t, &r));
    GR_TRY(gri_stage_expect(t, &r, r.steps));
    gr_failpoint(GR_AT_STAGE_OPENED);
    if (t->progress.step == 0) {
        GR_TRY(validate(t, &r));
    } else {
        GR_TRY(gr_world_agree(t->world, recall_validation(t, &r)));
    }
    GR_TRY(run_steps(t, &r));
    gr_failpoint(GR_AT_STAGE_STEPS_DONE);
    gr_activity_place("end of stage %s", r.stage->name);
    t->progress.stage++;
    t->progress.step = 0;
    t->progress.end = (gr_end_state){0};
    t->progress.adalrs = (gr_adalrs_state){0};
    const double began = gr_clock();
    GR_TRY(gr_saver_save(t->saver, NULL, &t->progress, true));
    t->saving += gr_clock() - began;
    gr_failpoint(GR_AT_STAGE_SAVED);
done:
    gr_progress_end();
    err = complete_save(t, err);
    gri_stage_close(&r);
    return err;
}
