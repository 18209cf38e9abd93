#ifndef STAGES_CHECKPOINT_H
#define STAGES_CHECKPOINT_H

/// Checkpoints: RUN/checkpoints/update-NNNNNNNN, each a Hugging Face directory (config, one
/// safetensors file per part, tokenizer) with the trainer's state in `gradus/` beside it:
///   gradus/state.json            schema, stage, step, updates, samples, tokens, skipped_in_a_row, recipe digest
///   gradus/optimizer.safetensors exp_avg.NAME of each parameter that trains, then exp_avg_sq.NAME, fp32
///   gradus/manifest.json         length and digest of every other file (checkpoint_manifest.h has the format)
/// A checkpoint is complete or absent: written aside, synced, renamed, folder synced. It does not know how many ranks wrote
/// it. A part that has not changed since the checkpoint before is a hard link to its file there; only one that keep_every keeps
/// has all its files to itself, so that damage to a shared one leaves something to go back to. saver.h writes them, resume.h finds
/// the one to go on from.

#include "stages/identity.h"
#include "stages/progress.h"
#include "stages/setup.h"
#include "stages/updater.h"

enum { GR_CHECKPOINT_SCHEMA = 3 };

/// Removes all but the `keep` newest up to the one of `updates`, which has just been written, and those whose number is a multiple of
/// keep_every (0: none). Later ones are of another try (they were damaged, or the run went back): they take no place and
/// are not touched. Not collective: one rank does it.
GR_MUST_CHECK gr_err gr_checkpoint_remove_old(const char *run, int64_t updates, int64_t keep,
                                              int64_t keep_every);

/// Whether keep_every (0: none) keeps the checkpoint of so many updates for good.
bool gr_checkpoint_stays(int64_t updates, int64_t keep_every);
/// Puts right what a kill left in the run's folder of checkpoints. Not collective: the rank that holds the run's lock does it.
GR_MUST_CHECK gr_err gr_checkpoint_settle(const char *run);

/// Paths of the run's checkpoints of at most `updates` updates, newest first, damaged ones too (gr_dir_list_free). A folder that cannot be
/// looked at is an error, not an empty one.
GR_MUST_CHECK gr_err gr_checkpoint_list(const char *run, int64_t updates, char ***paths,
                                        int64_t *count);
/// Checks one checkpoint's manifest and files: GR_ERR_DATA names the first wrong one.
GR_MUST_CHECK gr_err gr_checkpoint_verify(const char *path);

/// For whoever takes a model from a folder, of these parts: where training wrote it (a checkpoint, or RUN/final), their weights are as its
/// manifest says, else GR_ERR_DATA, which names the file. Any other folder is fine.
GR_MUST_CHECK gr_err gr_checkpoint_check_weights(const char *dir, gr_part_set parts);

/// Reads where the run stood. A checkpoint of another recipe (in a key that decides bits), other data, tokenizer or first weights is
/// GR_ERR_RECIPE; another BLAS kernel or version of the program is a warning.
GR_MUST_CHECK gr_err gr_checkpoint_read_progress(const char *path, const gr_identity *identity,
                                                 gr_progress *out);
/// Reads parameters into the setup's model and, if `updater` is given, its moments:
/// those of this rank's range, whatever the number of ranks that wrote them. Not collective.
GR_MUST_CHECK gr_err gr_checkpoint_load(const char *path, const gr_setup *setup,
                                        gr_updater *updater);

/// Whether RUN/final is there, whole.
bool gr_checkpoint_has_final(const char *run);

#endif
