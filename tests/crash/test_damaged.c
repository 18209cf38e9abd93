/// Damaged checkpoints (R12): a flipped bit anywhere is found, and the run goes on from the older checkpoint, or it is harmless: the
/// state is the same. Damage that one rank alone sees moves all of them.
/// GR_FLIPS=all test_damaged: each byte of each file.

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/str.h"
#include "tests/crash/io_shim.h"
#include "tests/crash/saved_run.h"
#include "tests/mpi/mpi_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OLD = 1, NEW = 2, SHORT_FORM = 60 };

static const char newest[] = "run/checkpoints/update-00000002";

typedef struct counts {
    int64_t flips, older, refused, harmless;
} counts;

static bool leads(void)
{
    return gr_test_world->rank == 0;
}

/// Checkpoint 1 of mark OLD and checkpoint 2 of mark NEW. Collective.
static gr_err open_run(saved_run *run)
{
    gr_err err = GR_OK;
    io_shim_skip_syncs(true);
    GR_TRY(saved_run_open(run, 2));
    saved_run_set(run, OLD);
    GR_TRY(saved_run_save(run, 1, false));
    saved_run_set(run, NEW);
    GR_TRY(saved_run_save(run, 2, true));
done:
    return err;
}

/// Flips one bit of the byte; again: it is as before.
static void flip(const char *path, int64_t at)
{
    unsigned char byte = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    GR_CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= (unsigned char)(1u << gr_rng_u64(1, (uint64_t)at, 0) % 8);
    GR_CHECK(fd >= 0 && pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

/// `shared`: the older checkpoint has the same file. Collective.
static void check_flip(saved_run *run, const char *path, int64_t at, bool shared, counts *seen)
{
    int mark = -1;
    if (leads()) {
        flip(path, at);
    }
    GR_CHECK_OK(gr_world_barrier(gr_test_world));
    saved_run_quiet(true);
    gr_err err = saved_run_resume(run, "run", &mark, NULL);
    saved_run_quiet(false);
    bool refused = shared && err == GR_ERR_DATA;
    if (!GR_CHECK(refused || (err == GR_OK && (mark == NEW || (mark == OLD && !shared)))) &&
        leads()) {
        fprintf(stderr, "%s, byte %lld flipped: mark %d, %s\n", path, (long long)at, mark,
                gr_err_message());
    }
    GR_CHECK(mark == NEW || !leads() || saved_run_said(gr_path_base(path)) ||
             strcmp(gr_path_base(path), "manifest.json") == 0); // there it may be what it lists
    gr_err_clear();
    GR_CHECK_OK(gr_world_barrier(gr_test_world));
    if (leads()) {
        flip(path, at);
    }
    seen->flips++;
    seen->older += err == GR_OK && mark == OLD;
    seen->refused += refused;
    seen->harmless += err == GR_OK && mark == NEW;
}

/// Every `step`-th byte of a file. Collective.
static void check_file(saved_run *run, const char *path, counts *seen)
{
    struct stat st;
    if (!GR_CHECK(stat(path, &st) == 0)) {
        return;
    }
    int64_t step = getenv("GR_FLIPS") ? 1 : 1 + st.st_size / SHORT_FORM;
    for (int64_t at = 0; at < st.st_size; at += step) {
        check_flip(run, path, at, st.st_nlink > 1, seen);
    }
}

static void check_folder(saved_run *run, const char *path, counts *seen)
{
    char **names = NULL;
    char *below = NULL;
    int64_t count = 0;
    GR_CHECK_OK(gr_dir_list(path, &names, &count));
    GR_CHECK(count > 0);
    for (int64_t i = 0; i < count; i++) {
        GR_FREE(below);
        if (GR_CHECK_OK(gr_path_join(path, names[i], &below)) && !gr_dir_exists(below)) {
            counts before = *seen;
            check_file(run, below, seen);
            GR_CHECK(seen->flips > before.flips);
        }
    }
    GR_FREE(below);
    gr_dir_list_free(&names, count);
}

static void test_flips(void)
{
    saved_run run;
    counts seen = {0};
    int mark = -1;
    if (GR_CHECK_OK(open_run(&run))) {
        char inner[64];
        snprintf(inner, sizeof inner, "%s/gradus", newest);
        check_folder(&run, newest, &seen);
        check_folder(&run, inner, &seen);
        GR_CHECK(seen.older > 100 && seen.refused > 10);
        GR_CHECK_INT(seen.older + seen.refused + seen.harmless, seen.flips);
        GR_CHECK_OK(saved_run_resume(&run, "run", &mark, NULL));
        GR_CHECK_INT(mark, NEW); // all is as it was
    }
    if (getenv("GR_FLIPS") && leads()) {
        printf(
            "%lld flips: %lld found and the older checkpoint taken, %lld found in a file of both "
            "and refused, %lld harmless\n",
            (long long)seen.flips, (long long)seen.older, (long long)seen.refused,
            (long long)seen.harmless);
    }
    saved_run_close(&run);
}

/// On the last rank only: `fault` is done before, and all go on from checkpoint `want`. Collective.
static void check_one_rank(saved_run *run, void (*fault)(void), const char *want, int want_mark)
{
    const bool last = gr_test_world->rank == gr_test_world->size - 1;
    char *path = NULL, said[64];
    int mark = -1;
    if (last) {
        io_shim_watch("run");
        fault();
    }
    saved_run_quiet(true);
    gr_err err = saved_run_resume(run, "run", &mark, &path);
    saved_run_quiet(false);
    GR_CHECK(!last || io_shim_fired() > 0);
    io_shim_watch(NULL);
    if (GR_CHECK_OK(err)) {
        GR_CHECK_STR(path ? gr_path_base(path) : "none", want);
        GR_CHECK_INT(mark, want_mark);
    }
    snprintf(said, sizeof said, "update-00000002 is passed over: rank %d on ",
             gr_test_world->size - 1);
    GR_CHECK(!leads() || saved_run_said(gr_test_world->size > 1 ? said : "is passed over: "));
    GR_FREE(path);
}

static void flip_moments(void)
{
    io_shim_flip("update-00000002/gradus/optimizer.safetensors", 30000);
}

static void flip_state(void)
{
    io_shim_flip("update-00000002/gradus/state.json", 20);
}

static void flip_manifest(void)
{
    io_shim_flip("update-00000002/gradus/manifest.json", 100);
}

static void fail_read(void)
{
    io_shim_fail(3, EIO);
}

static void test_one_rank(void)
{
    static void (*const faults[])(void) = {flip_moments, flip_state, flip_manifest, fail_read};
    saved_run run;
    if (GR_CHECK_OK(open_run(&run))) {
        // Rank 0's third call looks for leftovers; the others only read.
        const size_t count = sizeof faults / sizeof faults[0] - (gr_test_world->size == 1);
        for (size_t i = 0; i < count; i++) {
            check_one_rank(&run, faults[i], "update-00000001", OLD);
        }
    }
    saved_run_close(&run);
}

/// What is behind all checkpoints on one rank: the run ends on all, and does not begin anew.
static void test_none_left(void)
{
    saved_run run;
    int mark = -1;
    if (GR_CHECK_OK(open_run(&run))) {
        if (gr_test_world->rank == gr_test_world->size - 1) {
            io_shim_watch("run");
            io_shim_flip("/config.json", 50);
        }
        saved_run_quiet(true);
        GR_CHECK_ERR(saved_run_resume(&run, "run", &mark, NULL), GR_ERR_DATA,
                     "all 2 checkpoints are damaged, so the run cannot go on");
        saved_run_quiet(false);
        io_shim_watch(NULL);
    }
    saved_run_close(&run);
}

static const gr_test tests[] = {
    {"flips", test_flips},
    {"on one rank", test_one_rank},
    {"none left", test_none_left},
};
GR_MPI_TEST_MAIN("damaged", tests)
