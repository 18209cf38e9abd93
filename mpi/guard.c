#include "mpi/internal.h"

#include <stdlib.h>
#include <string.h>

/// What launchers tell each of their processes, most telling first. The first that is set decides: a Slurm
/// step also surrounds the processes of an mpirun inside it. SLURM_NTASKS is no such sign,
/// since the batch script itself has it.
static const char *const size_variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE",
                                             "SLURM_STEP_NUM_TASKS"};

bool gr_world_launched(void)
{
    bool launched = false;
    for (size_t i = 0; i < sizeof size_variables / sizeof size_variables[0]; i++) {
        launched = launched || getenv(size_variables[i]);
    }
    return launched;
}

int gr_world_launched_here(void)
{
    static const char *const variables[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS",
                                            "SLURM_STEP_TASKS_PER_NODE"};
    long ranks = 0;
    for (size_t i = 0; i < sizeof variables / sizeof variables[0] && ranks < 1; i++) {
        const char *text = getenv(variables[i]); // Slurm's may be "4(x2)": the first number
        ranks = text ? strtol(text, NULL, 10) : 0;
    }
    return ranks < 1 ? 1 : ranks > 1 << 16 ? 1 << 16 : (int)ranks;
}

bool gr_world_launched_alike(void)
{
    const char *commands = getenv("OMPI_NUM_APP_CTX"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    return commands && rank && strcmp(commands, "1") == 0 && strcmp(rank, "0") != 0;
}

gr_err gri_guard_launch(int size)
{
    gr_err err = GR_OK;
    for (size_t i = 0; i < sizeof size_variables / sizeof size_variables[0]; i++) {
        const char *text = getenv(size_variables[i]);
        if (!text) {
            continue;
        }
        long started = strtol(text, NULL, 10);
        if (size == 1 && started > 1) {
            char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
            int length = 0;
            (void)MPI_Get_library_version(version, &length);
            GR_FAIL(
                GR_ERR_UNAVAILABLE,
                "%ld processes were started (%s=%s), but each is alone: the launcher and this "
                "program's MPI library (%.24s) do not know each other; start with: "
                "mpirun -np %ld gradus ..., or under Slurm: srun --mpi=pmix -n %ld gradus ...",
                started, size_variables[i], text, version, started, started);
        }
        break;
    }
done:
    return err;
}
