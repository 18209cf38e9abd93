/// One step. Read it from the bottom: gri_stage_step.

#include "src/base/activity.h"
#include "src/base/failpoint.h"
#include "src/base/mem.h"
#include "stages/ledger.h"
#include "stages/nonfinite.h"
#include "stages/rate_search.h"
#include "stages/stage_run.h"

#include <math.h>
#include <stdio.h>

/// What no update can be made of; every rank sees the same totals.
static gr_err check_totals(const gr_trainer *t, const gr_stage_run *r,
                           const gr_lane_totals *totals)
{
    gr_err err = GR_OK;
    char *reason = NULL;
    if (totals->dropped > 0 && totals->dropped == totals->samples) {
        GR_TRY(gr_ledger_first_reason(r->train.dropped, &reason));
        GR_FAIL(GR_ERR_DATA,
                "stage %s, step %lld: bad_samples: drop leaves out all samples of the batch "
                "(%lld); the first: %s (gradus data check counts them all)",
                r->stage->name, (long long)t->progress.step + 1, (long long)totals->dropped,
                reason ? reason : "of another rank");
    }
    if (totals->targets == 0) {
        GR_FAIL(GR_ERR_DATA, "stage %s, step %lld: no sample of the batch has a target token",
                r->stage->name, (long long)t->progress.step + 1);
    }
done:
    GR_FREE(reason);
    return err;
}

bool gri_is_due(int64_t every, int64_t step)
{
    return every > 0 && step % every == 0;
}

static gri_step_place place_of(const gr_trainer *t, const gr_stage_run *r)
{
    return (gri_step_place){r->stage->name, t->progress.updates + 1, t->progress.step + 1};
}

gr_err gri_step_compute(gr_trainer *t, gr_stage_run *r, gr_step_result *out)
{
    gr_err err = GR_OK;
    bool asked = false;
    const gri_step_place place = place_of(t, r);
    gr_flip *flip = &r->train.flip;
    GR_TRY(gri_step_digest_begin(r->digest, &place, place.step == r->steps));
    r->train.update = place.update;
    gr_str_clear(r->train.dropped); // a first try may have listed them
    GR_TRY(gr_lane_step_run(&r->train, t->progress.step, &out->totals, &asked));
    out->asked = out->asked || asked;
    gr_failpoint(GR_AT_STEP_REDUCED);
    GR_TRY(gr_world_alike(t->world, check_totals(t, r, &out->totals)));
    if (flip->kind == GR_FLIP_SUM) {
        gr_flip_apply(flip, GR_FLIP_SUM, (gr_flip_place){t->world->rank, -1, place.update},
                      r->train.sum + r->updater->parts[flip->tensor->part].begin);
    }
    gri_step_digest_sum(r->digest, r->train.sum);
    gr_activity_phase(GR_PHASE_UPDATE);
    GR_TRY(gr_updater_look(r->updater, t->setup->model, r->stage, r->train.sum,
                           out->totals.targets, t->options->threads));
    out->fits = r->updater->view.fits && isfinite(out->totals.loss) &&
                gr_lane_step_first_bad(&r->train) < 0;
done:
    return err;
}

/// Whether a checkpoint of this step is due. Nothing is saved while a learning rate is tried.
static bool saves_after(const gr_trainer *t)
{
    bool begins = false;
    return gri_is_due(t->recipe->checkpoint_every, t->progress.updates + 1) &&
           !gri_rate_search_tries(t, &begins);
}

/// Whether nobody looks at all parameters before the next step's forward pass. The same on all ranks.
static bool may_gather_later(const gr_trainer *t, const gr_stage_run *r,
                             const gr_step_result *step)
{
    const int64_t done = t->progress.step + 1;
    const gr_flip_kind flip = r->train.flip.kind;
    bool stops = step->asked ||
                 (t->options->stop_after > 0 && t->updates_here + 1 >= t->options->stop_after);
    return r->train.overlap && done < r->steps && !stops &&
           !gri_is_due(r->stage->validate_every, done) && !saves_after(t) &&
           !gr_adalrs_may_decide(&r->stage->adalrs, &t->progress.adalrs, done,
                                 r->schedule.steps) &&
           !gri_step_digest_active(r->digest) && flip != GR_FLIP_WEIGHTS;
}

gr_err gri_stage_unite(gr_trainer *t, gr_stage_run *r)
{
    gr_lanes_destroy(&r->train.lanes); // room for all weights
    return gr_updater_unite(r->updater, t->setup->model);
}

