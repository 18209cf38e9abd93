#include "src/cli/start.h"

#include "src/ops/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

// Set by us for the second start, so that there is never a third.
static const char guard[] = "GRADUS_STARTED_WITH_CORETYPE";

// A missing stream gets the wrong direction of /dev/null, so that using it is still an error.
static void open_missing_streams(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) {
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
        }
    }
}

bool gri_start_corrected(void)
{
    return getenv(guard) != NULL;
}

static void correct_blas(char **argv)
{
    const char *kernel = gr_blas_better_kernel();
    if (kernel && !gri_start_corrected() && setenv("OPENBLAS_CORETYPE", kernel, 0) == 0 &&
        setenv(guard, kernel, 1) == 0) {
        execv("/proc/self/exe", argv);
        // Not possible here: slower, but right. `gradus doctor` shows it.
        unsetenv("OPENBLAS_CORETYPE");
        unsetenv(guard);
    }
}

void gri_start(char **argv)
{
    open_missing_streams();
    correct_blas(argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file that may not grow is an error of its write
}
