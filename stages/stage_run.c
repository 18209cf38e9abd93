/// The step loop. Read it from the bottom: gri_stage_run runs the steps, gri_stage_step is one.

#include "stages/stage_run.h"

#include "src/base/activity.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "stages/checkpoint.h"
#include "stages/ledger.h"
#include "stages/metrics.h"
#include "stages/validate.h"

#include <math.h>
#include <stdio.h>

static const double seconds_between_lines = 5.0;

bool gri_trainer_leads(const gr_trainer *t)
{
    return t->world->rank == 0;
}

void gri_stage_close(gr_stage_run *r)
{
    gr_lane_step_fini(&r->train);
    gr_lane_step_fini(&r->validate);
    gri_step_digest_destroy(&r->digest);
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
                                .final_fraction = stage->final_fraction};
    GR_TRY(gr_world_agree(t->world,
                          gr_updater_create(t->world, params, stage->trains, &r->updater)));
    GR_TRY(gr_lane_step_init(t->world, t->setup->model, r->loader, t->recipe->lanes,
                             stage->trains, &r->train));
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
    GR_TRY(gri_step_digest_create(t->world, t->setup, r->updater, t->options->threads,
                                  &r->digest));
    r->train.digest = r->digest;
done:
    return err;
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
        GR_FAIL(GR_ERR_NONFINITE, "stage %s, step %lld: the held-out loss is %g",
                r->stage->name, (long long)step, loss);
    }
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
    gr_activity_place("stage %s, held-out data after step %lld", r->stage->name,
                      (long long)t->progress.step);
    GR_TRY(gr_validate(&r->validate, &loss, &targets, &dropped));
    GR_TRY(list_dropped(t, r, &r->validate, dropped, "validation"));
    t->last_validation = loss;
    t->validated_step = t->progress.step;
    GR_TRY(gr_world_alike(t->world, check_validation(r, t->progress.step, loss)));
    if (gri_trainer_leads(t)) {
        gr_progress_end();
        gr_log_info("stage %s, step %lld of %lld: held-out loss %.4f over %lld tokens",
                    r->stage->name, (long long)t->progress.step, (long long)r->steps, loss,
                    (long long)targets);
        written =
            gr_metrics_add_validation(t->options->run, r->stage->name, t->progress.updates,
                                      t->progress.step, loss, targets);
    }
    GR_TRY(gr_world_agree(t->world, written));
done:
    return err;
}

static void show_progress(const gr_trainer *t, const gr_stage_run *r, const gr_step_metrics *m)
{
    char held_out[80] = "";
    if (isfinite(t->last_validation)) {
        snprintf(held_out, sizeof held_out, "held-out %.4f (step %lld)  ", t->last_validation,
                 (long long)t->validated_step);
    }
    double left = m->seconds * (double)(r->steps - m->step);
    gr_progress_update(seconds_between_lines,
                       "stage %lld/%lld %s  step %lld/%lld  loss %.4f  %s"
                       "%.1f samples/s  %.0f tokens/s  data wait %.0f%%  about %.0f s left",
                       (long long)t->progress.stage + 1, (long long)t->recipe->stage_count,
                       r->stage->name, (long long)m->step, (long long)r->steps, m->loss,
                       held_out, (double)m->samples / m->seconds,
                       (double)m->tokens / m->seconds, 100.0 * m->data_wait / m->seconds, left);
}

/// Share of the rows that holds tokens.
static double fill_of(const gr_stage_run *r, const gr_lane_totals *totals)
{
    return totals->rows > 0 ? (double)totals->tokens / (double)totals->rows /
                                  (double)r->stage->sequence_length
                            : 0.0;
}

/// Pictures of the lane with most over the lanes' mean.
static double balance_of(const gr_trainer *t, const gr_lane_totals *totals)
{
    return totals->images > 0
               ? (double)(totals->most_images * t->recipe->lanes) / (double)totals->images
               : 1.0;
}

static gr_err report_step(gr_trainer *t, gr_stage_run *r, const gr_step_result *result,
                          double seconds, double data_wait)
{
    gr_err err = GR_OK;
    const gr_lane_totals *totals = &result->totals;
    gr_step_metrics m = {.stage = r->stage->name,
                         .update = t->progress.updates,
                         .step = t->progress.step,
                         .loss = totals->loss / (double)totals->targets,
                         .report = result->update,
                         .samples = totals->samples,
                         .tokens = totals->tokens,
                         .targets = totals->targets,
                         .images = totals->images,
                         .rows = totals->rows,
                         .dropped = totals->dropped,
                         .fill = fill_of(r, totals),
                         .image_balance = balance_of(t, totals),
                         .seconds = seconds,
                         .data_wait = data_wait};
    if (gri_trainer_leads(t)) {
        show_progress(t, r, &m);
        err = gr_metrics_add_step(t->options->run, &m);
        err = err || !result->digests
                  ? err
                  : gri_step_digest_append(t->options->run, result->digests);
    }
    return gr_world_agree(t->world, err);
}

/// What no update can be made of; every rank sees the same totals.
static gr_err check_totals(const gr_trainer *t, const gr_stage_run *r,
                           const gr_lane_totals *totals)
{
    gr_err err = GR_OK;
    char *reason = NULL;
    if (totals->dropped > 0 && totals->dropped == totals->samples) {
        GR_TRY(gr_ledger_first_reason(r->train.dropped, &reason));
        GR_FAIL(GR_ERR_DATA,
                "stage %s, step %lld: bad_samples: drop leaves out all %lld samples of the "
                "batch; the first: %s (gradus data check counts them all)",
                r->stage->name, (long long)t->progress.step, (long long)totals->dropped,
                reason ? reason : "of another rank");
    }
    if (totals->targets == 0) {
        GR_FAIL(GR_ERR_DATA, "stage %s, step %lld: no sample of the batch has a target token",
                r->stage->name, (long long)t->progress.step);
    }
    if (!isfinite(totals->loss)) {
        GR_FAIL(GR_ERR_NONFINITE, "stage %s, step %lld: the loss is %g", r->stage->name,
                (long long)t->progress.step, totals->loss);
    }
done:
    GR_FREE(reason);
    return err;
}

