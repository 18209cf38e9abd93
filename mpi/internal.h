#ifndef MPI_INTERNAL_H
#define MPI_INTERNAL_H

/// Shared inside this room: the communicator, and MPI's errors as ours.

#include "mpi/courier.h"
#include "mpi/world.h"

#include <mpi.h>

MPI_Comm gri_comm(const gr_world *world);
/// The error of an MPI call: its name and the library's own text.
GR_MUST_CHECK gr_err gri_mpi_error(int code, const char *call, const char *file, int line,
                                   const char *func);

/// GR_TRY for an MPI function, one thread at a time. Whoever is inside one waits for others (watchdog.h).
#define GRI_MPI(function, ...)                                                                 \
    do {                                                                                       \
        gri_mpi_enter();                                                                       \
        int code_ = function(__VA_ARGS__);                                                     \
        gri_mpi_leave();                                                                       \
        if (code_ != MPI_SUCCESS) {                                                            \
            err = gri_mpi_error(code_, #function, __FILE__, __LINE__, __func__);               \
            goto done;                                                                         \
        }                                                                                      \
    } while (0)

/// Refuses a launch in which the launcher started several processes and MPI sees one (guard.c).
GR_MUST_CHECK gr_err gri_guard_launch(int size);

#endif
