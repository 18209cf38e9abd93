/// Read it from the bottom: gr_saver_save starts a job, advance takes it from phase to phase.

#include "stages/saver.h"

#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/formats/hf.h"
#include "stages/checkpoint.h"
#include "stages/share.h"
#include "stages/share_state.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE = 4096 };

typedef enum phase {
    IDLE,
    WRITING,   ///< each rank its shares
    COMMITTING ///< rank 0 the manifest and the rename
} phase;

/// One save. A thread may use it while it is under way.
typedef struct job {
    char *path, *temporary;
    bool final;           ///< RUN/final: no trainer's state
    gr_part_set linked;   ///< parts that are links to the last checkpoint's files
    gr_progress progress; ///< at the time of the save
    int64_t updates;      ///< of the optimizer
    gri_share share;
    gr_err err; ///< of the phase, with its message
    char message[MESSAGE];
    atomic_bool done;
    bool threaded; ///< `thread` has to be joined
    pthread_t thread;
} job;

struct gr_saver {
    const gr_world *world;
    const gr_setup *setup;
    const gr_identity *identity;
    gr_saver_options options;
    char *last; ///< newest complete checkpoint that this run's weights were in; NULL: none
    gr_part_set changed;               ///< since then
    gri_dir_file parts[GR_PART_COUNT]; ///< rank 0: the parts' files as `last` has them
    bool told;                         ///< that links do not work here
    float *room;          ///< for m, v and weights of the updater's range; NULL: none
    gr_updater_copy copy; ///< its thirds
    bool copied;          ///< the update has filled them
    phase phase;
    job job;
};

static bool leads(const gr_saver *s)
{
    return s->world->rank == 0;
}

static gr_part_set model_parts(const gr_saver *s)
{
    return gr_model_get_config(s->setup->model)->parts;
}

/// What decides whether a stage is over before its planned steps.
static void put_end(gr_json *j, const gr_progress *progress)
{
    gr_json_int(j, "spared", progress->spared);
    if (progress->end.measured > 0) {
        gr_json_map_begin(j, "held_out");
        gr_json_real(j, "best", progress->end.best);
        gr_json_int(j, "measured", progress->end.measured);
        gr_json_int(j, "since", progress->end.since);
        gr_json_map_end(j);
    }
}

/// Where the stage's search for its learning rate stands, if it searches.
static void put_search(gr_json *j, const gr_adalrs_state *s)
{
    if (s->losses == 0) {
        return;
    }
    gr_json_map_begin(j, "adalrs");
    gr_json_real(j, "scale", s->scale);
    gr_json_int(j, "decisions", s->decisions);
    gr_json_int(j, "rising", s->rising);
    gr_json_bool(j, "trying", s->trying);
    gr_json_real(j, "velocity", s->velocity);
    gr_json_real(j, "error", s->error);
    gr_json_real(j, "highest", s->highest);
    gr_json_int(j, "losses", s->losses);
    gr_json_int(j, "seen", s->seen);
    gr_json_real(j, "first", s->first);
    gr_json_real(j, "sum", s->sum);
    gr_json_real(j, "moment", s->moment);
    gr_json_real(j, "squares", s->squares);
    gr_json_map_end(j);
}

static gr_err write_state(const gr_saver *s)
{
    gr_err err = GR_OK;
    const gr_progress *progress = &s->job.progress;
    gr_json j = {.indent = 1};
    char *path = NULL;
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "schema", GR_CHECKPOINT_SCHEMA);
    gr_identity_write(s->identity, &j);
    gr_json_int(&j, "stage", progress->stage);
    gr_json_int(&j, "step", progress->step);
    gr_json_int(&j, "updates", progress->updates);
    gr_json_int(&j, "samples", progress->samples);
    gr_json_int(&j, "tokens", progress->tokens);
    gr_json_int(&j, "skipped_in_a_row", progress->skipped);
    gr_json_int(&j, "optimizer_updates", s->job.updates);
    put_end(&j, progress);
    put_search(&j, &progress->adalrs);
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_path_join(s->job.temporary, "gradus/state.json", &path));
    GR_TRY(gr_file_write(path, j.text.data, j.text.size));
done:
    GR_FREE(path);
    gr_json_fini(&j);
    return err;
}

