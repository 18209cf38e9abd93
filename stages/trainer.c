/// The run around the stages. Read it from the bottom: gr_train opens, chooses the checkpoint, runs the stages.

#include "stages/trainer.h"

#include "mpi/watchdog.h"
#include "src/base/activity.h"
#include "src/base/digest.h"
#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "stages/capsule.h"
#include "stages/checkpoint.h"
#include "stages/ledger.h"
#include "stages/metrics.h"
#include "stages/peak.h"
#include "stages/preflight.h"
#include "stages/resume.h"
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
    gr_log_info("data: checked, %lld sample%s good (%s)", (long long)found->good,
                GR_PLURAL(found->good), path);
    if (found->bad > 0) {
        gr_log_warn("data: bad_samples: drop leaves out %lld of %lld sample%s (%.1f %%)",
                    (long long)found->bad, (long long)(found->good + found->bad),
                    GR_PLURAL(found->good + found->bad),
                    100.0 * (double)found->bad / (double)(found->good + found->bad));
    }
}

/// What was checked and found bad is not begun: a run of days would end at the first such sample.
static gr_err refuse_bad(const gr_trainer *t, const gr_verdict_found *found, const char *path)
{
    gr_err err = GR_OK;
    const int64_t bad = found->stopping > 0 ? found->stopping : found->bad;
    GR_FAIL(
        GR_ERR_DATA,
        "%s: gradus data check found %lld sample%s that cannot be trained on; the first: %s. "
        "Correct the data sets, raise the limit that is named, or set bad_samples to drop "
        "where that helps, then check again; to train all the same up to the first of them, "
        "%s",
        path, (long long)bad, GR_PLURAL(bad),
        found->reason.size > 0 ? found->reason.data : "of a whole shard",
        t->options->check ? "leave --check out" : "remove that file");
done:
    return err;
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
        GR_TRY(refuse_bad(t, &found, path));
        break;
    case GR_VERDICT_GOOD:
        announce_good(&found, path);
        break;
    }
    if (found.verdict == GR_VERDICT_GOOD) {
        *copy = path;
        path = NULL;
    }
done:
    gr_verdict_found_fini(&found);
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

