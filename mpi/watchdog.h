#ifndef MPI_WATCHDOG_H
#define MPI_WATCHDOG_H

/// A rank that dies, hangs or cannot be reached is named, and the job ends on every rank.
///
/// A thread a rank, beside MPI: each tells rank 0 five times a second that it lives and where it is (src/base/activity.h); rank 0
/// judges (watch_rules.h) and every rank watches rank 0. Who gives up a rank prints one message with the rank, its host and process,
/// phase, step and sample, tells all, and all processes end with the exit code of GR_ERR_UNAVAILABLE: from the thread, since the
/// main thread may be inside MPI for good. A rank that is only slow is named in a warning and the job goes on.
///
/// In shares of `seconds` (5 by default): a process that is stopped is given up after 0.6, a host that does not answer after 1.2 (a
/// network that comes back before that is survived), work that does not move after 0.7 or twice the slowest step, 6 in a
/// stage's first step, 12 while it reads data or all wait for each other, 120 while it opens files or writes a checkpoint.

#include "mpi/world.h"

enum { GR_WATCHDOG_SECONDS = 5 };

/// Collective. One watchdog a process. 0 seconds: none. When ranks cannot reach each other outside of MPI, rank 0 warns that
/// nobody watches, and the run goes on.
GR_MUST_CHECK gr_err gr_watchdog_start(const gr_world *world, double seconds);
/// Says goodbye: this rank is not watched any more. Not collective; may be called without a start, and twice. `exit_code`: not 0
/// when this rank is about to end the job and has said why, so that nobody else says anything.
void gr_watchdog_stop(int exit_code);

#endif
