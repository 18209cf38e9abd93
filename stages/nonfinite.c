/// Read it from the bottom: gri_nonfinite_meet.

#include "stages/nonfinite.h"

#include "src/base/log.h"
#include "src/optim/finite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HOST_TEXT = 256 };

gr_ledger_place gri_nonfinite_place(const gr_trainer *t, const gr_stage_run *r)
{
    return (gr_ledger_place){.stage = r->stage->name,
                             .set = "data",
                             .update = t->progress.updates + 1,
                             .step = t->progress.step + 1};
}

/// The last tensor of the sum that is not finite where this rank owns it; -1: none.
static int64_t bad_in_sum(const gr_trainer *t, const gr_stage_run *r)
{
    const gr_params *params = gr_model_get_params(t->setup->model);
    const gr_updater *u = r->updater;
    int64_t tensor = -1;
    for (int64_t i = 0; i < params->count; i++) {
        const gr_param *p = &params->items[i];
        int64_t at = u->parts[p->part].begin + p->offset;
        for (gr_range all = {at, at + p->count}, own = {at, at};
             u->trains & (1u << p->part) && gr_owned_next(&u->own, all, &own);) {
            if (gr_last_nonfinite(gr_range_count(own), r->train.sum + own.begin,
                                  t->options->threads) >= 0) {
                tensor = i;
            }
        }
    }
    return tensor;
}

/// Each lane is finite and the sum is not, or it is too large for AdamW. Collective.
static gr_err describe_sum(const gr_trainer *t, const gr_stage_run *r, gri_finding *out)
{
    gr_err err = GR_OK;
    const gr_params *params = gr_model_get_params(t->setup->model);
    int64_t mine = bad_in_sum(t, r), last = 0, rank = 0;
    GR_TRY(gr_world_max(t->world, mine, &last));
    GR_TRY(gr_world_max(t->world, mine == last ? t->world->rank : -1, &rank));
    out->rank = (int)rank;
    if (last >= 0) {
        snprintf(
            out->reason, sizeof out->reason,
            "the sum of the lanes' gradients is not finite, first in %s, and each lane's is",
            params->items[last].name);
    } else {
        snprintf(
            out->reason, sizeof out->reason,
            "the gradient is not finite in AdamW's second moment, where it is squared: its norm is %g",
            r->updater->view.norm);
    }
done:
    return err;
}

/// Collective: the lanes told in their totals, of the sum the ranks tell now.
static gr_err describe(const gr_trainer *t, const gr_stage_run *r, gri_finding *out)
{
    const gr_params *params = gr_model_get_params(t->setup->model);
    *out = (gri_finding){.lane = gr_lane_step_first_bad(&r->train)};
    if (out->lane < 0) {
        return describe_sum(t, r, out);
    }
    const gr_lane_totals *lane = gr_lane_step_of(&r->train, out->lane, &out->rank);
    if (!isfinite(lane->loss)) {
        snprintf(out->reason, sizeof out->reason, "the loss is %s in lane %lld",
                 isnan(lane->loss) ? "nan"
                 : lane->loss > 0  ? "inf"
                                   : "-inf",
                 (long long)out->lane);
    } else {
        snprintf(out->reason, sizeof out->reason,
                 "the gradient is not finite in lane %lld, first in %s", (long long)out->lane,
                 params->items[lane->bad_tensor - 1].name);
    }
    return GR_OK;
}

/// This rank's copy of a part's weights: in bf16 some master weights are another rank's, and what is here of those means nothing.
static int64_t bad_weight(const gr_trainer *t, const gr_stage_run *r, const gr_param *p)
{
    const float *weights = gr_model_weights(t->setup->model, p->part);
    const gr_updater *u = r->updater;
    const int64_t at = u->parts[p->part].begin + p->offset;
    int64_t bad = -1;
    if (!weights) {
        return -1;
    }
    if (!u->apart || !(u->trains & (1u << p->part)) || !p->product) {
        return gr_last_nonfinite(p->count, weights + p->offset, t->options->threads);
    }
    for (gr_range all = {at, at + p->count}, own = {at, at};
         gr_owned_next(&u->own, all, &own);) {
        int64_t from = own.begin - u->parts[p->part].begin;
        int64_t found =
            gr_last_nonfinite(gr_range_count(own), weights + from, t->options->threads);
        bad = found >= 0 ? found : bad;
    }
    return bad;
}

