#include "src/cli/start.h"

#include "mpi/world.h"
#include "src/base/cpu.h"
#include "src/ops/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// Names what we set for the second start; its presence means that there is never a third.
static const char guard[] = "GRADUS_STARTED_WITH";

// A missing stream gets the wrong direction of /dev/null, so that using it is still an error.
static void open_missing_streams(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) {
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
        }
    }
}

bool gri_start_set(const char *variable)
{
    const char *list = getenv(guard);
    return list && strstr(list, variable) != NULL;
}

// Threads that this process was told to use, on its command line or in the environment; 0: nobody said.
static long threads_asked(char **argv)
{
    const char *text = getenv("OMP_NUM_THREADS");
    for (; *argv; argv++) {
        if (strcmp(*argv, "--threads") == 0 && argv[1]) {
            text = argv[1];
        } else if (strncmp(*argv, "--threads=", 10) == 0) {
            text = *argv + 10;
        }
    }
    return text ? strtol(text, NULL, 10) : 0;
}

// Cores for each of the ranks that the launcher put here. Masks are taken for private where the machine has cores enough
// for that; MPI, which could tell, has not started.
static long cores_each(long ranks)
{
    const long cores = gr_cpu_get()->cores;
    return cores * ranks <= sysconf(_SC_NPROCESSORS_ONLN) ? cores : cores / ranks;
}

// A thread that waits for its team spins for milliseconds, which is quick where each has a core (by a tenth of a step,
// measured) and takes the core from who computes where more threads than cores run (then a step takes twice as long and more).
// The library reads the environment while it loads.
static bool waiting_should_sleep(char **argv)
{
    const bool said =
        getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || getenv("KMP_BLOCKTIME");
    const long threads = threads_asked(argv);
    return !said && threads > 1 && threads > cores_each(gr_world_launched_here());
}

void gri_start_tuned(char **argv)
{
    const char *kernel = gr_blas_better_kernel();
    const bool wait = waiting_should_sleep(argv);
    char list[64];
    if (getenv(guard) || !(kernel || wait)) {
        return;
    }
    snprintf(list, sizeof list, "%s%s", kernel ? "OPENBLAS_CORETYPE " : "",
             wait ? "OMP_WAIT_POLICY" : "");
    if (setenv(guard, list, 1) == 0 &&
        (!kernel || setenv("OPENBLAS_CORETYPE", kernel, 0) == 0) &&
        (!wait || setenv("OMP_WAIT_POLICY", "passive", 0) == 0)) {
        execv("/proc/self/exe", argv);
    }
    // Not possible here: slower, but right. `gradus doctor` shows it.
    unsetenv(guard);
    if (kernel) {
        unsetenv("OPENBLAS_CORETYPE");
    }
    if (wait) {
        unsetenv("OMP_WAIT_POLICY");
    }
}

void gri_leave(int status)
{
    struct rlimit space = {.rlim_cur = RLIM_INFINITY};
    (void)getrlimit(RLIMIT_AS, &space);
    if (space.rlim_cur !=
        RLIM_INFINITY) { // a thread of OpenBLAS's own may ask for memory for ever, and its end waits for it
        fflush(NULL);
        _exit(status);
    }
    exit(status);
}

void gri_start(void)
{
    open_missing_streams();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file that may not grow is an error of its write
}
