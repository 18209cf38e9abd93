/// The run around the stages. Read it from the bottom: gr_train opens, chooses the checkpoint, runs the stages.

#include "stages/trainer.h"

#include "mpi/watchdog.h"
#include "src/base/activity.h"
#include "src/base/digest.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "stages/checkpoint.h"
#include "stages/ledger.h"
#include "stages/metrics.h"
#include "stages/preflight.h"
#include "stages/recipe_bits.h"
#include "stages/run_lock.h"
#include "stages/run_plan.h"
#include "stages/stage_run.h"
#include "stages/stop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char recipe_name[] = "recipe.json";

static void announce_good(const gr_verdict_found *found, const char *path)
{
    gr_log_info("data: checked, %lld samples good (%s)", (long long)found->good, path);
    if (found->bad > 0) {
        gr_log_warn("data: bad_samples: drop leaves out %lld of %lld samples (%.1f %%)",
                    (long long)found->bad, (long long)(found->good + found->bad),
                    100.0 * (double)found->bad / (double)(found->good + found->bad));
    }
}

/// Says whether the data was checked; *copy is the verdict's path when it belongs into the run folder. Rank 0 only.
static gr_err look_up_check(const gr_trainer *t, char **copy)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_verdict_found found = {0};
    if (t->options->check) {
        GR_STRDUP(path, t->options->check);
    } else {
        GR_TRY(gr_preflight_path(t->recipe, &path));
    }
    GR_TRY(gr_preflight_find(t->setup, path, &found));
    if (found.verdict == GR_VERDICT_NONE && t->options->check) {
        GR_FAIL(GR_ERR_MISSING, "%s: no such verdict; make one with gradus data check", path);
    }
    switch (found.verdict) {
    case GR_VERDICT_NONE:
        gr_log_info("data: not checked before (no %s; gradus data check makes one)", path);
        break;
    case GR_VERDICT_OTHER:
        gr_log_info("data: not checked before (%s is about other data or settings%s%s)", path,
                    found.differs.size > 0 ? ": first difference " : "",
                    found.differs.size > 0 ? found.differs.data : "");
        break;
    case GR_VERDICT_BAD:
        gr_log_warn("data: %s says that some samples cannot be trained on", path);
        break;
    case GR_VERDICT_GOOD:
        announce_good(&found, path);
        break;
    }
    if (found.verdict == GR_VERDICT_GOOD || found.verdict == GR_VERDICT_BAD) {
        *copy = path;
        path = NULL;
    }
done:
    gr_str_fini(&found.differs);
    GR_FREE(path);
    return err;
}

/// RUN/check.json names the verdict that this run had; none is left of an earlier call.
static gr_err copy_check(const gr_trainer *t)
{
    gr_err err = GR_OK;
    char *path = NULL, *text = NULL;
    size_t size = 0;
    GR_TRY(gr_path_join(t->options->run, "check.json", &path));
    if (t->check) {
        GR_TRY(gr_file_read(t->check, 0, &text, &size));
        GR_TRY(gr_file_write(path, text, size));
    } else if (unlink(path) != 0 && errno != ENOENT) {
        GR_FAIL(GR_ERR_IO, "%s: cannot remove an old verdict: %s", path, strerror(errno));
    }
done:
    GR_FREE(path);
    GR_FREE(text);
    return err;
}

/// Rank 0 chooses the checkpoint to go on from; "" means none.
static gr_err choose_checkpoint(const gr_train_options *options, char **path)
{
    gr_err err = GR_OK;
    char *recipe = NULL, *folder = NULL;
    if (strcmp(options->resume, "auto") != 0 && strcmp(options->resume, "never") != 0) {
        GR_TRY(gr_checkpoint_verify(options->resume));
        GR_STRDUP(*path, options->resume);
        goto done;
    }
    GR_TRY(gr_path_join(options->run, recipe_name, &recipe));
    GR_TRY(gr_path_join(options->run, "checkpoints", &folder));
    if (strcmp(options->resume, "auto") == 0) {
        GR_TRY(gr_checkpoint_find(options->run, path));
    } else if (gr_file_exists(recipe) || gr_dir_exists(folder)) {
        GR_FAIL(GR_ERR_USAGE,
                "%s already holds a run (%s); give another --run, or --resume auto",
                options->run, gr_file_exists(recipe) ? recipe : folder);
    }
done:
    GR_FREE(recipe);
    GR_FREE(folder);
    return err;
}