/// This rank's own weights and moments. Not collective.
static gr_err check_own(const gr_trainer *t, const gr_stage_run *r)
{
    gr_err err = GR_OK;
    const gr_params *params = gr_model_get_params(t->setup->model);
    const char *what = NULL, *tensor = NULL;
    gr_updater_check_own(r->updater, t->setup->model, t->options->threads, &what, &tensor);
    for (int64_t i = 0; !what && i < params->count; i++) {
        if (bad_weight(t, r, &params->items[i]) >= 0) {
            what = "weights";
            tensor = params->items[i].name;
        }
    }
    if (what) {
        GR_FAIL(
            GR_ERR_NONFINITE,
            "stage %s, %lld step%s of the run done: this rank's %s of %s are not finite, which no step made: its machine has "
            "bad memory, or an update was too large. Nothing was saved of it: run again, without this machine if it comes "
            "again, and the run goes on from the last checkpoint",
            r->stage->name, (long long)t->progress.updates, GR_PLURAL(t->progress.updates),
            what, tensor);
    }
done:
    return err;
}

gr_err gri_nonfinite_check_state(gr_trainer *t, gr_stage_run *r)
{
    return gr_world_agree(t->world, check_own(t, r));
}

/// Ends the run, in the name of the rank that saw it first. Collective.
static gr_err stop_here(const gr_trainer *t, const gr_stage_run *r, const gri_finding *f,
                        const char *more)
{
    gr_err err = GR_OK;
    if (t->world->rank == f->rank) {
        err = gr_err_set(GR_ERR_NONFINITE, __FILE__, __LINE__, __func__,
                         "stage %s, step %lld: %s; no update was made of step %lld of the "
                         "run and the last checkpoint stays. %s",
                         r->stage->name, (long long)t->progress.step + 1, f->reason,
                         (long long)t->progress.updates + 1, more);
    }
    return gr_world_agree(t->world, err);
}

/// All samples of this rank's lanes.
static gr_err note_samples(gr_trainer *t, gr_stage_run *r, const char *reason, gr_str *notes)
{
    gr_err err = GR_OK;
    int64_t first = 0, count = 0;
    gr_lanes_of_rank(t->recipe->lanes, t->world->rank, t->world->size, &first, &count);
    for (int64_t lane = first; lane < first + count; lane++) {
        const gr_lane_batch *batch = NULL;
        GR_TRY(gr_loader_lane(r->loader, t->progress.step, lane, &batch));
        for (int64_t i = 0; i < batch->samples; i++) {
            const gr_used *u = &batch->used[i];
            if (u->tokens > 0) {
                GR_TRY(gr_ledger_note_nonfinite(notes, "skipped", lane, u->dataset, u->index,
                                                reason));
            }
        }
    }
done:
    return err;
}

