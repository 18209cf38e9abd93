/// Failing calls (R10): each call of a save and of taking a run up fails once, on rank 0 or on the last one: with ENOSPC, EIO, EDQUOT,
/// EINTR, or it moves half of what it should. Then all ranks have an error and the last good checkpoint is taken up, or all went well.
/// GR_IO_FAULTS=all test_io_faults: every call with every fault, else some of them.

#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/crash/io_shim.h"
#include "tests/crash/saved_run.h"
#include "tests/mpi/mpi_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int number;
    int step; ///< of the short form
} faults[] = {{"EIO", EIO, 4},
              {"ENOSPC", ENOSPC, 23},
              {"EDQUOT", EDQUOT, 29},
              {"EINTR", EINTR, 19},
              {"short", IO_SHIM_SHORT, 1}};
enum { FAULTS = sizeof faults / sizeof faults[0] };

typedef struct counts {
    int64_t calls, fired,
        felt; ///< tried; those that failed; those after which something was not as without
} counts;

static bool is_victim(int victim)
{
    return gr_test_world->rank == victim;
}

/// Sets the fault on the victim. Collective: nobody begins before.
static void set_fault(int victim, int64_t at, int fault)
{
    if (is_victim(victim)) {
        io_shim_watch("run");
        io_shim_fail(at, faults[fault].number);
    }
    GR_CHECK_OK(gr_world_barrier(gr_test_world));
}

/// Ends it; the victim's counts on all ranks. Collective.
static void end_fault(int victim, int64_t *calls, int64_t *fired)
{
    GR_CHECK_OK(gr_world_max(gr_test_world, is_victim(victim) ? io_shim_calls() : 0, calls));
    GR_CHECK_OK(gr_world_max(gr_test_world, is_victim(victim) ? io_shim_fired() : 0, fired));
    io_shim_watch(NULL);
}

/// What is said of a call that failed so.
static bool is_fitting(gr_err err)
{
    return err == GR_OK || (err == GR_ERR_IO && strstr(gr_err_message(), "cannot"));
}

static void complain(bool fine, const char *what, int victim, int64_t at, int fault, int mark)
{
    if (!GR_CHECK(fine)) {
        fprintf(stderr, "%s, call %lld of rank %d fails with %s (%s): mark %d, %s\n", what,
                (long long)at, victim, faults[fault].name, io_shim_fired_at(), mark,
                gr_err_message());
    }
}

/// A save that fails at one call, and what the run goes on from. *good is the newest mark that is there.
static int64_t fail_save(saved_run *run, int victim, int64_t at, int fault, int *good,
                         counts *seen)
{
    static int last_mark = 1;
    const int next = ++last_mark;
    int64_t calls = 0, fired = 0;
    int mark = -1;
    saved_run_quiet(true);
    saved_run_set(run, next);
    set_fault(victim, at, fault);
    gr_err err = saved_run_save(run, next, next % 2);
    end_fault(victim, &calls, &fired);
    bool fitting = is_fitting(err);
    GR_CHECK(fired > 0 || err == GR_OK);
    gr_err again = saved_run_resume(run, "run", &mark, NULL);
    saved_run_quiet(false);
    complain(fitting && again == GR_OK && (mark == next || (mark == *good && err != GR_OK)),
             "save", victim, at, fault, mark);
    *good = mark;
    GR_CHECK(gr_test_world->rank > 0 || gr_checkpoint_remove_old("run", mark, 1, 0) == GR_OK);
    seen->calls++;
    seen->fired += fired > 0;
    seen->felt += err != GR_OK;
    return calls;
}

/// Taking up fails at one call: an error, or one of the two checkpoints; never the beginning.
static int64_t fail_resume(saved_run *run, int victim, int64_t at, int fault, int *good,
                           counts *seen)
{
    int64_t calls = 0, fired = 0;
    int mark = -1;
    saved_run_quiet(true);
    set_fault(victim, at, fault);
    gr_err err = saved_run_resume(run, "run", &mark, NULL);
    saved_run_quiet(false);
    end_fault(victim, &calls, &fired);
    complain(is_fitting(err) &&
                 (err != GR_OK || mark == *good || (mark == *good - 1 && fired > 0)),
             "resume", victim, at, fault, mark);
    seen->calls++;
    seen->fired += fired > 0;
    seen->felt += err != GR_OK || mark != *good;
    return calls;
}

typedef int64_t tried(saved_run *run, int victim, int64_t at, int fault, int *good,
                      counts *seen);

static void try_all(saved_run *run, tried *one, const char *what, int *good)
{
    const bool all = getenv("GR_IO_FAULTS") != NULL;
    for (int v = 0; v < (gr_test_world->size > 1 ? 2 : 1); v++) {
        const int victim = v ? gr_test_world->size - 1 : 0;
        for (int fault = 0; fault < FAULTS; fault++) {
            counts seen = {0};
            const int64_t step = all ? 1 : faults[fault].step;
            bool more = true;
            for (int64_t at = 1; more; at += step) {
                more = one(run, victim, at, fault, good, &seen) >= at;
                gr_err_clear();
                GR_CHECK_OK(gr_world_barrier(gr_test_world));
            }
            // Only reads and writes can be short; each other fault has struck but behind the last call.
            GR_CHECK(faults[fault].number == IO_SHIM_SHORT ? seen.fired > 0
                                                           : seen.fired >= seen.calls - 1);
            GR_CHECK(faults[fault].number != EIO || seen.felt > seen.calls / 3);
            if (all && gr_test_world->rank == 0) {
                printf("%s, rank %d, %s: %lld calls, struck %lld, %lld felt\n", what, victim,
                       faults[fault].name, (long long)seen.calls, (long long)seen.fired,
                       (long long)seen.felt);
            }
        }
    }
}

static void test_save(void)
{
    saved_run run;
    int good = 1;
    io_shim_skip_syncs(true);
    if (GR_CHECK_OK(saved_run_open(&run, 1))) {
        saved_run_set(&run, good);
        GR_CHECK_OK(saved_run_save(&run, good, false));
        try_all(&run, fail_save, "save", &good);
    }
    saved_run_close(&run);
}

static void test_resume(void)
{
    saved_run run;
    int good = 2;
    io_shim_skip_syncs(true);
    if (GR_CHECK_OK(saved_run_open(&run, 2))) {
        for (int mark = 1; mark <= good; mark++) {
            saved_run_set(&run, mark);
            GR_CHECK_OK(saved_run_save(&run, mark, false));
        }
        try_all(&run, fail_resume, "resume", &good);
    }
    saved_run_close(&run);
}

static const gr_test tests[] = {{"save", test_save}, {"resume", test_resume}};
GR_MPI_TEST_MAIN("io_faults", tests)
