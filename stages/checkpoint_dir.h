#ifndef STAGES_CHECKPOINT_DIR_H
#define STAGES_CHECKPOINT_DIR_H

/// A folder that appears whole or not at all, with a manifest of its files' digests.

#include "src/base/err.h"

/// Starts PATH.tmp, empty, with a `gradus` folder inside; its name in new memory.
GR_MUST_CHECK gr_err gri_checkpoint_dir_begin(const char *path, char **temporary);
/// Writes the manifest, syncs, renames PATH.tmp to PATH (replacing what stands there), syncs the parent.
GR_MUST_CHECK gr_err gri_checkpoint_dir_commit(const char *temporary, const char *path);
/// Compares every file with the manifest: GR_ERR_DATA names the first that differs or lacks.
GR_MUST_CHECK gr_err gri_checkpoint_dir_verify(const char *path);

#endif