/// This rank's part of the writing; rank 0 also writes what is small.
static gr_err write_share(gr_saver *s)
{
    gr_err err = GR_OK;
    job *j = &s->job;
    GR_TRY(gri_share_write(&j->share, j->temporary));
    if (!leads(s)) {
        goto done;
    }
    GR_TRY(gr_hf_save_description(j->temporary, s->setup->model));
    if (s->setup->tokenizer) {
        GR_TRY(gr_setup_save_tokenizer(s->setup, j->temporary));
    }
    gr_failpoint(GR_AT_SAVE_DESCRIBED);
    if (!j->final) {
        GR_TRY(write_state(s));
    }
done:
    gr_failpoint(GR_AT_SAVE_WRITTEN);
    return err;
}

/// The large files' entries of the manifest, linked ones included.
static gr_err describe(gr_saver *s, gri_dir_file *out, int *count)
{
    gr_err err = GR_OK;
    const gri_share *share = &s->job.share;
    int n = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (s->job.linked & (1u << p)) {
            out[n++] = s->parts[p];
        }
    }
    for (int i = 0; i < share->file_count; i++) {
        GR_TRY(gri_share_describe(share, i, &out[n++]));
    }
    *count = n;
done:
    return err;
}

/// Whether later checkpoints link to the one being written: not to the final model, nor to one that stays for good, which has its
/// files to itself.
static bool is_linked_to(const gr_saver *s)
{
    return !s->job.final &&
           !gr_checkpoint_stays(s->job.progress.updates, s->options.keep_every);
}

/// Remembers the parts' files of the checkpoint that is complete now.
static void remember(gr_saver *s, const gri_dir_file *files, int count)
{
    for (int p = 0; p < GR_PART_COUNT; p++) {
        for (int i = 0; i < count; i++) {
            if (strcmp(files[i].name, gr_hf_part_file((gr_part)p)) == 0) {
                s->parts[p] = files[i];
            }
        }
    }
}

/// Rank 0 makes the folder whole and removes old ones.
static gr_err commit(gr_saver *s)
{
    gr_err err = GR_OK;
    gri_dir_file files[GRI_SHARED_FILES];
    int count = 0;
    const gr_saver_options *o = &s->options;
    if (!leads(s)) {
        goto done;
    }
    GR_TRY(describe(s, files, &count));
    GR_TRY(gri_checkpoint_dir_commit(s->job.temporary, s->job.path, files, count));
    if (is_linked_to(s)) {
        remember(s, files, count);
    }
    if (!s->job.final && gr_checkpoint_remove_old(o->run, s->job.progress.updates, o->keep,
                                                  o->keep_every) != GR_OK) {
        // The new one is complete: no reason to stop.
        gr_log_warn("an old checkpoint stays: %s", gr_err_message());
        gr_err_clear();
    }
    gr_failpoint(GR_AT_SAVE_OLD_REMOVED);
done:
    return err;
}

/// One phase on this rank, in a thread or not; its error is kept with the message, which is per thread.
static void *work(void *argument)
{
    gr_saver *s = argument;
    job *j = &s->job;
    j->err = s->phase == WRITING ? write_share(s) : commit(s);
    if (j->err != GR_OK) {
        gr_err_context("cannot save checkpoint %s", j->path);
        snprintf(j->message, sizeof j->message, "%s", gr_err_message());
    }
    atomic_store(&j->done, true);
    return NULL;
}