/// The same choice on every rank: rank 0's. *path is NULL when the run starts anew. Collective.
static gr_err agree_on_checkpoint(const gr_trainer *t, char **path)
{
    gr_err err = GR_OK;
    char *chosen = NULL;
    if (gri_trainer_leads(t)) {
        err = choose_checkpoint(t->options, &chosen);
    }
    GR_TRY(gr_world_agree(t->world, err));
    GR_TRY(gr_world_broadcast_text(t->world, &chosen, 0));
    *path = chosen;
    chosen = NULL;
done:
    GR_FREE(chosen);
    return err;
}

/// Path of the recipe that lies in the checkpoint's run folder.
static gr_err recipe_of(const char *checkpoint, char **out)
{
    gr_err err = GR_OK;
    char *checkpoints = NULL, *run = NULL;
    GR_TRY(gr_path_dir(checkpoint, &checkpoints));
    GR_TRY(gr_path_dir(checkpoints, &run));
    GR_TRY(gr_path_join(run, recipe_name, out));
done:
    GR_FREE(checkpoints);
    GR_FREE(run);
    return err;
}

/// Adds to the message which key of the recipe differs from the one that the run began with, if it does.
static void name_difference(const gr_trainer *t, const char *checkpoint)
{
    char *path = NULL, *key = NULL, *message = NULL;
    gr_doc *then = NULL;
    gr_err err = GR_OK;
    GR_STRDUP(message, gr_err_message()); // what follows may set another
    GR_TRY(recipe_of(checkpoint, &path));
    GR_TRY(gr_doc_load(path, GR_ERR_DATA, &then));
    GR_TRY(gr_recipe_difference(t->recipe->doc, then, &key));
done:
    if (message) { // what could not be read says nothing more
        (void)gr_err_set(GR_ERR_RECIPE, __FILE__, __LINE__, __func__, "%s%s%s%s%s%s", message,
                         key ? " (first difference from " : "", key ? path : "",
                         key ? ": " : "", key ? key : "", key ? ")" : "");
    }
    gr_doc_destroy(&then);
    GR_FREE(key);
    GR_FREE(path);
    GR_FREE(message);
}

/// Says what changed of the keys that decide no bit. A recipe that is not there, or is one of another version, says nothing.
static void announce_changes(const gr_trainer *t, const char *checkpoint)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_recipe *then = NULL;
    gr_str text = {0};
    GR_TRY(recipe_of(checkpoint, &path));
    GR_TRY(gr_recipe_load(path, NULL, 0, &then));
    GR_TRY(gr_recipe_changes(then, t->recipe, &text));
    if (text.size > 0 && gri_trainer_leads(t)) {
        gr_log_info("the recipe changed since, in nothing that changes a bit: %s", text.data);
    }
done:
    if (err != GR_OK) {
        gr_err_clear();
    }
    gr_str_fini(&text);
    gr_recipe_destroy(&then);
    GR_FREE(path);
}

/// Takes up a run from its checkpoint: where it stood, and the parameters.
static gr_err take_up(gr_trainer *t, const char *checkpoint)
{
    gr_err err = GR_OK;
    err = gr_checkpoint_read_progress(checkpoint, &t->identity, &t->progress);
    if (err == GR_ERR_RECIPE) {
        name_difference(t, checkpoint);
    }
    GR_TRY(err);
    GR_TRY(gr_checkpoint_load(checkpoint, t->setup, NULL));
    gr_log_info("going on from %s: %lld of %lld steps done", checkpoint,
                (long long)t->progress.updates, (long long)t->planned_updates);
    announce_changes(t, checkpoint);
done:
    return err;
}

