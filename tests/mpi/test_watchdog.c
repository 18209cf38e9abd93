// The watchdog while nothing is wrong: it comes, goes, and leaves the ranks alone. (Where something is: ends.sh, cli/test_watch.sh.)
#include "mpi/watchdog.h"
#include "src/base/activity.h"
#include "tests/mpi/mpi_check.h"

#include <string.h>
#include <unistd.h>

static void test_none(void)
{
    GR_CHECK_OK(gr_watchdog_start(gr_test_world, 0));
    gr_watchdog_stop(0);
    gr_watchdog_stop(0);
}

/// Again and again in one process, as tests and programs of others may.
static void test_again(void)
{
    for (int i = 0; i < 5; i++) {
        GR_CHECK_OK(gr_watchdog_start(gr_test_world, 5));
        GR_CHECK_OK(gr_world_barrier(gr_test_world));
        gr_watchdog_stop(0);
    }
}

/// Longer than a silent rank would be given, working, waiting for each other and idle where that is allowed; some leave sooner.
static void test_calm(void)
{
    GR_CHECK_OK(gr_watchdog_start(gr_test_world, 5));
    gr_activity_stage();
    for (int step = 0; step < 30; step++) {
        gr_activity_place("stage test, step %d", step);
        gr_activity_step_begin();
        gr_activity_phase(GR_PHASE_FORWARD);
        gr_activity_sample("some data", step);
        usleep(step % gr_test_world->size == gr_test_world->rank ? 100000 : 1000);
        gr_activity_phase(GR_PHASE_REDUCE);
        GR_CHECK_OK(gr_world_barrier(gr_test_world));
        gr_activity_step_end();
    }
    gr_activity_phase(GR_PHASE_CHECKPOINT);
    sleep(1);
    if (gr_test_world->rank % 2 == 0) {
        gr_watchdog_stop(0);
    }
    GR_CHECK_OK(gr_world_barrier(gr_test_world));
    sleep(1);
    gr_watchdog_stop(0);
    gr_activity_phase(GR_PHASE_START);
}

/// What is told is what was said.
static void test_activity(void)
{
    gr_activity before, a;
    gr_activity_read(&before);
    gr_activity_stage();
    gr_activity_place("stage %s", "here");
    gr_activity_reading("data", 4);
    gr_activity_sample("data", 3);
    gr_activity_phase(GR_PHASE_DATA);
    gr_activity_read(&a);
    GR_CHECK(a.pulse > before.pulse);
    GR_CHECK_STR(a.place, "stage here");
    GR_CHECK_STR(a.sample, "sample 4 of data");
    gr_activity_phase(GR_PHASE_BACKWARD);
    gr_activity_step_begin();
    usleep(10000);
    gr_activity_read(&a);
    GR_CHECK_STR(a.sample, "sample 3 of data");
    GR_CHECK(a.step_seconds >= 0.01);
    gr_activity_step_end();
    gr_activity_wait(true);
    gr_activity_read(&a);
    GR_CHECK(a.waiting);
    gr_activity_wait(false);
    GR_CHECK_INT(a.steps, before.steps + 1);
    GR_CHECK_INT(a.stage_steps, 1);
    GR_CHECK(a.slowest >= 0.01);
    GR_CHECK(a.step_seconds == 0);
    GR_CHECK_STR(gr_phase_name(a.phase), "backward");
    GR_CHECK_STR(gr_phase_name(GR_PHASE_COUNT), "?");
    gr_activity_phase(GR_PHASE_START);
}

static const gr_test tests[] = {
    {"none", test_none},
    {"again", test_again},
    {"activity", test_activity},
    {"calm", test_calm},
};
GR_MPI_TEST_MAIN("watchdog", tests)
