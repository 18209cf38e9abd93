#ifndef STAGES_CHECKPOINT_DIR_H
#define STAGES_CHECKPOINT_DIR_H

/// A folder that appears whole or not at all, with a manifest of its files (checkpoint_manifest.h). Beside PATH may stand, after a
/// kill or a crash: PATH.tmp, one that was being written or removed; PATH.old, what stood at PATH before, where the file system
/// cannot exchange two names. Inside this room; one rank of the run that holds its lock calls these.

#include "stages/checkpoint_manifest.h"

/// Puts right what a kill left in the folder PARENT (which may not be there): NAME.old, with NAME update-N or final, becomes NAME again if there is
/// none, and all other NAME.old and NAME.tmp are removed.
GR_MUST_CHECK gr_err gri_checkpoint_dir_settle(const char *parent);
/// Starts PATH.tmp, empty, with a `gradus` folder inside; its name in new memory. Settles first.
GR_MUST_CHECK gr_err gri_checkpoint_dir_begin(const char *path, char **temporary);
/// Writes the manifest (`known` as gri_manifest_write has it), syncs, makes PATH.tmp PATH, syncs the parent. What stood there is gone
/// afterwards; that it could not be removed is a warning.
GR_MUST_CHECK gr_err gri_checkpoint_dir_commit(const char *temporary, const char *path,
                                               const gri_dir_file *known, int known_count);
/// Removes a whole one. A kill never leaves half of it under its name.
GR_MUST_CHECK gr_err gri_checkpoint_dir_remove(const char *path);

#endif
