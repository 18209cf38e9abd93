#ifndef STAGES_RUN_LOCK_H
#define STAGES_RUN_LOCK_H

/// One job a run folder: RUN/lock, held as long as the process lives. The kernel gives the lock back whatever way the
/// process ends, so a lock is never stale; the file stays and says who held it last ("HOST pid PID").

#include "src/base/err.h"

/// Takes the lock of an existing run folder; `*fd` is to be closed by gr_run_lock_release. Held by another
/// process: GR_ERR_USAGE, which names it. Not collective: one rank holds it for all.
GR_MUST_CHECK gr_err gr_run_lock_take(const char *run, int *fd);
/// Sets *fd to -1; -1 is fine.
void gr_run_lock_release(int *fd);

#endif