/// At the stage's last step. Collective.
static gr_err unite_at_end(gr_trainer *t, gr_stage_run *r)
{
    return t->progress.step + 1 == r->steps ? gri_stage_unite(t, r) : GR_OK;
}

/// A fault that was asked for, in what the update left.
static void flip_state(gr_trainer *t, gr_stage_run *r)
{
    gr_flip *flip = &r->train.flip;
    const gr_updater *u = r->updater;
    const gr_flip_place here = {t->world->rank, -1, t->progress.updates + 1};
    gr_range run;
    if (flip->kind == GR_FLIP_WEIGHTS) {
        gr_flip_apply(flip, GR_FLIP_WEIGHTS, here,
                      gr_model_edit_weights(t->setup->model, flip->tensor->part));
    }
    if ((flip->kind == GR_FLIP_FIRST || flip->kind == GR_FLIP_SECOND) &&
        u->trains & (1u << flip->tensor->part)) {
        int64_t at = u->parts[flip->tensor->part].begin + flip->tensor->offset + flip->element;
        float *moments = flip->kind == GR_FLIP_FIRST ? u->first : u->second;
        bool own = gr_owned_owner(&u->own, at, &run) == t->world->rank;
        gr_flip_number(flip, flip->kind, here,
                       own ? moments + gr_owned_place(&u->own, at) : NULL);
    }
}

/// The summed gradient to new weights; `copy` as gr_updater_apply takes it. Collective.
static gr_err update_weights(gr_trainer *t, gr_stage_run *r, const gr_updater_copy *copy,
                             gr_step_result *out)
{
    gr_err err = GR_OK;
    bool later = may_gather_later(t, r, out);
    GR_TRY((later ? gr_updater_apply_own : gr_updater_apply)(
        r->updater, t->setup->model, r->stage, &r->schedule, t->progress.step, r->train.sum,
        out->totals.targets, t->options->threads, copy, &out->update));
    GR_TRY(gri_step_digest_finish(r->digest, out->totals.targets, &out->update, &out->digests));
    GR_TRY(unite_at_end(t, r));
    flip_state(t, r);
    t->progress.skipped = 0;
done:
    return err;
}

/// The step counts, and nothing changes. Collective.
static gr_err leave_out(gr_trainer *t, gr_stage_run *r, gr_step_result *out)
{
    gr_err err = GR_OK;
    GR_TRY(
        gr_world_agree(t->world, gri_step_digest_skip(r->digest, out->reason, &out->digests)));
    GR_TRY(unite_at_end(t, r));
    out->update.grad_norm = r->updater->view.norm;
    t->progress.skipped++;
done:
    return err;
}

/// What the step computed is used. Collective.
static gr_err use(gr_trainer *t, gr_stage_run *r, gr_step_result *out)
{
    gr_err err = GR_OK;
    const gr_updater_copy *copy = NULL;
    const gri_step_place place = place_of(t, r);
    if (t->saver && saves_after(t) && place.step < r->steps) {
        gr_activity_phase(GR_PHASE_CHECKPOINT);
        GR_TRY(gr_saver_expect(t->saver, &copy));
    }
    gr_activity_phase(GR_PHASE_UPDATE);
    GR_TRY(update_weights(t, r, copy, out));
done:
    return err;
}

gr_err gri_stage_step(gr_trainer *t, gr_stage_run *r, gr_step_result *out)
{
    gr_err err = GR_OK;
    const gri_step_place place = place_of(t, r);
    *out = (gr_step_result){0};
    gr_activity_place("stage %s, step %lld (%lld of the run)", place.stage,
                      (long long)place.step, (long long)place.update);
    gr_failpoint(GR_AT_STEP_BEGUN);
    GR_TRY(gr_updater_gather_start(r->updater, t->setup->model));
    GR_TRY(gri_step_compute(t, r, out));
    if (!out->fits &&
        t->progress.adalrs.trying) { // that ends the try, and the kept state comes back
        out->skipped = true;
        snprintf(out->reason, sizeof out->reason, "not finite while a learning rate was tried");
    } else if (!out->fits || t->skips_next) {
        GR_TRY(gri_nonfinite_meet(t, r, out));
    }
    GR_TRY((out->skipped ? leave_out : use)(t, r, out));
    gr_failpoint(GR_AT_STEP_UPDATED);
    t->progress.step++;
    t->progress.updates++;
    t->progress.samples += out->totals.samples;
    t->progress.tokens += out->totals.tokens;
done:
    return err;
}
