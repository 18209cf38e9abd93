#ifndef SRC_CLI_START_H
#define SRC_CLI_START_H

/// What must be right before anything else runs.

#include <stdbool.h>

/// Opens missing standard streams, so that no file of ours becomes one; makes a closed pipe a
/// write error; and when OpenBLAS chose kernels below what the processor has, starts the program again, once, with
/// OPENBLAS_CORETYPE set (the library reads it while it loads). A user's own setting stays.
void gri_start(char **argv);
/// Whether this process was started again by gri_start.
bool gri_start_corrected(void);

#endif