/// The run folder, for this job alone. Collective; rank 0 holds the lock.
static gr_err enter_folder(const gr_trainer *t, int *lock)
{
    gr_err err = GR_OK;
    if (gri_trainer_leads(t)) {
        err = gr_dir_make(t->options->run);
        err = err ? err : gr_run_lock_take(t->options->run, lock);
    }
    return gr_world_agree(t->world, err);
}

/// digests.jsonl up to where the run stands; it begins with what the run is made of. Rank 0 only.
static gr_err prepare_digests(const gr_trainer *t)
{
    gr_err err = GR_OK;
    gr_str head = {0};
    char *path = NULL, *text = NULL;
    size_t size = 0;
    GR_TRY(gr_lines_truncate(t->options->run, gri_digests_name, t->progress.updates,
                             t->progress.step == 0));
    GR_TRY(gr_path_join(t->options->run, gri_digests_name, &path));
    if (gr_file_exists(path)) {
        GR_TRY(gr_file_read(path, 0, &text, &size));
    }
    if (size == 0 && t->recipe->digests_every > 0) {
        GR_TRY(gri_step_digest_head(t->setup, &t->identity, &head));
        GR_TRY(gri_step_digest_append(t->options->run, &head));
    }
done:
    gr_str_fini(&head);
    GR_FREE(path);
    GR_FREE(text);
    return err;
}

/// Resolved recipe and metrics, before the first step. Rank 0 only.
static gr_err prepare_folder(const gr_trainer *t)
{
    gr_err err = GR_OK;
    char *json = NULL;
    char *path = NULL;
    GR_TRY(gr_doc_to_json(t->recipe->doc, &json));
    GR_TRY(gr_path_join(t->options->run, recipe_name, &path));
    GR_TRY(gr_file_write(path, json, strlen(json)));
    GR_TRY(copy_check(t));
    GR_TRY(gr_metrics_truncate(t->options->run, t->progress.updates, t->progress.step == 0));
    if (t->progress.updates == 0) {
        GR_TRY(gr_metrics_add_start(t->options->run, gr_precision_name(t->recipe->precision),
                                    t->options->threads, gr_blas_kernel()));
    }
    GR_TRY(gr_lines_truncate(t->options->run, gr_ledger_name, t->progress.updates,
                             t->progress.step == 0));
    GR_TRY(prepare_digests(t));
done:
    GR_FREE(path);
    GR_FREE(json);
    return err;
}

/// One line per part: the digest of its parameters, on standard output.
static void print_digests(const gr_trainer *t)
{
    const gr_params *params = gr_model_get_params(t->setup->model);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        const float *weights = gr_model_weights(t->setup->model, (gr_part)p);
        if (weights) {
            char text[GR_DIGEST_TEXT];
            gr_digest_format(gr_digest_of(weights, (size_t)params->size[p] * sizeof *weights),
                             text);
            printf("%-10s %s\n", gr_part_name((gr_part)p), text);
        }
    }
    printf("%-10s %s/final\n", "model", t->options->run);
}

static gr_err check_done(const gr_trainer *t)
{
    gr_err err = GR_OK;
    if (t->progress.updates != t->planned_updates) {
        GR_FAIL(GR_ERR_FAILED, "the run ended after %lld steps, but %lld were planned",
                (long long)t->progress.updates, (long long)t->planned_updates);
    }
done:
    return err;
}

/// Asked to stop, with stages to come.
static gr_err check_stopped(const gr_trainer *t)
{
    gr_err err = GR_OK;
    if (t->stopping && t->progress.stage < t->recipe->stage_count) {
        GR_FAIL(GR_ERR_STOPPED, "stopped before stage %s",
                t->recipe->stages[t->progress.stage].name);
    }
done:
    return err;
}

