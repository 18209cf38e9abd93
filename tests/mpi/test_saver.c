/// Saves while the run goes on: what a checkpoint holds is the state of the moment of the save, and a save that fails takes
/// nothing with it.

#include "src/base/file.h"
#include "src/base/mem.h"
#include "stages/checkpoint.h"
#include "stages/saver.h"
#include "tests/mpi/mpi_check.h"
#include "tests/mpi/small_run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char recipe_text[] =
    "seed: 5\nlanes: 4\nmodel: {vision: m.yaml, connector: m.yaml, language: m.yaml}\n"
    "tokenizer: tokenizer\nstages:\n"
    "  - {name: only, trains: [connector, language], data: [{path: data}], global_batch: 8,\n"
    "     sequence_length: 150, steps: 9, learning_rate: 1.0e-3}\n";

static const gr_part_set trained = 1u << GR_PART_CONNECTOR | 1u << GR_PART_LANGUAGE;

/// What a run has when its saver works.
typedef struct run {
    gr_recipe *recipe;
    gr_setup *setup;
    gr_identity identity;
    gr_updater *updater;
    gr_saver *saver;
} run;

static void run_fini(run *r)
{
    gr_saver_destroy(&r->saver);
    gr_updater_destroy(&r->updater);
    gr_setup_destroy(&r->setup);
    gr_recipe_destroy(&r->recipe);
}

static gr_err run_init(run *r)
{
    gr_err err = GR_OK;
    const gr_saver_options options = {
        .run = "run", .keep = 2, .background = true, .threads = 1};
    *r = (run){0};
    GR_TRY(gr_small_run(recipe_text));
    GR_TRY(gr_recipe_load("r.yaml", NULL, 0, &r->recipe));
    GR_TRY(gr_setup_create(r->recipe, 1, &r->setup));
    GR_TRY(gr_setup_enter_stage(r->setup, &r->recipe->stages[0]));
    GR_TRY(gr_identity_take(r->setup, &r->identity));
    GR_TRY(gr_updater_create(gr_test_world, gr_model_get_params(r->setup->model), trained,
                             &r->updater));
    GR_TRY(gr_saver_create(gr_test_world, r->setup, &r->identity, &options, NULL, &r->saver));
    GR_TRY(gr_saver_reserve(r->saver, r->updater));
done:
    return err;
}

/// As an update does it: every number that trains gets another value, which `mark` and its place decide.
static void change(run *r, int mark)
{
    const gr_params *params = gr_model_get_params(r->setup->model);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        float *weights =
            trained >> p & 1 ? gr_model_edit_weights(r->setup->model, (gr_part)p) : NULL;
        for (int64_t i = 0; weights && i < params->size[p]; i++) {
            weights[i] = (float)(mark * 1000 + i % 997);
        }
    }
    const gr_owned *own = &r->updater->own;
    for (gr_range piece = {0}; gr_owned_next(own, (gr_range){0, own->n}, &piece);) {
        for (int64_t at = piece.begin; at < piece.end; at++) {
            const int64_t i = gr_owned_place(own, at);
            r->updater->first[i] = (float)(mark * 10 + at % 89);
            r->updater->second[i] = (float)(mark * 20 + at % 97);
        }
    }
    gr_saver_changed(r->saver, trained);
    r->updater->updates = mark;
}

static gr_err save(run *r, int64_t updates, bool wait)
{
    const gr_progress progress = {.step = updates, .updates = updates, .samples = 8 * updates};
    return gr_saver_save(r->saver, r->updater, &progress, wait);
}

static char *name_of(int64_t updates)
{
    static char path[64];
    snprintf(path, sizeof path, "run/checkpoints/update-%08lld", (long long)updates);
    return path;
}

/// The checkpoint, loaded into the run, is what change(mark) leaves. The run stands at change(mark) afterwards.
static void check_holds(run *r, int64_t updates, int mark)
{
    gr_progress progress = {0};
    change(r, mark + 50); // nothing is right because it was not touched
    if (GR_CHECK_OK(gr_checkpoint_verify(name_of(updates))) &&
        GR_CHECK_OK(gr_checkpoint_read_progress(name_of(updates), &r->identity, &progress)) &&
        GR_CHECK_OK(gr_checkpoint_load(name_of(updates), r->setup, r->updater))) {
        GR_CHECK_INT(progress.updates, updates);
        const gr_params *params = gr_model_get_params(r->setup->model);
        const float *weights = gr_model_weights(r->setup->model, GR_PART_LANGUAGE);
        int64_t wrong = 0;
        for (int64_t i = 0; i < params->size[GR_PART_LANGUAGE]; i++) {
            wrong += weights[i] != (float)(mark * 1000 + i % 997);
        }
        const gr_owned *own = &r->updater->own;
        const gr_range part = r->updater->parts[GR_PART_LANGUAGE];
        for (gr_range piece = {part.begin, part.begin}; gr_owned_next(own, part, &piece);) {
            for (int64_t at = piece.begin; at < piece.end; at++) {
                const int64_t i = gr_owned_place(own, at);
                wrong += r->updater->first[i] != (float)(mark * 10 + at % 89);
                wrong += r->updater->second[i] != (float)(mark * 20 + at % 97);
            }
        }
        GR_CHECK_INT(wrong, 0);
    }
}

