#ifndef SRC_BASE_NEW_DIR_H
#define SRC_BASE_NEW_DIR_H

/// A new folder of results, complete or absent: it is filled as PATH.gradus-unfinished, which its process has locked, and renamed. What a
/// killed process left under that name is removed when PATH is asked for again. An empty folder that is there already is moved
/// aside for the time. Where that cannot be (a mount, somebody else's parent folder, a name without room for the ending) it is filled
/// where it is: then what makes it a model or a tokenizer has to be written last.
///
///   gr_new_dir dir = {0};
///   GR_TRY(gr_new_dir_begin(path, &dir));  write into dir.work
///   done: err = gr_new_dir_end(&dir, err);

#include "src/base/err.h"

typedef struct gr_new_dir {
    char *path; ///< where it will be; owned
    char *work; ///< where it is filled; owned
    int lock;   ///< of `work`; -1: none
    bool begun;
    bool found;    ///< the folder was there before, empty
    bool in_place; ///< work is path
} gr_new_dir;

/// A folder that holds anything, or that another process fills, is GR_ERR_USAGE: nothing is overwritten. *out must be zeroed.
GR_MUST_CHECK gr_err gr_new_dir_begin(const char *path, gr_new_dir *out);
/// Ends it, also where it was not begun: with GR_OK the folder is complete and synced; with an error its files go again, and it too if it
/// was not there before (one filled in place keeps what was written). Returns `err`, or what went wrong here.
GR_MUST_CHECK gr_err gr_new_dir_end(gr_new_dir *dir, gr_err err);

#endif