/// Runs the phase, in a thread if `background`. Signals stay with the main thread.
static void start(gr_saver *s, phase next, bool background)
{
    job *j = &s->job;
    sigset_t all, before;
    s->phase = next;
    atomic_store(&j->done, false);
    if (!background) {
        (void)work(s);
        return;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = pthread_create(&j->thread, NULL, work, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    j->threaded = status == 0;
    if (!j->threaded) { // a limit on threads: the step loop waits, nothing is lost
        (void)work(s);
    }
}

static void join(gr_saver *s)
{
    if (s->job.threaded) {
        pthread_join(s->job.thread, NULL);
        s->job.threaded = false;
    }
}

/// Ends this rank's phase; its error becomes this thread's.
static gr_err finish_phase(gr_saver *s)
{
    gr_err err = GR_OK;
    join(s);
    if (s->job.err != GR_OK) {
        GR_FAIL(s->job.err, "%s", s->job.message);
    }
done:
    return err;
}

static void job_fini(gr_saver *s)
{
    job *j = &s->job;
    gri_share_fini(&j->share);
    GR_FREE(j->path);
    GR_FREE(j->temporary);
    *j = (job){.err = GR_OK};
    s->phase = IDLE;
}

/// The save came to nothing: what lies there is not known, so nothing is linked to it.
static void abandon(gr_saver *s)
{
    join(s);
    s->changed = model_parts(s);
    job_fini(s);
}

/// The checkpoint is complete: it is the one that later ones link to.
static void complete(gr_saver *s)
{
    if (is_linked_to(s)) {
        GR_FREE(s->last);
        s->last = s->job.path;
        s->job.path = NULL;
    }
    job_fini(s);
}

/// Ends the phase on all ranks, waiting for it, and begins the next. Collective.
static gr_err advance(gr_saver *s, bool background)
{
    gr_err err = GR_OK;
    GR_TRY(gr_world_agree(s->world, finish_phase(s)));
    if (s->phase == COMMITTING) {
        complete(s);
        gr_failpoint(GR_AT_SAVE_COMPLETE);
        goto done;
    }
    GR_TRY(gri_share_gather(&s->job.share));
    gr_failpoint(GR_AT_SAVE_GATHERED);
    start(s, COMMITTING, background && leads(s));
done:
    if (err != GR_OK) {
        abandon(s);
    }
    return err;
}

bool gr_saver_busy(const gr_saver *saver)
{
    return saver->phase != IDLE;
}

gr_err gr_saver_poll(gr_saver *s)
{
    gr_err err = GR_OK;
    int64_t busy = 0;
    if (s->phase == IDLE) {
        goto done;
    }
    GR_TRY(gr_world_max(s->world, !atomic_load(&s->job.done), &busy));
    if (!busy) {
        GR_TRY(advance(s, true));
    }
done:
    return err;
}

gr_err gr_saver_wait(gr_saver *s)
{
    gr_err err = GR_OK;
    while (s->phase != IDLE) {
        GR_TRY(advance(s, false));
    }
done:
    return err;
}

/// The files that are written, and where their data are: in the copy if `copied`.
static gr_err plan_files(gr_saver *s, const gr_updater *u, bool copied)
{
    gr_err err = GR_OK;
    gr_model *model = s->setup->model;
    gri_share *share = &s->job.share;
    const gr_updater_copy *copy = copied ? &s->copy : NULL;
    *share = (gri_share){.world = s->world};
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (model_parts(s) & ~s->job.linked & (1u << p)) {
            GR_TRY(gri_share_add_part(share, model, (gr_part)p, u, copy));
        }
    }
    if (u) {
        GR_TRY(gri_share_add_moments(share, gr_model_get_params(model), u, copy));
    }
    GR_TRY(gri_share_prepare(share));
done:
    return err;
}

/// Links one part's file to the last checkpoint's; *linked false where the file system will not, or the file is gone.
static gr_err link_part(gr_saver *s, int p, bool *linked)
{
    gr_err err = GR_OK;
    const char *name = gr_hf_part_file((gr_part)p);
    char *from = NULL, *to = NULL;
    GR_TRY(gr_path_join(s->last, name, &from));
    GR_TRY(gr_path_join(s->job.temporary, name, &to));
    *linked = link(from, to) == 0;
    gr_failpoint(GR_AT_SAVE_LINKED);
    if (!*linked) {
        int reason = errno;
        // A link can be made and yet reported as failed: its file must not be written to.
        (void)unlink(to);
        if (!s->told && reason != ENOENT) { // it may have been one of too many
            gr_progress_end();
            gr_log_info("%s is written again, it cannot be linked to %s: %s", to, from,
                        strerror(reason));
            s->told = true;
        }
    }
done:
    GR_FREE(from);
    GR_FREE(to);
    return err;
}

/// Rank 0 makes the folder, with links to the files of parts that have not changed.
static gr_err begin_folder(gr_saver *s)
{
    gr_err err = GR_OK;
    bool links = s->last && (s->job.final || is_linked_to(s));
    gr_part_set same = links ? model_parts(s) & ~s->changed : 0;
    GR_TRY(gri_checkpoint_dir_begin(s->job.path, &s->job.temporary));
    gr_failpoint(GR_AT_SAVE_FOLDER_BEGUN);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        bool linked = false;
        if (same & (1u << p)) {
            GR_TRY(link_part(s, p, &linked));
            s->job.linked |= linked ? 1u << p : 0;
        }
    }
done:
    return err;
}

