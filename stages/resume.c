/// Read it from the bottom.

#include "stages/resume.h"

#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "stages/metrics.h"
#include "stages/recipe_bits.h"

#include <stdio.h>
#include <string.h>

static const char recipe_name[] = "recipe.json";

static bool leads(const gr_resume *r)
{
    return r->world->rank == 0;
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
static void name_difference(const gr_resume *r)
{
    char *path = NULL, *key = NULL, *message = NULL;
    gr_doc *then = NULL;
    gr_err err = GR_OK;
    GR_STRDUP(message, gr_err_message()); // what follows may set another
    GR_TRY(recipe_of(r->path, &path));
    GR_TRY(gr_doc_load(path, GR_ERR_DATA, &then));
    GR_TRY(gr_recipe_difference(r->setup->recipe->doc, then, &key));
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

void gr_resume_announce_changes(const gr_resume *r)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_recipe *then = NULL;
    gr_str text = {0};
    GR_TRY(recipe_of(r->path, &path));
    GR_TRY(gr_recipe_load(path, NULL, 0, &then)); // there may be none, or another version's
    GR_TRY(gr_recipe_changes(then, r->setup->recipe, &text));
    if (text.size > 0 && leads(r)) {
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

/// Where the run stood at r->path, and the weights; all files are as the manifest has them.
static gr_err take_up(gr_resume *r)
{
    gr_err err = gr_checkpoint_read_progress(r->path, r->identity, &r->progress);
    if (err == GR_ERR_RECIPE) {
        name_difference(r);
    }
    GR_TRY(err);
    GR_TRY(gr_checkpoint_load(r->path, r->setup, NULL));
done:
    return err;
}

/// Whether the error says that a rank cannot read this checkpoint whole; an older one may do.
static bool is_unfit(gr_err err)
{
    return err == GR_ERR_DATA || err == GR_ERR_MISSING || err == GR_ERR_IO;
}

static void pass_over(gr_resume *r, gr_err why)
{
    if (leads(r)) {
        gr_log_warn("checkpoint %s is passed over: %s", r->path, gr_err_message());
    }
    gr_err_clear();
    r->passed++;
    r->why = why == GR_ERR_IO ? GR_ERR_IO : r->why;
    GR_FREE(r->path);
}

/// The candidate `next` of rank 0's list; NULL behind its end. Collective.
static gr_err next_candidate(gr_resume *r, char **list, int64_t count, int64_t next)
{
    gr_err err = GR_OK;
    if (leads(r) && next < count) {
        r->path = list[next];
        list[next] = NULL;
    }
    GR_TRY(gr_world_broadcast_text(r->world, &r->path, 0));
done:
    return err;
}

gr_err gr_resume_newest(gr_resume *r, int64_t updates)
{
    gr_err err = GR_OK;
    char **list = NULL;
    int64_t count = 0;
    r->passed = 0;
    r->why = GR_ERR_DATA;
    GR_TRY(gr_world_agree(
        r->world, leads(r) ? gr_checkpoint_list(r->run, updates, &list, &count) : GR_OK));
    for (int64_t next = 0;; next++) {
        GR_TRY(next_candidate(r, list, count, next));
        if (!r->path) {
            break;
        }
        err = gr_world_agree(r->world, gr_checkpoint_verify(r->path));
        if (err == GR_OK) {
            gr_failpoint(GR_AT_RUN_CHOSEN);
            GR_TRY(gr_world_agree(r->world, take_up(r)));
            break;
        }
        if (!is_unfit(err)) {
            goto done;
        }
        pass_over(r, err);
    }
    err = GR_OK;
done:
    gr_dir_list_free(&list, count);
    return err;
}

/// All checkpoints are damaged: what was done is not thrown away without a word.
static gr_err refuse_to_begin_anew(const gr_resume *r)
{
    gr_err err = GR_OK;
    char text[64] = "the only checkpoint is";
    if (r->passed > 1) {
        snprintf(text, sizeof text, "all %lld checkpoints are", (long long)r->passed);
    }
    GR_FAIL(
        r->why,
        "%s/checkpoints: %s damaged%s, so the run cannot go on; repair one, name another with --resume "
        "PATH, or move this folder away to begin anew",
        r->run, text, r->why == GR_ERR_IO ? " or cannot be read" : "");
done:
    return err;
}

/// A run that was killed before its first checkpoint, or whose checkpoints somebody removed: rank 0 says that its steps are made again.
static gr_err announce_beginning(const gr_resume *r)
{
    gr_err err = GR_OK;
    int64_t updates = 0;
    GR_TRY(gr_metrics_last_update(r->run, &updates));
    if (updates > 0) {
        gr_log_warn(
            "%s: %lld step%s of an earlier call %s recorded, but no checkpoint is there: "
            "beginning anew",
            r->run, (long long)updates, GR_PLURAL(updates), updates == 1 ? "is" : "are");
    }
done:
    return err;
}

static gr_err resume_auto(gr_resume *r)
{
    gr_err err = GR_OK;
    GR_TRY(gr_world_agree(r->world, leads(r) ? gr_checkpoint_settle(r->run) : GR_OK));
    gr_failpoint(GR_AT_RUN_SETTLED);
    GR_TRY(gr_resume_newest(r, INT64_MAX));
    if (!r->path && r->passed > 0) {
        GR_TRY(gr_world_alike(r->world, refuse_to_begin_anew(r)));
    }
    const bool anew = leads(r) && !r->path;
    GR_TRY(gr_world_agree(r->world, anew ? announce_beginning(r) : GR_OK));
done:
    return err;
}

static gr_err refuse_if_there(const char *run, const char *name)
{
    gr_err err = GR_OK;
    char *path = NULL;
    bool there = false;
    GR_TRY(gr_path_join(run, name, &path));
    GR_TRY(gr_path_exists(path, &there));
    if (there) {
        GR_FAIL(GR_ERR_USAGE,
                "%s already holds a run (%s); give another --run, or --resume auto", run, path);
    }
done:
    GR_FREE(path);
    return err;
}

static gr_err refuse_used(const gr_resume *r)
{
    gr_err err = GR_OK;
    GR_TRY(refuse_if_there(r->run, recipe_name));
    GR_TRY(refuse_if_there(r->run, "checkpoints"));
done:
    return err;
}

static gr_err resume_named(gr_resume *r, const char *path)
{
    gr_err err = GR_OK;
    GR_STRDUP(r->path, path);
    GR_TRY(gr_checkpoint_verify(path));
    GR_TRY(take_up(r));
done:
    return err;
}

gr_err gr_resume_check(const char *how)
{
    gr_err err = GR_OK;
    char *manifest = NULL, *own = NULL;
    if (strcmp(how, "auto") == 0 || strcmp(how, "never") == 0) {
        return GR_OK;
    }
    GR_TRY(gr_path_join(how, "gradus/manifest.json", &manifest));
    GR_TRY(gr_path_join(how, "checkpoints", &own));
    if (!gr_file_exists(manifest)) {
        GR_FAIL(GR_ERR_MISSING,
                "--resume %s: %s; expected auto, never or a checkpoint, a folder such as "
                "RUN/checkpoints/update-00000100",
                how,
                gr_dir_exists(own) ? "is a run, whose checkpoints are in its folder checkpoints"
                : gr_dir_exists(how)  ? "is no checkpoint: it has no gradus/manifest.json"
                : gr_file_exists(how) ? "is a file"
                                      : "there is no such folder");
    }
done:
    GR_FREE(manifest);
    GR_FREE(own);
    return err;
}

gr_err gr_resume_run(gr_resume *r, const char *how)
{
    if (strcmp(how, "auto") == 0) {
        return resume_auto(r);
    }
    if (strcmp(how, "never") == 0) {
        return gr_world_agree(r->world, leads(r) ? refuse_used(r) : GR_OK);
    }
    return gr_world_agree(r->world, resume_named(r, how));
}

void gr_resume_fini(gr_resume *r)
{
    GR_FREE(r->path);
}
