/// Read it from the bottom.

#include "stages/run_verify.h"

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "stages/digest_file.h"
#include "stages/metrics.h"
#include "stages/rate_search.h"
#include "stages/resume.h"
#include "stages/stage_run.h"

#include <string.h>

static const double seconds_between_lines = 5.0;

typedef struct verifier {
    const gr_run_verify_options *options;
    gr_run_verify *out;
    gr_trainer trainer;   ///< without a saver: it computes and writes nothing
    gri_digest_file file; ///< rank 0
    gr_resume from;       ///< its path NULL: the beginning
    int64_t to;
} verifier;

/// The last update that the run recorded. Rank 0 only.
static gr_err find_last(const char *run, int64_t *last)
{
    gr_err err = GR_OK;
    gri_digest_file file = {0};
    GR_TRY(gri_digest_file_open(run, &file));
    do {
        GR_TRY(gri_digest_file_next(&file));
    } while (file.record);
    *last = file.update;
done:
    gri_digest_file_close(&file);
    return err;
}

/// The range that is asked for, and the file of what is compared. Rank 0 only.
static gr_err open_records(verifier *v)
{
    gr_err err = GR_OK;
    int64_t last = 0;
    const gr_run_verify_options *o = v->options;
    GR_TRY(find_last(o->run, &last));
    v->to = o->to > 0 ? o->to : last;
    if (last == 0) {
        GR_FAIL(GR_ERR_MISSING, "%s recorded no step yet", o->run);
    }
    if (o->from > v->to || v->to > last) {
        GR_FAIL(GR_ERR_USAGE, "steps %lld to %lld: %s recorded steps up to %lld",
                (long long)o->from, (long long)v->to, o->run, (long long)last);
    }
    GR_TRY(gri_digest_file_open(o->run, &v->file));
done:
    return err;
}

/// What the run says that it is made of is what was opened. Rank 0 only.
static gr_err check_identity(const verifier *v)
{
    gr_err err = GR_OK;
    const gr_node *map = NULL;
    GR_TRY(gr_node_get_map(gr_doc_root(v->file.head), "identity", &map));
    GR_TRY(gr_identity_check(&v->trainer.identity, map, v->file.path));
done:
    return err;
}

/// The newest checkpoint before the range, on all ranks alike: place and weights. Collective.
static gr_err take_up(verifier *v)
{
    gr_err err = GR_OK;
    gr_trainer *t = &v->trainer;
    v->from = (gr_resume){
        .world = t->world, .run = v->options->run, .setup = t->setup, .identity = &t->identity};
    GR_TRY(gr_resume_newest(&v->from, v->options->from - 1));
    t->progress = v->from.progress;
    gr_log_info("computing steps %lld to %lld again, from %s",
                (long long)t->progress.updates + 1, (long long)v->to,
                v->from.path ? v->from.path : "the beginning");
done:
    return err;
}

/// The update of the next record that is still to come; INT64_MAX when there is none. Collective.
static gr_err find_next(verifier *v, int64_t *next)
{
    gr_err err = GR_OK;
    const gr_trainer *t = &v->trainer;
    while (t->world->rank == 0 && err == GR_OK && v->file.update <= t->progress.updates &&
           (v->file.record || v->file.update == 0)) {
        err = gri_digest_file_next(&v->file);
    }
    GR_TRY(gr_world_agree(t->world, err));
    *next = v->file.record ? v->file.update : INT64_MAX;
    GR_TRY(gr_world_broadcast(t->world, next, sizeof *next, 0));
done:
    return err;
}

/// The step that was just made, and its record, the file's newest. Rank 0 only.
static gr_err compare_record(verifier *v, const gr_str *line)
{
    gr_err err = GR_OK;
    gr_doc *now = NULL;
    gr_parting *parting = &v->out->parting;
    const gr_node *head = gr_doc_root(v->file.head);
    GR_TRY(gr_doc_parse_json("the record computed now", line->data, line->size, GR_ERR_DATA,
                             &now));
    const gr_node *records[2] = {gr_doc_root(v->file.record), gr_doc_root(now)};
    const gr_node *heads[2] = {head, head};
    v->out->compared++;
    gr_parting_fini(parting);
    GR_TRY(gr_parting_find(records, heads, parting));
    v->out->parted = parting->phase != GR_PARTED_NOT;
done:
    gr_doc_destroy(&now);
    return err;
}

/// Whether the run made no update of the next step, and recorded that. Rank 0 knows.
static bool is_skipped(const verifier *v, int64_t next)
{
    return next == v->trainer.progress.updates + 1 && v->file.record &&
           gr_node_find(gr_doc_root(v->file.record), "skipped");
}

/// Such a step makes none here, either; whether it is finite now says what its fault was.
static void tell_skipped(const verifier *v, const gr_step_result *result)
{
    v->out->skipped++;
    gr_progress_end();
    gr_log_info("step %lld of the run made no update, as it was not finite then; computed "
                "again it is %s",
                (long long)v->out->last,
                result->fits ? "finite: that was a fault of the moment" : "not finite, either");
}

static void show_progress(const verifier *v, double started)
{
    int64_t first = v->out->first;
    gr_progress_bar(seconds_between_lines, started, v->trainer.progress.updates - first + 1,
                    v->to - first + 1, "steps computed again");
}