/// Takes up the run where it stood, if it did. Collective.
static gr_err take_up(gr_trainer *t, gr_resume *from)
{
    gr_err err = GR_OK;
    *from = (gr_resume){
        .world = t->world, .run = t->options->run, .setup = t->setup, .identity = &t->identity};
    GR_TRY(gr_resume_run(from, t->options->resume));
    if (from->path) {
        t->progress = from->progress;
        gr_log_info("going on from %s: %lld of %lld step%s done", from->path,
                    (long long)t->progress.updates, (long long)t->planned_updates,
                    GR_PLURAL(t->planned_updates));
        gr_resume_announce_changes(from);
    }
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
static gr_err prepare_folder(gr_trainer *t)
{
    gr_err err = GR_OK;
    char *json = NULL;
    char *path = NULL;
    GR_TRY(gr_dir_remove_asides(t->options->run));
    GR_TRY(gr_doc_to_json(t->recipe->doc, &json));
    GR_TRY(gr_path_join(t->options->run, recipe_name, &path));
    GR_TRY(gr_file_write(path, json, strlen(json)));
    GR_TRY(copy_check(t));
    GR_TRY(gr_metrics_truncate(t->options->run, t->progress.updates, t->progress.step == 0));
    if (t->progress.updates == 0) {
        GR_TRY(gr_metrics_add_start(t->options->run, gr_precision_name(t->recipe->precision),
                                    t->options->threads, gr_blas_kernel()));
    }
    GR_TRY(gr_events_create(t->options->run, &t->events));
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
    const gr_progress *p = &t->progress;
    if (p->updates + p->spared != t->planned_updates) {
        GR_FAIL(GR_ERR_FAILED,
                "the run ended after %lld step%s, but %lld were planned and %lld spared",
                (long long)p->updates, GR_PLURAL(p->updates), (long long)t->planned_updates,
                (long long)p->spared);
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
    gr_failpoint(GR_AT_RUN_FINAL_SAVED);
    if (gri_trainer_leads(t)) {
        const gr_progress *p = &t->progress;
        gr_log_info("complete: %lld step%s, %lld sample%s, %lld token%s", (long long)p->updates,
                    GR_PLURAL(p->updates), (long long)p->samples, GR_PLURAL(p->samples),
                    (long long)p->tokens, GR_PLURAL(p->tokens));
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
    const gr_capsule capsule = {.run = t->options->run,
                                .setup = t->setup,
                                .identity = &t->identity,
                                .update = t->progress.updates,
                                .peak = t->peak};
    GR_TRY(gr_capsule_add(t->world, &capsule));
    gr_failpoint(GR_AT_RUN_PREPARED);
    while (t->progress.stage < t->recipe->stage_count) {
        GR_TRY(gri_stage_run(t, checkpoint));
        checkpoint = NULL;
        GR_TRY(gr_world_alike(t->world, check_stopped(t)));
    }
    gr_failpoint(GR_AT_RUN_STAGES_DONE);
    GR_TRY(finish(t));
done:
    return err;
}

/// What a run may have left that was killed before its recipe was written.
static bool is_beginning(const char *name)
{
    return strcmp(name, "lock") == 0 || gr_dir_is_aside(name);
}

/// The run folder is new, empty or a run's: nothing goes among the files of others.
static gr_err check_folder(const char *run)
{
    gr_err err = GR_OK;
    char *recipe = NULL, **names = NULL;
    int64_t count = 0;
    if (!run || !gr_dir_exists(run)) {
        if (run && gr_file_exists(run)) {
            GR_FAIL(GR_ERR_IO, "--run %s: is a file, expected a new folder or that of a run",
                    run);
        }
        goto done;
    }
    GR_TRY(gr_path_join(run, recipe_name, &recipe));
    GR_TRY(gr_dir_list(run, &names, &count));
    for (int64_t i = 0; i < count && !gr_file_exists(recipe); i++) {
        if (!is_beginning(names[i])) {
            GR_FAIL(GR_ERR_USAGE,
                    "--run %s: is no run of gradus (it holds \"%s\", but no %s): give a new or "
                    "empty folder, or that of a run",
                    run, names[i], recipe_name);
        }
    }
done:
    GR_FREE(recipe);
    gr_dir_list_free(&names, count);
    return err;
}

/// What can be wrong with the call itself, before anything is loaded.
static gr_err check_call(const gr_world *world, const gr_recipe *recipe,
                         const gr_train_options *options)
{
    gr_err err = GR_OK;
    if (world->size > recipe->lanes) {
        GR_FAIL(GR_ERR_RECIPE,
                "%d ranks, but the recipe has %lld lane%s: start at most as many", world->size,
                (long long)recipe->lanes, GR_PLURAL(recipe->lanes));
    }
    GR_TRY(gr_resume_check(options->resume));
    GR_TRY(world->rank == 0 ? check_folder(options->run) : GR_OK); // it may be rank 0's alone
done:
    return err;
}

static gr_err open_saver(gr_trainer *t, const char *checkpoint)
{
    bool stays = gr_checkpoint_stays(t->progress.updates, t->recipe->checkpoint_keep_every);
    const gr_saver_options options = {.run = t->options->run,
                                      .keep = t->recipe->checkpoint_keep,
                                      .keep_every = t->recipe->checkpoint_keep_every,
                                      .background = t->recipe->checkpoint_background,
                                      .threads = t->options->threads};
    return gr_saver_create(t->world, t->setup, &t->identity, &options,
                           stays ? NULL : checkpoint, &t->saver);
}

/// A dry run looks at what is here, on every rank alike.
static gr_err open_setup(gr_trainer *t)
{
    gr_err err = GR_OK;
    int64_t lacks = 0;
    // A recipe that assumes nothing is of somebody who means to have it all here: the first that lacks is named with its place.
    const bool look =
        t->options->dry_run && t->recipe->assumed_count > 0 && gr_setup_lacks(t->recipe);
    GR_TRY(gr_world_max(t->world, look, &lacks));
    GR_TRY(gr_world_agree(
        t->world, lacks ? gr_setup_create_planned(t->recipe, t->options->threads, &t->setup)
                        : gr_setup_create(t->recipe, t->options->threads, &t->setup)));
done:
    return err;
}

/// All of a dry run in which something is not here.
static gr_err look_at_rest(gr_trainer *t)
{
    gr_err err = GR_OK;
    GR_TRY(gr_world_agree(t->world, gri_run_plan(t)));
    GR_TRY(gr_world_agree(t->world, gri_run_missing(t)));
done:
    return err;
}

gr_err gr_train(const gr_world *world, const gr_recipe *recipe, const gr_train_options *options)
{
    gr_err err = GR_OK;
    gr_resume from = {0};
    int lock = -1;
    gr_trainer t = {.world = world, .recipe = recipe, .options = options};
    gr_stop_install();
    GR_TRY(gr_world_agree(world, gr_failpoint_arm(world->rank, world->size)));
    GR_TRY(gr_watchdog_start(world, (double)options->watchdog));
    GR_TRY(gr_world_agree(world, check_call(world, recipe, options)));
    GR_TRY(open_setup(&t));
    if (t.setup->exec->counts) {
        GR_TRY(look_at_rest(&t));
        goto done;
    }
    GR_TRY(gr_world_agree(world, gr_identity_take(t.setup, &t.identity)));
    GR_TRY(gr_identity_agree(world, &t.identity));
    gr_failpoint(GR_AT_RUN_OPENED);
    gri_run_announce(&t);
    GR_TRY(gr_world_agree(world, world->rank == 0 ? look_up_check(&t, &t.check) : GR_OK));
    GR_TRY(gr_world_agree(world, gri_run_plan(&t)));
    if (options->dry_run) {
        goto done;
    }
    GR_TRY(enter_folder(&t, &lock));
    gr_failpoint(GR_AT_RUN_LOCKED);
    GR_TRY(take_up(&t, &from));
    gr_failpoint(GR_AT_RUN_TAKEN_UP);
    GR_TRY(gr_peak_measure(world, t.setup->exec, &t.peak));
    GR_TRY(gr_world_agree(world, open_saver(&t, from.path)));
    GR_TRY(run_stages(&t, from.path));
done:
    if (err != GR_OK && !gr_world_knows_error(world)) {
        return err; // other ranks wait: the job has to end now, not when the writer, who uses all this, is done with the disk
    }
    gr_watchdog_stop(0);
    gr_saver_destroy(&t.saver);
    gr_events_destroy(&t.events);
    gr_resume_fini(&from);
    GR_FREE(t.check);
    gr_run_lock_release(&lock);
    gr_setup_destroy(&t.setup);
    return err;
}
