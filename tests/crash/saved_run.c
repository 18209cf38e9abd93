#include "tests/crash/saved_run.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/mpi/mpi_check.h"
#include "tests/mpi/small_run.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char recipe_text[] =
    "seed: 5\nlanes: 4\nmodel: {vision: m.yaml, connector: m.yaml, language: m.yaml}\n"
    "tokenizer: tokenizer\nstages:\n"
    "  - {name: only, trains: [connector, language], data: [{path: data}], global_batch: 8,\n"
    "     sequence_length: 150, steps: 9, learning_rate: 1.0e-3}\n";

static const gr_part_set trained = 1u << GR_PART_CONNECTOR | 1u << GR_PART_LANGUAGE;

static gr_digest frozen_digest(const saved_run *run)
{
    const gr_params *params = gr_model_get_params(run->setup->model);
    return gr_digest_of(gr_model_weights(run->setup->model, GR_PART_VISION),
                        (size_t)params->size[GR_PART_VISION] * sizeof(float));
}

gr_err saved_run_open(saved_run *run, int64_t keep)
{
    gr_err err = GR_OK;
    const gr_saver_options options = {
        .run = "run", .keep = keep, .background = true, .threads = 1};
    *run = (saved_run){0};
    GR_TRY(gr_small_run(recipe_text));
    GR_TRY(gr_recipe_load("r.yaml", NULL, 0, &run->recipe));
    GR_TRY(gr_setup_create(run->recipe, 1, &run->setup));
    GR_TRY(gr_setup_enter_stage(run->setup, &run->recipe->stages[0]));
    GR_TRY(gr_identity_take(run->setup, &run->identity));
    GR_TRY(gr_updater_create(gr_test_world, gr_model_get_params(run->setup->model), trained,
                             &run->updater));
    GR_TRY(gr_saver_create(gr_test_world, run->setup, &run->identity, &options, NULL,
                           &run->saver));
    GR_TRY(gr_saver_reserve(run->saver, run->updater));
    run->frozen = frozen_digest(run);
done:
    return err;
}

void saved_run_close(saved_run *run)
{
    gr_saver_destroy(&run->saver);
    gr_updater_destroy(&run->updater);
    gr_setup_destroy(&run->setup);
    gr_recipe_destroy(&run->recipe);
}

/// What lies between two parts is not saved.
static int64_t each_moment(gr_updater *u, int mark, int64_t (*each)(float *, float))
{
    int64_t sum = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        const gr_range part = u->parts[p];
        for (gr_range piece = {part.begin, part.begin}; gr_owned_next(&u->own, part, &piece);) {
            for (int64_t at = piece.begin; at < piece.end; at++) {
                const int64_t i = gr_owned_place(&u->own, at);
                sum += each(&u->first[i], (float)(mark * 100 + at % 89));
                sum += each(&u->second[i], (float)(mark * 200 + at % 97));
            }
        }
    }
    return sum;
}

/// Calls each(value, what the mark wants there) for all that is in the state on this rank.
static int64_t each_number(saved_run *run, int mark, int64_t (*each)(float *, float))
{
    int64_t sum = 0;
    const gr_params *params = gr_model_get_params(run->setup->model);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        float *weights =
            trained >> p & 1 ? gr_model_edit_weights(run->setup->model, (gr_part)p) : NULL;
        for (int64_t i = 0; weights && i < params->size[p]; i++) {
            sum += each(&weights[i], (float)(mark * 1000 + i % 997));
        }
    }
    return sum + each_moment(run->updater, mark, each);
}

static int64_t set_one(float *value, float want)
{
    *value = want;
    return 0;
}

static int64_t differs(float *value, float want)
{
    return *value != want;
}

void saved_run_set(saved_run *run, int mark)
{
    (void)each_number(run, mark, set_one);
    gr_saver_changed(run->saver, trained);
    run->updater->updates = mark;
}

gr_err saved_run_save(saved_run *run, int64_t updates, bool background)
{
    gr_err err = GR_OK;
    const gr_progress progress = {.step = updates,
                                  .updates = updates,
                                  .samples = 8 * run->updater->updates,
                                  .tokens = 9 * run->updater->updates};
    GR_TRY(gr_saver_save(run->saver, run->updater, &progress, !background));
    GR_TRY(gr_saver_wait(run->saver));
done:
    return err;
}

/// The mark of what was loaded; -1: it is a mixture. The updates of the optimizer say which it should be.
static int64_t recognise(saved_run *run, const gr_progress *progress)
{
    const int64_t mark = run->updater->updates;
    bool whole = mark > 0 && progress->samples == 8 * mark && progress->tokens == 9 * mark &&
                 gr_digest_equal(frozen_digest(run), run->frozen) &&
                 each_number(run, (int)mark, differs) == 0;
    return whole ? mark : -1;
}

/// The same on all ranks, or -1.
static gr_err agree_on_mark(int64_t mine, int *mark)
{
    gr_err err = GR_OK;
    int64_t most = 0, least = 0;
    GR_TRY(gr_world_max(gr_test_world, mine, &most));
    GR_TRY(gr_world_max(gr_test_world, -mine, &least));
    *mark = most == -least ? (int)most : -1;
done:
    return err;
}

gr_err saved_run_resume(saved_run *run, const char *dir, int *mark, char **path)
{
    gr_err err = GR_OK;
    int64_t mine = 0;
    gr_resume from = {
        .world = gr_test_world, .run = dir, .setup = run->setup, .identity = &run->identity};
    saved_run_set(run, 77); // nothing is right because it was not touched
    GR_TRY(gr_resume_run(&from, "auto"));
    if (from.path) {
        GR_TRY(gr_world_agree(gr_test_world,
                              gr_checkpoint_load(from.path, run->setup, run->updater)));
        mine = recognise(run, &from.progress);
    }
    GR_TRY(agree_on_mark(mine, mark));
    if (path) {
        *path = from.path;
        from.path = NULL;
    }
done:
    gr_resume_fini(&from);
    return err;
}

static const char *said_name(void)
{
    static char name[32];
    snprintf(name, sizeof name, "said.%d", gr_test_world->rank);
    return name;
}

void saved_run_quiet(bool quiet)
{
    static int kept = -1;
    fflush(stderr);
    if (quiet && kept < 0) {
        kept = dup(STDERR_FILENO);
        int file = open(said_name(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        (void)dup2(file, STDERR_FILENO);
        close(file);
    } else if (!quiet && kept >= 0) {
        (void)dup2(kept, STDERR_FILENO);
        close(kept);
        kept = -1;
    }
}

bool saved_run_said(const char *part)
{
    char *text = NULL;
    size_t size = 0;
    bool found =
        GR_CHECK_OK(gr_file_read(said_name(), 0, &text, &size)) && strstr(text, part) != NULL;
    GR_FREE(text);
    return found;
}
