/// Power losses (R11): a save onto a run that has an older checkpoint is recorded on all ranks; from what the disk may then hold, the
/// run goes on from the old or the new state, whole, and from the new one once the save had returned.
/// GR_CRASH_STATES=2000 test_crash_states: so many different states, over all kinds of saves.

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "tests/crash/disk_model.h"
#include "tests/crash/io_shim.h"
#include "tests/crash/saved_run.h"
#include "tests/mpi/mpi_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHORT_FORM = 240, KINDS = 5 };

static const uint64_t seed = 1;

/// What is saved, and what the run may go on from afterwards: marks, 0 for the beginning.
typedef struct kind {
    const char *name;
    int64_t keep;
    int before[2];    ///< marks of checkpoints 1 and 2 that are there; 0: none
    int64_t updates;  ///< the checkpoint that is saved
    bool no_exchange; ///< as on network file systems
    bool final;       ///< the trained model: the run goes on from the checkpoint all the same
    int old, new;
} kind;

static const kind kinds[KINDS] = {
    // those with few different states first: the others make up for them
    {"the trained model", 2, {1, 0}, 2, false, true, 1, 1},
    {"a new one, the old one goes", 1, {1, 0}, 2, false, false, 1, 3},
    {"over another", 2, {1, 2}, 2, false, false, 2, 3},
    {"over another, without exchange", 2, {1, 2}, 2, true, false, 2, 3},
    {"the first", 2, {0, 0}, 1, false, false, 0, 3},
};

typedef struct counts {
    int64_t states, old, new;
} counts;

static bool leads(void)
{
    return gr_test_world->rank == 0;
}

/// Paths of the records of all ranks, or of this rank's only.
static char *trace_of(int rank)
{
    return gr_str_format("trace.%d", rank);
}

static gr_err read_traces(disk_model *disk)
{
    gr_err err = GR_OK;
    char *names[64] = {NULL};
    GR_ASSERT(gr_test_world->size <= 64);
    for (int rank = 0; rank < gr_test_world->size; rank++) {
        names[rank] = trace_of(rank);
        GR_TRY(names[rank] ? GR_OK : GR_ERR_MEMORY);
    }
    GR_TRY(disk_model_add(disk, (const char *const *)names, gr_test_world->size));
done:
    for (int rank = 0; rank < gr_test_world->size; rank++) {
        GR_FREE(names[rank]);
    }
    return err;
}

/// Saves with the calls recorded. *disk is rank 0's. Collective.
static gr_err record_save(saved_run *run, const kind *k, disk_model **disk)
{
    gr_err err = GR_OK;
    char *trace = trace_of(gr_test_world->rank);
    GR_TRY(gr_world_agree(gr_test_world, trace ? GR_OK : GR_ERR_MEMORY));
    GR_TRY(gr_world_agree(gr_test_world, leads() ? disk_model_scan("run", disk) : GR_OK));
    saved_run_set(run, k->new);
    io_shim_watch("run");
    io_shim_no_exchange(k->no_exchange);
    io_shim_record(trace);
    err = k->final ? gr_saver_save_final(run->saver) : saved_run_save(run, k->updates, false);
    io_shim_record(NULL);
    io_shim_no_exchange(false);
    io_shim_watch(NULL);
    GR_TRY(err);
    GR_TRY(gr_world_barrier(gr_test_world));
    GR_TRY(gr_world_agree(gr_test_world, leads() ? read_traces(*disk) : GR_OK));
done:
    GR_FREE(trace);
    return err;
}

/// The number after `number`: a short form takes the first ones, some of the systematic ones, from everywhere, and random ones.
static int64_t step_on(const disk_model *disk, int64_t number, int64_t wanted)
{
    const int64_t critical = disk_model_critical(disk), end = disk_model_systematic(disk);
    const int64_t some = wanted / 2 + 1, stride = 1 + (end - critical) / some;
    if (number < critical || number >= end) {
        return number + 1;
    }
    return number + stride < end ? number + stride : end;
}

