#ifndef DATASETS_FOLDER_H
#define DATASETS_FOLDER_H

/// A folder that a data set is being written to. One process at a time has it: the lock ends with the process, however it
/// ends. What is unfinished lies in DIR/.work, which nobody takes for part of a data set. Private to datasets/.

#include "src/base/err.h"

typedef struct gri_folder {
    char *dir, *work; ///< owned; `work` is DIR/.work
    int lock;         ///< descriptor; -1: not ours
} gri_folder;

/// Makes DIR and DIR/.work and takes the lock. GR_ERR_USAGE when another process has it or when DIR holds other things than
/// lists of an earlier import and .work; *unfinished says that an import left its plan there (then shards may be there too).
/// `out` must be zeroed; a failed claim leaves it so.
GR_MUST_CHECK gr_err gri_folder_claim(const char *dir, bool *unfinished, gri_folder *out);
/// Removes .work, and DIR if nothing else is in it.
void gri_folder_clean(gri_folder *folder);
/// Gives the lock back. Accepts a zeroed folder.
void gri_folder_leave(gri_folder *folder);

/// The plan of an import, inside .work: with it, the rest can be gone on with.
#define GRI_FOLDER_PLAN "plan.json"

#endif