static bool is_due(int64_t every, int64_t step)
{
    return every > 0 && step % every == 0;
}

/// The summed gradient to new weights; `copy` as gr_updater_apply takes it. Collective.
static gr_err update_weights(gr_trainer *t, gr_stage_run *r, float *gradient,
                             const gr_updater_copy *copy, gr_step_result *out)
{
    gr_err err = GR_OK;
    const gr_flip *flip = &r->train.flip;
    const int64_t update = t->progress.updates + 1;
    if (flip->kind == GR_FLIP_SUM) {
        gr_flip_apply(flip, GR_FLIP_SUM, t->world->rank, update,
                      gradient + r->updater->parts[flip->tensor->part].begin);
    }
    gri_step_digest_sum(r->digest, gradient);
    GR_TRY(gr_updater_apply(r->updater, t->setup->model, r->stage, &r->schedule,
                            t->progress.step, gradient, out->totals.targets,
                            t->options->threads, copy, &out->update));
    GR_TRY(gri_step_digest_finish(r->digest, out->totals.targets, &out->update, &out->digests));
    if (flip->kind == GR_FLIP_WEIGHTS) {
        gr_flip_apply(flip, GR_FLIP_WEIGHTS, t->world->rank, update,
                      gr_model_edit_weights(t->setup->model, flip->tensor->part));
    }
done:
    return err;
}

gr_err gri_stage_step(gr_trainer *t, gr_stage_run *r, gr_step_result *out)
{
    gr_err err = GR_OK;
    float *gradient = NULL;
    const gr_updater_copy *copy = NULL;
    const gri_step_place place = {r->stage->name, t->progress.updates + 1,
                                  t->progress.step + 1};
    *out = (gr_step_result){0};
    gr_activity_place("stage %s, step %lld (update %lld)", place.stage, (long long)place.step,
                      (long long)place.update);
    GR_TRY(gri_step_digest_begin(r->digest, &place, place.step == r->steps));
    r->train.update = place.update;
    GR_TRY(gr_lane_step_run(&r->train, t->progress.step, &out->totals, &out->asked));
    GR_TRY(gr_lanes_reduce(r->train.lanes, &gradient));
    GR_TRY(gr_world_alike(t->world, check_totals(t, r, &out->totals)));
    if (t->saver && is_due(t->recipe->checkpoint_every, place.update) &&
        place.step < r->steps) {
        gr_activity_phase(GR_PHASE_CHECKPOINT);
        GR_TRY(gr_saver_expect(t->saver, &copy));
    }
    gr_activity_phase(GR_PHASE_UPDATE);
    GR_TRY(update_weights(t, r, gradient, copy, out));
    t->progress.step++;
    t->progress.updates++;
    t->progress.samples += out->totals.samples;
    t->progress.tokens += out->totals.tokens;
done:
    return err;
}

/// A step and what is written of it. Collective.
static gr_err one_step(gr_trainer *t, gr_stage_run *r)
{
    gr_err err = GR_OK;
    gr_step_result result;
    double start = gr_clock();
    double waited = gr_loader_waited(r->loader);
    gr_activity_step_begin();
    GR_TRY(gri_stage_step(t, r, &result));
    gr_saver_changed(t->saver, r->stage->trains);
    t->updates_here++;
    t->stopping = result.asked ||
                  (t->options->stop_after > 0 && t->updates_here >= t->options->stop_after);
    GR_TRY(list_dropped(t, r, &r->train, result.totals.dropped, "data"));
    GR_TRY(
        report_step(t, r, &result, gr_clock() - start, gr_loader_waited(r->loader) - waited));
    gr_activity_step_end();
done:
    return err;
}

/// Asked to stop inside the stage; what was done is saved.
static gr_err check_stopped(const gr_trainer *t, const gr_stage_run *r)
{
    gr_err err = GR_OK;
    if (t->stopping) {
        GR_FAIL(GR_ERR_STOPPED, "stopped in stage %s after step %lld of %lld", r->stage->name,
                (long long)t->progress.step, (long long)r->steps);
    }
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
        if (last || is_due(r->stage->validate_every, t->progress.step)) {
            GR_TRY(validate(t, r));
        }
        gr_activity_phase(GR_PHASE_CHECKPOINT);
        if (last) {
            GR_TRY(gr_saver_wait(t->saver));
            break; // the border between stages saves without moments
        }
        if (t->stopping || is_due(t->recipe->checkpoint_every, t->progress.updates)) {
            GR_TRY(gr_saver_save(t->saver, r->updater, &t->progress, t->stopping));
        } else {
            GR_TRY(gr_saver_poll(t->saver));
        }
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
    GR_TRY(gri_stage_open(t, &r, checkpoint));
    GR_TRY(open_rest(t, &r));
    GR_TRY(gri_stage_expect(t, &r, r.steps));
    if (t->progress.step == 0) {
        GR_TRY(validate(t, &r));
    } else {
        GR_TRY(gr_world_agree(t->world, recall_validation(t, &r)));
    }
    GR_TRY(run_steps(t, &r));
    gr_activity_place("end of stage %s", r.stage->name);
    t->progress.stage++;
    t->progress.step = 0;
    GR_TRY(gr_saver_save(t->saver, NULL, &t->progress, true));
done:
    gr_progress_end();
    err = complete_save(t, err);
    gri_stage_close(&r);
    return err;
}
