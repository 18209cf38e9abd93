#ifndef STAGES_STAGE_RUN_H
#define STAGES_STAGE_RUN_H

/// One stage of a run: its steps, with validation and checkpoints where they are due. Inside this room.

#include "mpi/world.h"
#include "stages/events.h"
#include "stages/identity.h"
#include "stages/lane_step.h"
#include "stages/pace.h"
#include "stages/progress.h"
#include "stages/saver.h"
#include "stages/setup.h"
#include "stages/step_digest.h"
#include "stages/trainer.h"

enum { GRI_REASON_TEXT = 512 };

/// A run on this rank; the same on all ranks but for world->rank.
typedef struct gr_trainer {
    const gr_world *world;
    const gr_recipe *recipe;
    const gr_train_options *options;
    gr_setup *setup;
    char *check;          ///< path of the verdict about the data; NULL: none fits. Rank 0
    gr_identity identity; ///< of what the run is made of
    gr_progress progress;
    gr_events *events;       ///< rank 0's
    gr_saver *saver;         ///< NULL: nothing is saved (run_verify.h)
    int64_t updates_here;    ///< in this call, for stop_after
    int64_t planned_updates; ///< of the whole run
    bool stopping;           ///< asked to stop: the next safe place is the last
    double peak;             ///< stages/peak.h: what a step's speed is a share of
    double saving; ///< seconds in which saves held the run since the last line of metrics.jsonl
    bool verifies; ///< steps of a run are computed again (run_verify.h): nothing is written
    bool skips_next;        ///< then: the run made no update of the next step
    double last_validation; ///< newest held-out loss of this stage, NaN before the first
    int64_t validated_step; ///< the step of this stage behind which it was measured
    int64_t sent;           ///< gr_messages_sent at the last line of metrics
} gr_trainer;

/// What lives as long as one stage.
typedef struct gr_stage_run {
    const gr_recipe_stage *stage;
    gr_schedule schedule;
    int64_t steps;
    gr_loader *loader, *validation_loader;
    gr_lane_step train, validate;
    gr_updater *updater;
    gr_step_digest *digest;
    gr_pace pace;
    struct gri_rate_search *search; ///< rate_search.h; NULL: the stage does not search
} gr_stage_run;

/// What one step gave.
typedef struct gr_step_result {
    gr_lane_totals totals;
    gr_update_report update;
    const gr_str *digests; ///< the line for digests.jsonl, if there is one: step_digest.h
    bool asked;            ///< some rank was asked to stop
    bool fits;             ///< loss, gradient and state are finite
    bool skipped; ///< no update was made, and why: the same text on any number of ranks
    char reason[GRI_REASON_TEXT];
} gr_step_result;

/// Loader, lanes and optimizer of stage t->progress.stage; with the moments of `checkpoint` when the run goes on inside
/// it (else NULL). `r` is zeroed; end it with gri_stage_close. Collective.
GR_MUST_CHECK gr_err gri_stage_open(gr_trainer *t, gr_stage_run *r, const char *checkpoint);
/// May be called on a zeroed struct.
void gri_stage_close(gr_stage_run *r);
/// Announces the rest of the stage, up to step `end`, to the loader, so that it prepares ahead. Collective.
GR_MUST_CHECK gr_err gri_stage_expect(gr_trainer *t, gr_stage_run *r, int64_t end);
/// One step (step.c): lanes forward and backward, their sum, the update; t->progress counts it. Where what it computed is not finite, the
/// recipe's policy decides (nonfinite.h). Collective.
GR_MUST_CHECK gr_err gri_stage_step(gr_trainer *t, gr_stage_run *r, gr_step_result *out);
/// The part of it before the update, which may be done again: nothing that lasts has changed. *out says whether it fits. Collective.
GR_MUST_CHECK gr_err gri_step_compute(gr_trainer *t, gr_stage_run *r, gr_step_result *out);
/// Behind the stage's last step: all weights on every rank. Collective.
GR_MUST_CHECK gr_err gri_stage_unite(gr_trainer *t, gr_stage_run *r);
/// Whether what comes every `every` steps, 0: never, comes with this one.
bool gri_is_due(int64_t every, int64_t step);

/// Whether this rank writes and speaks.
bool gri_trainer_leads(const gr_trainer *t);

/// Collective. Runs stage t->progress.stage from step t->progress.step to its end and saves at the border; with the
/// moments of `checkpoint` when the run goes on inside the stage (else NULL). GR_ERR_STOPPED: stopped inside
/// the stage, saved. Stopping at the very border is left to the caller (t->stopping).
GR_MUST_CHECK gr_err gri_stage_run(gr_trainer *t, const char *checkpoint);

#endif
