#include "mpi/libraries.h"

#include <mpi.h>
#include <stdlib.h>
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

const char *gr_mpi_launcher(void)
{
    // An mpirun inside a Slurm step has both; then the inner one counts.
    if (getenv("OMPI_MCA_orte_hnp_uri") || getenv("PRTE_LAUNCHED")) {
        return "mpirun";
    }
    // A batch script has SLURM_PROCID too, but is no step's task.
    if (getenv("SLURM_PROCID") && getenv("SLURM_STEP_NUM_TASKS")) {
        return "srun";
    }
    return getenv("PMIX_RANK") || getenv("PMI_RANK") ? "another launcher" : NULL;
}
