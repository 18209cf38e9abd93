#include "mpi/libraries.h"

#include <mpi.h>
#include <string.h>

gr_err gr_mpi_libraries(gr_str *out)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int size = 0;
    if (MPI_Get_library_version(text, &size) != MPI_SUCCESS) {
        return gr_str_add(out, "MPI of unknown version");
    }
    return gr_str_add_bytes(out, text, strcspn(text, ",\n"));
}
