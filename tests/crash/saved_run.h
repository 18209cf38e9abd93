#ifndef TESTS_CRASH_SAVED_RUN_H
#define TESTS_CRASH_SAVED_RUN_H

/// A small run whose checkpoints are saved and taken up as training does it, on all ranks of the test. Its state is a number, the
/// mark: all weights that train, moments and counts follow from it, so that any mixture of two states is seen.

#include "stages/resume.h"
#include "stages/saver.h"

typedef struct saved_run {
    gr_recipe *recipe;
    gr_setup *setup;
    gr_identity identity;
    gr_updater *updater;
    gr_saver *saver;
    gr_digest frozen; ///< of the weights that do not train
} saved_run;

/// In a new folder, which becomes every rank's current one; the run's is `run`. Collective.
GR_MUST_CHECK gr_err saved_run_open(saved_run *run, int64_t keep);
void saved_run_close(saved_run *run);

/// The state of the mark, as updates would leave it.
void saved_run_set(saved_run *run, int mark);
/// Saves it as checkpoint `updates`, in threads of its own or not, and waits. Collective.
GR_MUST_CHECK gr_err saved_run_save(saved_run *run, int64_t updates, bool background);

/// What `gradus train --resume auto` goes on from in the folder `dir`; *mark is its state's, -1 if it is none, 0 if there is no checkpoint.
/// *path (may be NULL) names the checkpoint, in new memory. Collective; the same on all ranks.
GR_MUST_CHECK gr_err saved_run_resume(saved_run *run, const char *dir, int *mark, char **path);

/// What ranks say goes into the file `said.RANK` of the current folder, which is emptied, until the same with false.
void saved_run_quiet(bool quiet);
/// Whether this rank said it when it was quiet last.
bool saved_run_said(const char *part);

#endif