/// Collective.
static gr_err skip(gr_trainer *t, gr_stage_run *r, const gri_finding *f, gr_step_result *out)
{
    gr_err err = GR_OK;
    gr_str notes = {0};
    char more[256];
    const gr_ledger_place place = gri_nonfinite_place(t, r);
    if (t->progress.skipped >= t->recipe->nonfinite_skips) {
        snprintf(
            more, sizeof more,
            "The %lld step%s before it in a row %s left out, the most that nonfinite: {skip: %lld} allows: lower the learning "
            "rate, or let nonfinite: replay name the sample",
            (long long)t->progress.skipped, GR_PLURAL(t->progress.skipped),
            t->progress.skipped == 1 ? "was" : "were", (long long)t->recipe->nonfinite_skips);
        GR_TRY(stop_here(t, r, f, more));
    }
    GR_TRY(gr_world_agree(t->world, note_samples(t, r, f->reason, &notes)));
    GR_TRY(gr_ledger_write(t->world, t->options->run, &place, &notes));
    if (gri_trainer_leads(t)) {
        gr_progress_end();
        gr_log_warn("stage %s, step %lld: %s: no update is made of the step (%lld of at most "
                    "%lld in a row), its samples are in %s/%s",
                    place.stage, (long long)place.step, f->reason,
                    (long long)t->progress.skipped + 1, (long long)t->recipe->nonfinite_skips,
                    t->options->run, gr_ledger_name);
    }
    out->skipped = true;
    snprintf(out->reason, sizeof out->reason, "%s", f->reason);
done:
    gr_str_fini(&notes);
    return err;
}

/// Computed again the step is finite: the ledger and the log say whose fault it was. Collective.
static gr_err note_transient(gr_trainer *t, gr_stage_run *r, const gri_finding *f)
{
    gr_err err = GR_OK;
    gr_str notes = {0};
    char host[HOST_TEXT] = "", reason[GRI_REASON_TEXT + 128];
    const gr_ledger_place place = gri_nonfinite_place(t, r);
    (void)gethostname(host, sizeof host - 1);
    GR_TRY(gr_world_broadcast(t->world, host, sizeof host, f->rank));
    snprintf(
        reason, sizeof reason,
        "%s; computed again it is finite: a transient fault, the run goes on with that result",
        f->reason);
    if (gri_trainer_leads(t)) {
        gr_progress_end();
        gr_log_warn("rank %d on %s: stage %s, step %lld: %s; if it comes again there, that "
                    "machine should be looked after",
                    f->rank, host, place.stage, (long long)place.step, reason);
        err = gr_ledger_note_nonfinite(&notes, "transient", f->lane, NULL, 0, reason);
    }
    GR_TRY(gr_world_agree(t->world, err));
    GR_TRY(gr_ledger_write(t->world, t->options->run, &place, &notes));
done:
    gr_str_fini(&notes);
    return err;
}

/// Collective.
static gr_err replay(gr_trainer *t, gr_stage_run *r, const gri_finding *f, gr_step_result *out)
{
    gr_err err = GR_OK;
    gri_finding again;
    if (gri_trainer_leads(t)) {
        gr_progress_end();
        gr_log_warn("stage %s, step %lld: %s: the step is computed again", r->stage->name,
                    (long long)t->progress.step + 1, f->reason);
    }
    GR_TRY(gri_step_compute(t, r, out));
    if (out->fits) {
        GR_TRY(note_transient(t, r, f));
        goto done;
    }
    GR_TRY(describe(t, r, &again));
    GR_TRY(gri_nonfinite_check_state(t, r));
    GR_TRY(gri_nonfinite_find(t, r, &again));
done:
    return err;
}

gr_err gri_nonfinite_meet(gr_trainer *t, gr_stage_run *r, gr_step_result *out)
{
    gr_err err = GR_OK;
    gri_finding f;
    if (t->skips_next) { // by the run's own record
        out->skipped = true;
        goto done;
    }
    GR_TRY(describe(t, r, &f));
    GR_TRY(gri_nonfinite_check_state(t, r));
    if (t->verifies || t->recipe->nonfinite == GR_NONFINITE_STOP) {
        GR_TRY(
            stop_here(t, r, &f,
                      "Run again: a fault of the moment does not come again. With nonfinite: "
                      "replay the recipe has the sample named, with nonfinite: {skip: K} such "
                      "steps are left out; a lower learning rate may help"));
    }
    if (t->recipe->nonfinite == GR_NONFINITE_SKIP) {
        GR_TRY(skip(t, r, &f, out));
    } else {
        GR_TRY(replay(t, r, &f, out));
    }
done:
    return err;
}
