#ifndef STAGES_RESUME_H
#define STAGES_RESUME_H

/// Where a run goes on: the newest checkpoint that every rank reads whole. Each rank compares all files with the manifest before it
/// takes anything from them, so a rank whose disk, network or memory shows it other bytes is found; then all ranks go back to the same
/// older checkpoint, and the warning names rank, host and file.

#include "mpi/world.h"
#include "stages/checkpoint.h"

typedef struct gr_resume {
    const gr_world *world; ///< these are borrowed
    const char *run;
    const gr_setup *setup; ///< its model gets the weights
    const gr_identity *identity;
    gr_progress progress; ///< out: where the run stands
    char *path;           ///< out: the checkpoint, owned; NULL: there is none
    int64_t
        passed; ///< out: newer ones that were passed over, because some rank could not read them whole
    gr_err why; ///< out: GR_ERR_IO if one of these could not be read, else GR_ERR_DATA
} gr_resume;

/// What can be wrong with HOW before anything is loaded: a path at which there is no checkpoint is GR_ERR_MISSING. Not collective.
GR_MUST_CHECK gr_err gr_resume_check(const char *how);
/// The newest checkpoint of at most `updates` updates. Without a usable one *resume is as if there were none, but for `passed`.
/// Collective.
GR_MUST_CHECK gr_err gr_resume_newest(gr_resume *resume, int64_t updates);
/// As `gradus train --resume HOW` does it: "auto" takes the newest and refuses to begin anew where all are damaged; "never" refuses a
/// used folder; else the path of a checkpoint. Rank 0 holds the run's lock. Collective.
GR_MUST_CHECK gr_err gr_resume_run(gr_resume *resume, const char *how);
/// Says which keys that decide no bit changed in the recipe since the checkpoint was written. Not collective.
void gr_resume_announce_changes(const gr_resume *resume);
/// May be called on a zeroed struct and twice.
void gr_resume_fini(gr_resume *resume);

#endif
