#ifndef SRC_CLI_START_H
#define SRC_CLI_START_H

/// What must be right before anything else runs.

#include "src/base/err.h"

#include <stdbool.h>

/// Opens missing standard streams, so that no file of ours becomes one; makes a closed pipe a write error.
void gri_start(void);
/// For what computes: starts the program again, once, where libraries that read the environment while they load chose
/// badly: OPENBLAS_CORETYPE when OpenBLAS took kernels below what the processor has, OMP_WAIT_POLICY=passive
/// where more threads than cores would spin while they wait. A user's own setting stays. Returns when there is nothing to set, or in the second start.
void gri_start_tuned(char **argv);
/// Whether this process was started again with this variable set by gri_start_tuned.
bool gri_start_set(const char *variable);

/// Ends the process.
GR_NORETURN void gri_leave(int status);

#endif