static void finish(run *r)
{
    while (gr_saver_busy(r->saver)) {
        usleep(1000);
        GR_CHECK_OK(gr_saver_poll(r->saver));
    }
    GR_CHECK_OK(gr_world_barrier(gr_test_world));
}

/// The next updates come while the threads write.
static void test_goes_on_while_it_writes(void)
{
    run r;
    if (GR_CHECK_OK(run_init(&r))) {
        for (int mark = 1; mark <= 3; mark++) {
            change(&r, mark);
            GR_CHECK_OK(save(&r, mark, false));
            GR_CHECK(gr_saver_busy(r.saver));
            for (int k = 0; k < 5; k++) { // never what was saved
                change(&r, 100 + k);
            }
            finish(&r);
            check_holds(&r, mark, mark);
            GR_CHECK_OK(gr_world_barrier(gr_test_world));
        }
        GR_CHECK(!gr_dir_exists(name_of(1)) && gr_dir_exists(name_of(2))); // keep: 2
    }
    run_fini(&r);
}

/// A save that is asked for while another is under way waits for it; one that waits has written when it returns.
static void test_one_after_another(void)
{
    run r;
    if (GR_CHECK_OK(run_init(&r))) {
        change(&r, 1);
        GR_CHECK_OK(save(&r, 1, false));
        change(&r, 2);
        GR_CHECK_OK(save(&r, 2, true));
        GR_CHECK(!gr_saver_busy(r.saver));
        check_holds(&r, 1, 1);
        check_holds(&r, 2, 2);
        GR_CHECK_OK(gr_world_barrier(gr_test_world));
    }
    run_fini(&r);
}

/// Rank 0 cannot write: all ranks say so, at the latest at the next call; the next save is whole and of no use to have links.
static void test_error_of_one_rank(void)
{
    run r;
    if (GR_CHECK_OK(run_init(&r))) {
        change(&r, 1);
        GR_CHECK_OK(save(&r, 1, true));
        change(&r, 2);
        if (gr_test_world->rank == 0) {
            GR_CHECK(rename("run/checkpoints", "run/aside") == 0);
            GR_CHECK_OK(gr_file_write("run/checkpoints", "", 0));
        }
        GR_CHECK_OK(gr_world_barrier(gr_test_world));
        gr_err err = save(&r, 2, false);
        err = err ? err : gr_saver_wait(r.saver);
        GR_CHECK(err != GR_OK);
        GR_CHECK(!gr_saver_busy(r.saver));
        GR_CHECK_OK(gr_world_barrier(gr_test_world));
        if (gr_test_world->rank == 0) {
            GR_CHECK(unlink("run/checkpoints") == 0);
            GR_CHECK(rename("run/aside", "run/checkpoints") == 0);
        }
        GR_CHECK_OK(gr_world_barrier(gr_test_world));
        GR_CHECK_OK(save(&r, 2, true));
        check_holds(&r, 1, 1);
        check_holds(&r, 2, 2);
        GR_CHECK_OK(gr_world_barrier(gr_test_world));
    }
    run_fini(&r);
}

/// The n-th request for memory fails, on the last rank only: for each of the first n, then for every ninth that a save makes.
static void test_memory_of_one_rank(void)
{
    const bool last = gr_test_world->rank == gr_test_world->size - 1;
    run r;
    if (!GR_CHECK_OK(run_init(&r))) {
        run_fini(&r);
        return;
    }
    change(&r, 1);
    GR_CHECK_OK(save(&r, 1, true));
    int64_t failed = 0, n = 0;
    for (bool fails = true; fails && n < 2000;) {
        n += n < 40 ? 1 : 9;
        change(&r, (int)n % 40 + 2);
        gr_mem_fail_at(last ? n : 0);
        gr_err err = save(&r, n + 1, false);
        err = err ? err : gr_saver_wait(r.saver);
        gr_mem_fail_at(0);
        GR_CHECK(!gr_saver_busy(r.saver));
        GR_CHECK_OK(gr_world_barrier(gr_test_world));
        fails = err != GR_OK;
        failed += fails;
        if (fails) {
            GR_CHECK_INT(err, GR_ERR_MEMORY);
            GR_CHECK_OK(gr_checkpoint_verify(name_of(1)));
        }
    }
    GR_CHECK(failed > 20);
    check_holds(&r, n + 1, (int)n % 40 + 2);
    GR_CHECK_OK(gr_world_barrier(gr_test_world));
    run_fini(&r);
}

static void test_one_after_another_in_stripes(void)
{
    gr_owned_set_blocks(1);
    test_one_after_another();
    gr_owned_set_blocks(GR_OWNED_BLOCKS);
}

static const gr_test tests[] = {
    {"goes_on_while_it_writes", test_goes_on_while_it_writes},
    {"one_after_another", test_one_after_another},
    {"one_after_another_in_stripes", test_one_after_another_in_stripes},
    {"error_of_one_rank", test_error_of_one_rank},
    {"memory_of_one_rank", test_memory_of_one_rank},
};
GR_MPI_TEST_MAIN("saver", tests)
