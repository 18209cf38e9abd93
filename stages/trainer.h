#ifndef STAGES_TRAINER_H
#define STAGES_TRAINER_H

/// Runs a recipe: the stages one after another, on all ranks, from the newest checkpoint on.
/// The run folder:
///   recipe.json     the recipe as resolved       checkpoints/   see checkpoint.h
///   ledger.jsonl    samples that were left out, what was not finite; see ledger.h
///   capsule.json    with what it was computed, see capsule.h
///   check.json      the verdict about the data, when there is one that fits (preflight.h)
///   metrics.jsonl   see metrics.h                final/         the trained model, when complete
///   predictions.jsonl   see predictions.h (not by training)
///   report.html     what all of this says, for a person: src/eval/report.h, written by the command
///   digests.jsonl   see step_digest.h            events.out.tfevents.*   for TensorBoard, see events.h

#include "mpi/world.h"
#include "stages/recipe.h"

typedef struct gr_train_options {
    const char *run; ///< run folder
    /// "auto": from the newest valid checkpoint; "never": refuse a used folder; or a checkpoint's path
    const char *resume;
    int threads;        ///< per rank
    int64_t stop_after; ///< stop cleanly after this many updates of this call; 0: never
    const char *check;  ///< verdict of gr_preflight_run; NULL: beside the recipe
    int64_t watchdog;   ///< seconds, see mpi/watchdog.h; 0: none
    bool dry_run;       ///< check and print the plan, train nothing
} gr_train_options;

/// Collective. GR_OK: the run is complete. GR_ERR_STOPPED: stopped cleanly, run it again.
GR_MUST_CHECK gr_err gr_train(const gr_world *world, const gr_recipe *recipe,
                              const gr_train_options *options);

#endif
