#ifndef STAGES_SAVER_H
#define STAGES_SAVER_H

/// Writing checkpoints (checkpoint.h says what they hold), all ranks together: each rank writes the moments and the weights of its
/// range at their offsets and makes the digests of what it writes. A part that has not changed since the last
/// checkpoint is a hard link to its file there.
///
/// In the background: gr_saver_save copies what the next step would overwrite, into memory taken by gr_saver_reserve, and returns; a thread
/// a rank writes. gr_saver_poll after each step takes the save on when all ranks are ready: digests together, then rank 0's
/// thread writes the manifest, syncs and renames. An error on one rank is everybody's, before the rename, at the next
/// gr_saver_poll, _wait or _save. One save is under way at a time.

#include "mpi/world.h"
#include "stages/identity.h"
#include "stages/progress.h"
#include "stages/setup.h"
#include "stages/updater.h"

typedef struct gr_saver gr_saver;

typedef struct gr_saver_options {
    const char *run;
    int64_t keep; ///< newest checkpoints that stay
    int64_t
        keep_every; ///< and those whose updates are a multiple of it, with files of their own; 0: none
    bool background;
    int threads; ///< that copy
} gr_saver_options;

/// `last`: the checkpoint that the model was just loaded from, if later ones may link to it; NULL: none. All pointers are borrowed. Not
/// collective; call gr_world_agree after it.
GR_MUST_CHECK gr_err gr_saver_create(const gr_world *world, const gr_setup *setup,
                                     const gr_identity *identity,
                                     const gr_saver_options *options, const char *last,
                                     gr_saver **out);
/// Waits for this rank's thread; what was not finished stays undone. Not collective.
void gr_saver_destroy(gr_saver **saver);

/// The weights of these parts are about to differ from the last checkpoint's.
void gr_saver_changed(gr_saver *saver, gr_part_set parts);
/// Memory for the copies of this updater's state, for saves in the background: 12 bytes an element of its range. NULL gives it
/// back. Not collective. Nothing may be under way.
GR_MUST_CHECK gr_err gr_saver_reserve(gr_saver *saver, const gr_updater *updater);

/// Before an update that a save in the background follows at once: where the update (gr_updater_apply) is to put its copy, so that the save
/// need not make one; NULL without reserved memory. Waits for an earlier save. Collective.
GR_MUST_CHECK gr_err gr_saver_expect(gr_saver *saver, const gr_updater_copy **copy);
/// Saves; `updater` may be NULL at a border between stages. Waits for an earlier save first. With `wait` or without reserved memory it
/// returns when the checkpoint is complete, else when the state is copied. Then all but the newest `keep` checkpoints are
/// removed. Collective.
GR_MUST_CHECK gr_err gr_saver_save(gr_saver *saver, const gr_updater *updater,
                                   const gr_progress *progress, bool wait);
/// Takes a save that is under way one step on, if it can be without waiting. Collective.
GR_MUST_CHECK gr_err gr_saver_poll(gr_saver *saver);
/// Until nothing is under way. Collective.
GR_MUST_CHECK gr_err gr_saver_wait(gr_saver *saver);
/// Whether a save is under way: the same on all ranks.
bool gr_saver_busy(const gr_saver *saver);
/// Writes the trained model as RUN/final, a Hugging Face directory with its tokenizer, and waits. Collective.
GR_MUST_CHECK gr_err gr_saver_save_final(gr_saver *saver);

#endif