/// The next state that was not tried yet, made as the folder `state`; *number -1: enough. Rank 0 only.
static gr_err next_state(disk_model *disk, gr_digest *tried, int64_t tried_count,
                         int64_t wanted, int64_t *number, disk_state *out)
{
    gr_err err = GR_OK;
    const int64_t end = disk_model_systematic(disk) + 50 * wanted;
    bool known = true;
    GR_TRY(gr_dir_remove("state"));
    for (; known && *number < end; *number = step_on(disk, *number, wanted)) {
        *out = disk_model_state(disk, *number, seed);
        GR_TRY(disk_model_digest(disk, out, &tried[tried_count]));
        known = false;
        for (int64_t i = 0; i < tried_count && !known; i++) {
            known = gr_digest_equal(tried[i], tried[tried_count]);
        }
    }
    if (known) {
        *number = -1;
        goto done;
    }
    GR_TRY(disk_model_make(disk, out, "state", "cache"));
done:
    return err;
}

/// RUN/final is there whole or not at all.
static bool final_is_fine(bool complete)
{
    bool whole = gr_checkpoint_has_final("state");
    return whole || (!complete && !gr_dir_exists("state/final"));
}

/// Collective.
static void check_state(saved_run *run, const kind *k, disk_model *disk,
                        const disk_state *state, counts *seen)
{
    int mark = -1;
    bool complete = leads() && state->prefix == disk_model_changes(disk);
    saved_run_quiet(true);
    gr_err err = saved_run_resume(run, "state", &mark, NULL);
    saved_run_quiet(false);
    bool fine = err == GR_OK && (mark == k->new || (mark == k->old && !complete)) &&
                (!k->final || !leads() || final_is_fine(complete)); // before rank 0 goes on
    if (!GR_CHECK(fine) && leads()) {
        fprintf(stderr, "%s: the run goes on from mark %d (old %d, new %d)%s%s\n", k->name,
                mark, k->old, k->new, err == GR_OK ? "" : ": ",
                err == GR_OK ? "" : gr_err_message());
        disk_model_print(disk, state);
    }
    gr_err_clear();
    seen->states++;
    seen->old += mark == k->old;
    seen->new += mark == k->new;
}

/// Collective.
static gr_err check_states(saved_run *run, const kind *k, disk_model *disk, int64_t wanted,
                           counts *seen)
{
    gr_err err = GR_OK;
    gr_digest *tried = NULL;
    int64_t number = 0;
    disk_state state = {0};
    GR_ALLOC(tried, wanted);
    GR_TRY(gr_world_agree(gr_test_world, leads() ? gr_dir_make("cache") : GR_OK));
    for (int64_t i = 0; i < wanted; i++) {
        GR_TRY(gr_world_agree(gr_test_world,
                              leads() ? next_state(disk, tried, i, wanted, &number, &state)
                                      : GR_OK));
        GR_TRY(gr_world_broadcast(gr_test_world, &number, sizeof number, 0));
        if (number < 0) {
            break;
        }
        check_state(run, k, disk, &state, seen);
    }
done:
    GR_FREE(tried);
    return err;
}

static gr_err try_kind(const kind *k, int64_t wanted, counts *seen)
{
    gr_err err = GR_OK;
    saved_run run;
    disk_model *disk = NULL;
    io_shim_skip_syncs(true);
    GR_TRY(saved_run_open(&run, k->keep));
    GR_TRY(gr_world_agree(gr_test_world, leads() ? gr_dir_make("run") : GR_OK));
    for (int i = 0; i < 2; i++) {
        if (k->before[i]) {
            saved_run_set(&run, k->before[i]);
            GR_TRY(saved_run_save(&run, i + 1, false));
        }
    }
    GR_TRY(record_save(&run, k, &disk));
    GR_TRY(check_states(&run, k, disk, wanted, seen));
done:
    disk_model_destroy(&disk);
    saved_run_close(&run);
    return err;
}

static void test_states(void)
{
    const char *text = getenv("GR_CRASH_STATES");
    const int64_t all = text ? strtoll(text, NULL, 10) : SHORT_FORM;
    int64_t total = 0;
    for (int i = 0; i < KINDS; i++) {
        counts seen = {0};
        GR_CHECK_OK(try_kind(&kinds[i], (all - total) / (KINDS - i), &seen));
        GR_CHECK(seen.old > 0 && seen.new > 0);
        total += seen.states;
        if (text && leads()) {
            printf("%s: %lld states, from %lld the old state, from %lld the new one\n",
                   kinds[i].name, (long long)seen.states, (long long)seen.old,
                   (long long)seen.new);
        }
    }
    GR_CHECK(text ? total > 0 : total > SHORT_FORM / 2);
}

static const gr_test tests[] = {{"states", test_states}};
GR_MPI_TEST_MAIN("crash_states", tests)