/// One step, compared when it was recorded. Collective.
static gr_err verify_step(verifier *v, gr_stage_run *r, double started)
{
    gr_err err = GR_OK;
    gr_trainer *t = &v->trainer;
    gr_step_result result;
    int64_t parted = 0, next = 0, skipped = 0;
    GR_TRY(find_next(v, &next));
    GR_TRY(gr_world_max(t->world, is_skipped(v, next), &skipped));
    t->skips_next = skipped != 0;
    gri_step_digest_only(r->digest, next);
    GR_TRY(gri_stage_step(t, r, &result));
    gr_str_clear(r->train.dropped); // the run's own ledger has them
    v->out->last = t->progress.updates;
    if (t->skips_next) {
        tell_skipped(v, &result);
    } else if (result.digests) { // on rank 0
        err = compare_record(v, result.digests);
        show_progress(v, started);
    }
    GR_TRY(gr_world_agree(t->world, err));
    GR_TRY(gri_rate_search_step(t, r, &result));
    GR_TRY(gr_world_max(t->world, v->out->parted, &parted));
    v->out->parted = parted != 0;
done:
    return err;
}

/// Where a stage ended that need not have made all its steps. Collective.
static gr_err find_end(const verifier *v, gr_stage_run *r)
{
    gr_err err = GR_OK;
    const gr_trainer *t = &v->trainer;
    if (gr_end_rule_is_set(&r->stage->ends)) {
        err = t->world->rank == 0
                  ? gr_metrics_find_end(v->options->run, r->stage->name, &r->steps)
                  : GR_OK;
        GR_TRY(gr_world_agree(t->world, err));
        GR_TRY(gr_world_broadcast(t->world, &r->steps, sizeof r->steps, 0));
    }
done:
    return err;
}

/// What of the current stage is in the range. Collective.
static gr_err verify_stage(verifier *v, const char *checkpoint, double started)
{
    gr_err err = GR_OK;
    gr_stage_run r = {0};
    gr_trainer *t = &v->trainer;
    GR_TRY(gri_stage_open(t, &r, checkpoint));
    GR_TRY(find_end(v, &r));
    int64_t left = v->to - t->progress.updates, end = t->progress.step + left;
    end = end < r.steps ? end : r.steps;
    GR_TRY(gri_stage_expect(t, &r, end));
    while (t->progress.step < end && !v->out->parted) {
        GR_TRY(verify_step(v, &r, started));
    }
    if (t->progress.step == r.steps) {
        t->progress.stage++;
        t->progress.step = 0;
        t->progress.adalrs = (gr_adalrs_state){0};
    }
done:
    gr_progress_end();
    gri_stage_close(&r);
    return err;
}

static gr_err check_compared(const verifier *v)
{
    gr_err err = GR_OK;
    if (v->out->compared == 0 && v->out->skipped == 0) {
        GR_FAIL(
            GR_ERR_USAGE,
            "none of the steps %lld to %lld was recorded (digests.every is %lld): give a longer range",
            (long long)v->out->first, (long long)v->to,
            (long long)v->trainer.recipe->digests_every);
    }
done:
    return err;
}

/// Recipe and what it names, as the run had them. Collective.
static gr_err open_run(verifier *v, gr_recipe **recipe)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_trainer *t = &v->trainer;
    GR_TRY(gr_path_join(v->options->run, "recipe.json", &path));
    GR_TRY(gr_recipe_load(path, NULL, 0, recipe));
    GR_TRY(gr_setup_create(*recipe, v->options->threads, &t->setup));
    GR_TRY(gr_identity_take(t->setup, &t->identity));
    t->recipe = *recipe;
done:
    GR_FREE(path);
    return err;
}

static gr_err verify_range(verifier *v)
{
    gr_err err = GR_OK;
    const gr_trainer *t = &v->trainer;
    const char *checkpoint = v->from.path;
    double started = gr_clock();
    v->out->first = t->progress.updates + 1;
    while (t->progress.updates < v->to && !v->out->parted) {
        GR_TRY(verify_stage(v, checkpoint, started));
        checkpoint = NULL;
    }
    GR_TRY(gr_world_agree(t->world, t->world->rank == 0 ? check_compared(v) : GR_OK));
done:
    return err;
}

gr_err gr_run_verify_run(const gr_world *world, const gr_run_verify_options *options,
                         gr_run_verify *out)
{
    gr_err err = GR_OK;
    gr_recipe *recipe = NULL;
    const gr_train_options train = {.run = options->run, .threads = options->threads};
    verifier v = {.options = options,
                  .out = out,
                  .trainer = {.world = world, .options = &train, .verifies = true}};
    *out = (gr_run_verify){0};
    GR_TRY(gr_world_agree(world, world->rank == 0 ? open_records(&v) : GR_OK));
    GR_TRY(gr_world_broadcast(world, &v.to, sizeof v.to, 0));
    GR_TRY(gr_world_agree(world, open_run(&v, &recipe)));
    GR_TRY(gr_identity_agree(world, &v.trainer.identity));
    GR_TRY(gr_world_agree(world, world->rank == 0 ? check_identity(&v) : GR_OK));
    GR_TRY(take_up(&v));
    GR_TRY(verify_range(&v));
    out->checkpoint = v.from.path;
    v.from.path = NULL;
done:
    gr_resume_fini(&v.from);
    gri_digest_file_close(&v.file);
    gr_setup_destroy(&v.trainer.setup);
    gr_recipe_destroy(&recipe);
    return err;
}

void gr_run_verify_fini(gr_run_verify *verify)
{
    GR_FREE(verify->checkpoint);
    gr_parting_fini(&verify->parting);
}
