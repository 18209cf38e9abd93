#include "stages/stop.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t requested;

static void handle(int number)
{
    (void)number;
    requested = 1;
}

void gr_stop_install(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        sigaction(signals[i], &action, NULL);
    }
}

bool gr_stop_requested(void)
{
    return requested != 0;
}
