/// Ways in which a run ends badly, for ends.sh: `ends MODE`. All ranks but the last wait for it, under a watchdog of 2 s.

#include "mpi/watchdog.h"
#include "mpi/world.h"
#include "src/base/activity.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/// A rank that has done a step computes, and neither goes on nor waits for others.
static void hang(void)
{
    gr_activity_step_begin();
    gr_activity_step_end();
    gr_activity_place("stage s, step 2");
    gr_activity_phase(GR_PHASE_FORWARD);
    for (;;) {
        pause();
    }
}

/// So slow that it is worth a warning, but it goes on.
static void be_slow(bool slow)
{
    gr_activity_step_begin();
    gr_activity_step_end();
    gr_activity_place("stage s, step 2");
    gr_activity_step_begin();
    gr_activity_phase(GR_PHASE_BACKWARD);
    for (int i = 0; slow && i < 40; i++) {
        usleep(100000);
        gr_activity_pulse();
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    gr_world *world = NULL;
    gr_err err = gr_world_create(&world);
    if (err != GR_OK) {
        fprintf(stderr, "%s\n", gr_err_message());
        return gr_err_exit_code(err);
    }
    bool last = world->rank == world->size - 1;
    err = gr_watchdog_start(world, strcmp(mode, "unwatched") == 0 ? 0 : 2);
    if (strcmp(mode, "slow") == 0) {
        be_slow(last);
    }
    if (last && strcmp(mode, "hang") == 0) {
        hang();
    }
    if (last && (strcmp(mode, "stop") == 0 || strcmp(mode, "kill") == 0)) {
        usleep(300000); // it has been heard
        (void)raise(mode[0] == 's' ? SIGSTOP : SIGKILL);
    }
    if (world->rank == 0 && strcmp(mode, "stop-first") == 0) {
        usleep(300000);
        (void)raise(SIGSTOP);
    }
    if (last && strcmp(mode, "assertion") == 0) {
        GR_ASSERT(world->size < 0);
    }
    if (last && strcmp(mode, "failure") == 0) {
        fprintf(stderr, "gradus: it failed\n");
        gr_world_destroy(&world, gr_err_exit_code(GR_ERR_DATA));
    }
    err = err ? err : gr_world_barrier(world);
    gr_world_destroy(&world, 0);
    return gr_err_exit_code(err);
}
