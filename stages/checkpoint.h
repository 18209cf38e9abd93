#ifndef STAGES_CHECKPOINT_H
#define STAGES_CHECKPOINT_H

/// Checkpoints: RUN/checkpoints/update-NNNNNNNN, each a Hugging Face directory (config, one
/// safetensors file per part, tokenizer) with the trainer's state in `gradus/` beside it:
///   gradus/state.json            schema, stage, step, updates, samples, tokens, recipe digest
///   gradus/optimizer.safetensors exp_avg.NAME and exp_avg_sq.NAME of each parameter that trains
///   gradus/manifest.json         XXH3-128 of every other file
/// A checkpoint is complete or absent: written aside, synced, renamed, folder synced. It does not know how many
/// ranks wrote it.

#include "stages/identity.h"
#include "stages/progress.h"
#include "stages/setup.h"
#include "stages/updater.h"

/// Writes a checkpoint, then removes all but the `keep` newest. `updater` may be NULL at a border
/// between stages. Not collective: one rank writes.
GR_MUST_CHECK gr_err gr_checkpoint_save(const char *run, const gr_setup *setup,
                                        const gr_updater *updater, const gr_identity *identity,
                                        const gr_progress *progress);

/// Path of the newest checkpoint of the run whose files all have their digests, in new memory; NULL if there is
/// none. Damaged ones are passed over with a warning that names the file.
GR_MUST_CHECK gr_err gr_checkpoint_find(const char *run, char **path);
/// Checks one checkpoint's manifest and files: GR_ERR_DATA names the first wrong one.
GR_MUST_CHECK gr_err gr_checkpoint_verify(const char *path);

/// Reads where the run stood. A checkpoint of another recipe, other data, tokenizer or first weights is
/// GR_ERR_RECIPE; another BLAS kernel or version of the program is a warning.
GR_MUST_CHECK gr_err gr_checkpoint_read_progress(const char *path, const gr_identity *identity,
                                                 gr_progress *out);
/// Reads parameters into the setup's model and, if `updater` is given, its moments.
GR_MUST_CHECK gr_err gr_checkpoint_load(const char *path, const gr_setup *setup,
                                        gr_updater *updater);

/// Writes the trained model as RUN/final, a Hugging Face directory with its tokenizer.
/// Whether RUN/final is there, whole.
bool gr_checkpoint_has_final(const char *run);
GR_MUST_CHECK gr_err gr_checkpoint_save_final(const char *run, const gr_setup *setup);

#endif
