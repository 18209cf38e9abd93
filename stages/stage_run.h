#ifndef STAGES_STAGE_RUN_H
#define STAGES_STAGE_RUN_H

/// One stage of a run: its steps, with validation and checkpoints where they are due. Inside this room.

#include "mpi/world.h"
#include "stages/identity.h"
#include "stages/progress.h"
#include "stages/saver.h"
#include "stages/setup.h"
#include "stages/trainer.h"

/// A run on this rank; the same on all ranks but for world->rank.
typedef struct gr_trainer {
    const gr_world *world;
    const gr_recipe *recipe;
    const gr_train_options *options;
    gr_setup *setup;
    char *check;          ///< path of the verdict about the data; NULL: none fits. Rank 0
    gr_identity identity; ///< of what the run is made of
    gr_progress progress;
    gr_saver *saver;
    int64_t updates_here;    ///< in this call, for stop_after
    int64_t planned_updates; ///< of the whole run
    bool stopping;           ///< asked to stop: the next safe place is the last
    double last_validation;  ///< newest held-out loss of this stage, NaN before the first
    int64_t validated_step;  ///< the step of this stage behind which it was measured
} gr_trainer;

/// Whether this rank writes and speaks.
bool gri_trainer_leads(const gr_trainer *t);

/// Collective. Runs stage t->progress.stage from step t->progress.step to its end and saves at the border; with the
/// moments of `checkpoint` when the run goes on inside the stage (else NULL). GR_ERR_STOPPED: stopped inside
/// the stage, saved. Stopping at the very border is left to the caller (t->stopping).
GR_MUST_CHECK gr_err gri_stage_run(gr_trainer *t, const char *checkpoint);

#endif
