#ifndef MPI_LIBRARIES_H
#define MPI_LIBRARIES_H

/// The library this room is linked with.

#include "src/base/str.h"

/// Appends the first words of the library's own description ("Open MPI v4.1.4"). Works before
/// gr_world_create.
GR_MUST_CHECK gr_err gr_mpi_libraries(gr_str *out);

/// Who started this process, as its environment tells: "mpirun", "srun", "another launcher", or NULL: nobody.
const char *gr_mpi_launcher(void);

#endif
