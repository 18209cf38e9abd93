#ifndef STAGES_STOP_H
#define STAGES_STOP_H

/// Asking a run to stop: SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 set a flag, nothing else; the step loop
/// reads it, the ranks agree, save a checkpoint and end with GR_ERR_STOPPED.

#include <stdbool.h>

void gr_stop_install(void);
bool gr_stop_requested(void);

#endif