static gr_err finish(gr_trainer *t)
{
    gr_err err = GR_OK;
    const gr_recipe_stage *last = &t->recipe->stages[t->recipe->stage_count - 1];
    gr_activity_phase(GR_PHASE_CHECKPOINT);
    gr_activity_place("the trained model");
    GR_TRY(gr_world_alike(t->world, check_done(t)));
    GR_TRY(gr_world_alike(t->world, gr_setup_enter_stage(t->setup, last))); // if none ran now
    int64_t there = 0;
    GR_TRY(gr_world_max(t->world,
                        gri_trainer_leads(t) && t->updates_here == 0 &&
                            gr_checkpoint_has_final(t->options->run),
                        &there));
    if (!there) {
        GR_TRY(gr_saver_save_final(t->saver));
    }
    if (gri_trainer_leads(t)) {
        gr_log_info("complete: %lld steps, %lld samples, %lld tokens",
                    (long long)t->progress.updates, (long long)t->progress.samples,
                    (long long)t->progress.tokens);
        print_digests(t);
    }
done:
    return err;
}

static gr_err run_stages(gr_trainer *t, const char *checkpoint)
{
    gr_err err = GR_OK;
    if (gri_trainer_leads(t)) {
        err = prepare_folder(t);
    }
    GR_TRY(gr_world_agree(t->world, err));
    while (t->progress.stage < t->recipe->stage_count) {
        GR_TRY(gri_stage_run(t, checkpoint));
        checkpoint = NULL;
        GR_TRY(gr_world_alike(t->world, check_stopped(t)));
    }
    GR_TRY(finish(t));
done:
    return err;
}

static gr_err check_ranks(const gr_world *world, const gr_recipe *recipe)
{
    gr_err err = GR_OK;
    if (world->size > recipe->lanes) {
        GR_FAIL(GR_ERR_RECIPE, "%d ranks, but the recipe has %lld lanes: start 1 to %lld ranks",
                world->size, (long long)recipe->lanes, (long long)recipe->lanes);
    }
done:
    return err;
}

static gr_err open_saver(gr_trainer *t, const char *checkpoint)
{
    const gr_saver_options options = {.run = t->options->run,
                                      .keep = t->recipe->checkpoint_keep,
                                      .keep_every = t->recipe->checkpoint_keep_every,
                                      .background = t->recipe->checkpoint_background,
                                      .threads = t->options->threads};
    return gr_saver_create(t->world, t->setup, &t->identity, &options, checkpoint, &t->saver);
}

gr_err gr_train(const gr_world *world, const gr_recipe *recipe, const gr_train_options *options)
{
    gr_err err = GR_OK;
    char *checkpoint = NULL;
    int lock = -1;
    gr_trainer t = {.world = world, .recipe = recipe, .options = options};
    gr_stop_install();
    GR_TRY(gr_watchdog_start(world, (double)options->watchdog));
    GR_TRY(gr_world_agree(world, check_ranks(world, recipe)));
    GR_TRY(gr_world_agree(world, gr_setup_create(recipe, options->threads, &t.setup)));
    GR_TRY(gr_world_agree(world, gr_identity_take(t.setup, &t.identity)));
    GR_TRY(gr_identity_agree(world, &t.identity));
    gri_run_announce(&t);
    GR_TRY(gr_world_agree(world, world->rank == 0 ? look_up_check(&t, &t.check) : GR_OK));
    GR_TRY(gr_world_agree(world, gri_run_plan(&t)));
    if (options->dry_run) {
        goto done;
    }
    GR_TRY(enter_folder(&t, &lock));
    GR_TRY(agree_on_checkpoint(&t, &checkpoint));
    if (checkpoint) {
        GR_TRY(gr_world_agree(world, take_up(&t, checkpoint)));
    }
    GR_TRY(gr_world_agree(world, open_saver(&t, checkpoint)));
    GR_TRY(run_stages(&t, checkpoint));
done:
    if (err != GR_OK && !gr_world_knows_error(world)) {
        return err; // other ranks wait: the job has to end now, not when the writer, who uses all this, is done with the disk
    }
    gr_watchdog_stop(0);
    gr_saver_destroy(&t.saver);
    GR_FREE(checkpoint);
    GR_FREE(t.check);
    gr_run_lock_release(&lock);
    gr_setup_destroy(&t.setup);
    return err;
}