/// Everything up to the writing. Takes `path` over. Collective.
static gr_err prepare(gr_saver *s, char **path, const gr_updater *u, bool copied)
{
    gr_err err = GR_OK;
    s->job.path = *path;
    *path = NULL;
    if (leads(s)) {
        err = begin_folder(s);
    } else {
        s->job.temporary = gr_str_format("%s.tmp", s->job.path);
        err = s->job.temporary ? GR_OK : GR_ERR_MEMORY;
    }
    GR_TRY(gr_world_agree(s->world, err));
    GR_TRY(gr_world_broadcast(s->world, &s->job.linked, sizeof s->job.linked, 0));
    GR_TRY(gr_world_agree(s->world, plan_files(s, u, copied)));
    if (copied && !s->copied) {
        gri_copy_state(s->setup->model, u, &s->copy, s->options.threads);
    }
    gr_failpoint(GR_AT_SAVE_PREPARED);
done:
    return err;
}

/// Collective.
static gr_err save(gr_saver *s, char **path, const gr_updater *u, bool background)
{
    gr_err err = GR_OK;
    GR_TRY(prepare(s, path, u, background));
    if (is_linked_to(s)) {
        s->changed = 0; // from here on, what changes differs from this one
    }
    start(s, WRITING, background);
    if (!background) {
        GR_TRY(gr_saver_wait(s));
    }
done:
    if (err != GR_OK) {
        abandon(s);
    }
    return err;
}

gr_err gr_saver_save(gr_saver *s, const gr_updater *updater, const gr_progress *progress,
                     bool wait)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_saver_wait(s));
    path = gr_str_format("%s/checkpoints/update-%08lld", s->options.run,
                         (long long)progress->updates);
    GR_TRY(gr_world_agree(s->world, path ? GR_OK : GR_ERR_MEMORY));
    s->job.progress = *progress;
    s->job.updates = updater ? updater->updates : 0;
    bool background = !wait && updater && s->options.background && s->room;
    GR_TRY(save(s, &path, updater, background));
    s->copied = false;
done:
    GR_FREE(path);
    return err;
}

gr_err gr_saver_expect(gr_saver *s, const gr_updater_copy **copy)
{
    gr_err err = GR_OK;
    GR_TRY(gr_saver_wait(s));
    s->copied = s->room != NULL;
    *copy = s->copied ? &s->copy : NULL;
done:
    return err;
}

gr_err gr_saver_save_final(gr_saver *s)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_saver_wait(s));
    GR_TRY(gr_world_agree(s->world, gr_path_join(s->options.run, "final", &path)));
    s->job.final = true;
    GR_TRY(save(s, &path, NULL, false));
done:
    GR_FREE(path);
    return err;
}

void gr_saver_changed(gr_saver *saver, gr_part_set parts)
{
    saver->changed |= parts;
}

gr_err gr_saver_reserve(gr_saver *s, const gr_updater *updater)
{
    gr_err err = GR_OK;
    GR_ASSERT(s->phase == IDLE);
    GR_FREE(s->room);
    s->copied = false;
    if (updater && s->options.background) {
        int64_t count = gr_owned_count(&updater->own);
        GR_ALLOC(s->room, 3 * count);
        s->copy = (gr_updater_copy){
            .first = s->room, .second = s->room + count, .weights = s->room + 2 * count};
    }
done:
    return err;
}

/// The parts' files of the checkpoint that the weights came from. A part that is not there counts as changed.
static gr_err recall(gr_saver *s)
{
    gr_err err = GR_OK;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        bool found = false;
        GR_TRY(gri_manifest_entry(s->last, gr_hf_part_file((gr_part)p), &s->parts[p], &found));
        s->changed |= found ? 0 : 1u << p;
    }
done:
    return err;
}

gr_err gr_saver_create(const gr_world *world, const gr_setup *setup,
                       const gr_identity *identity, const gr_saver_options *options,
                       const char *last, gr_saver **out)
{
    gr_err err = GR_OK;
    gr_saver *s = NULL;
    GR_ALLOC(s, 1);
    s->world = world;
    s->setup = setup;
    s->identity = identity;
    s->options = *options;
    if (last) {
        GR_STRDUP(s->last, last);
        if (leads(s)) {
            GR_TRY(recall(s));
        }
    }
    *out = s;
    s = NULL;
done:
    gr_saver_destroy(&s);
    return err;
}

void gr_saver_destroy(gr_saver **saver)
{
    gr_saver *s = *saver;
    if (!s) {
        return;
    }
    join(s);
    job_fini(s);
    GR_FREE(s->last);
    GR_FREE(s->room);
    GR_FREE(*saver);
}
