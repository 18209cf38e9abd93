#include "stages/run_plan.h"

#include "mpi/lanes.h"
#include "src/base/log.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <string.h>

/// A search has room for a window and a try, behind the warm-up.
static gr_err check_search(const gr_recipe_stage *stage, int64_t steps)
{
    gr_err err = GR_OK;
    int64_t first = 0, last = 0;
    gr_adalrs_range(&stage->adalrs, steps, &first, &last);
    if (last - first < 2 * stage->adalrs.window || first < stage->warmup_steps) {
        GR_FAIL(
            GR_ERR_RECIPE,
            "stage %s: adalrs would search in steps %lld to %lld of %lld; expected at least two "
            "windows (%lld steps) behind warmup_steps (%lld): change from, to or window",
            stage->name, (long long)first + 1, (long long)last, (long long)steps,
            (long long)(2 * stage->adalrs.window), (long long)stage->warmup_steps);
    }
done:
    return err;
}

/// A stage has at least one step and reaches its full rate.
static gr_err check_length(const gr_recipe_stage *stage, const gr_loader *loader, int64_t steps)
{
    gr_err err = GR_OK;
    if (steps < 1) {
        GR_FAIL(GR_ERR_RECIPE,
                "stage %s: %g epochs of %lld sample%s are no step; give more epochs or steps",
                stage->name, stage->epochs, (long long)gr_loader_epoch_size(loader),
                GR_PLURAL(gr_loader_epoch_size(loader)));
    }
    if (gr_adalrs_is_set(&stage->adalrs)) {
        GR_TRY(check_search(stage, steps));
    }
    if (stage->warmup_steps > steps) {
        GR_FAIL(
            GR_ERR_RECIPE, "stage %s: warmup_steps is %lld, but the stage has only %lld step%s",
            stage->name, (long long)stage->warmup_steps, (long long)steps, GR_PLURAL(steps));
    }
done:
    return err;
}

void gri_run_announce(const gr_trainer *t)
{
    const gr_exec *ex = t->setup->exec;
    gr_vectors vectors = GR_VECTORS_PLAIN;
    if (gr_cpu_vectors(&vectors) != GR_OK) {
        gr_err_clear(); // cannot be: the context was made with them
    }
    gr_log_info("%s, %d rank%s of %d thread%s, OpenBLAS kernels %s, vectors %s, %lld lane%s",
                gr_precision_name(t->recipe->precision), t->world->size,
                t->world->size > 1 ? "s" : "", ex->threads, ex->threads > 1 ? "s" : "",
                gr_blas_kernel(), gr_vectors_name(vectors), (long long)t->recipe->lanes,
                GR_PLURAL(t->recipe->lanes));
    if (t->setup->picture_tokens > 0) {
        gr_log_info(
            "the tokenizer %s gets %lld token%s more, which pictures need, in rows of the embedding that it leaves "
            "unused; the trained model's tokenizer has them",
            t->recipe->tokenizer, (long long)t->setup->picture_tokens,
            GR_PLURAL(t->setup->picture_tokens));
    }
}

/// A dry run reads this rank's share of a stage's first step as training would: samples that are damaged, too long for a row or
/// the positions, or of more tiles than max_images are found now.
static gr_err try_first_step(const gr_trainer *t, const gr_recipe_stage *stage,
                             gr_loader *loader)
{
    gr_err err = GR_OK;
    const int64_t most = gr_model_get_config(t->setup->model)->language.max_positions;
    int64_t first = 0, count = 0, targets = 0, samples = 0, dropped = 0;
    char *reason = NULL;
    const gr_lane_batch *lane = NULL;
    gr_lanes_of_rank(t->recipe->lanes, t->world->rank, t->world->size, &first, &count);
    GR_TRY(gr_loader_expect(loader, 0, 1, first, count));
    for (int64_t l = first; l < first + count; l++) {
        GR_TRY(gr_loader_lane(loader, 0, l, &lane));
        targets += lane->targets;
        samples += lane->samples;
        dropped += lane->dropped;
        if (!reason && lane->dropped > 0) {
            GR_STRDUP(reason, lane->drops[0].reason);
        }
        for (int64_t m = 0; m < lane->count; m++) {
            const gr_batch *b = &lane->batches[m];
            for (int64_t i = 0; i < b->tokens; i++) {
                if (b->positions[i] >= most) {
                    GR_FAIL(
                        GR_ERR_DATA,
                        "a sample is longer than the language model's %lld positions; lower "
                        "sequence_length to that",
                        (long long)most);
                }
            }
        }
    }
    if (dropped > 0 && dropped == samples && t->world->size == 1) {
        GR_FAIL(GR_ERR_DATA,
                "bad_samples: drop leaves out all samples of the batch (%lld); the first: %s "
                "(gradus data check counts them all)",
                (long long)dropped, reason);
    }
    if (dropped > 0) {
        gr_log_warn(
            "stage %s, step 1: bad_samples: drop leaves out %lld of %lld sample%s%s (%.1f %%); the "
            "first: %s (gradus data check counts them all)",
            stage->name, (long long)dropped, (long long)samples, GR_PLURAL(samples),
            t->world->size > 1 ? " of this rank" : "",
            100.0 * (double)dropped / (double)samples, reason);
    }
    if (targets == 0 && t->world->size == 1) {
        GR_FAIL(GR_ERR_DATA, "no sample of the batch has a target token");
    }
done:
    if (err != GR_OK) {
        gr_err_context("stage %s, step 1", stage->name);
    }
    GR_FREE(reason);
    return err;
}

/// How a stage shows its pictures, for the plan.
static void describe_pictures(const gr_trainer *t, const gr_recipe_stage *stage, char *text,
                              size_t size)
{
    const gr_model_config *config = gr_model_get_config(t->setup->model);
    if (!(config->parts & 1u << GR_PART_VISION)) {
        snprintf(text, size, "no pictures");
        return;
    }
    snprintf(text, size, "pictures in up to %lld tile%s%s of %lld tokens",
             (long long)stage->images.tiles, stage->images.tiles > 1 ? "s" : "",
             stage->images.tiles > 1 && stage->images.thumbnail ? " and a thumbnail" : "",
             (long long)gr_image_tokens(&config->vision));
}

/// What a mixture takes of each source: a line each, for the plan.
static void describe_sources(const gr_recipe_sources *sources)
{
    double weights = 0;
    for (int64_t i = 0; i < sources->count; i++) {
        weights += sources->items[i].weight;
    }
    for (int64_t i = 0; i < sources->count && (sources->count > 1 || weights > 0); i++) {
        const gr_recipe_source *s = &sources->items[i];
        char share[64] = "all of it in turn with the others";
        char part[64] = "", limit[64] = "";
        const char *task = s->task ? s->task : "";
        if (weights > 0) {
            snprintf(share, sizeof share, "weight %g (%.1f %% of the samples)", s->weight,
                     100 * s->weight / weights);
        }
        if (s->from > 0 || s->to < 1) {
            snprintf(part, sizeof part, ", subset [%g, %g)", s->from, s->to);
        }
        if (s->max_repeats > 0) {
            snprintf(limit, sizeof limit, ", at most %g passes", s->max_repeats);
        }
        gr_log_info("  from %s: %s%s%s%s%s", s->path, share, *task ? ", task " : "", task, part,
                    limit);
    }
}

static int64_t parameters_of(const gr_params *params, gr_part_set parts)
{
    int64_t count = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        count += parts & (1u << p) ? params->size[p] : 0;
    }
    return count;
}

/// What a dry run says more of a stage.
static void describe_stage(const gr_trainer *t, const gr_recipe_stage *stage)
{
    char pictures[96];
    describe_sources(&stage->data);
    describe_pictures(t, stage, pictures, sizeof pictures);
    gr_log_info("  %s, rows of up to %lld tokens, %s, %s", pictures,
                (long long)stage->sequence_length, gr_precision_name(t->recipe->precision),
                stage->recompute ? "blocks computed again in backward" : "activations kept");
}

static gr_err plan_stage(gr_trainer *t, int64_t i)
{
    gr_err err = GR_OK;
    gr_loader *loader = NULL;
    const gr_recipe_stage *stage = &t->recipe->stages[i];
    const long long trained =
        (long long)parameters_of(gr_model_get_params(t->setup->model), stage->trains);
    if (!gr_setup_has_data(t->setup, &stage->data)) {
        gr_log_info("stage %lld/%lld %s: %lld samples a step of data that cannot be read here, "
                    "%lld parameters train",
                    (long long)i + 1, (long long)t->recipe->stage_count, stage->name,
                    (long long)stage->global_batch, trained);
        describe_stage(t, stage);
        goto done;
    }
    GR_TRY(gr_setup_loader(t->setup, stage, false, &loader));
    int64_t steps = gr_loader_steps(loader);
    GR_TRY(check_length(stage, loader, steps));
    t->planned_updates += steps;
    gr_log_info(
        "stage %lld/%lld %s: %lld of %lld sample%s a step, %lld step%s, %lld parameters "
        "train",
        (long long)i + 1, (long long)t->recipe->stage_count, stage->name,
        (long long)stage->global_batch, (long long)gr_loader_epoch_size(loader),
        GR_PLURAL(gr_loader_epoch_size(loader)), (long long)steps, GR_PLURAL(steps), trained);
    if (t->options->dry_run) {
        describe_stage(t, stage);
        GR_TRY(try_first_step(t, stage, loader));
    }
done:
    gr_loader_destroy(&loader);
    return err;
}

gr_err gri_run_plan(gr_trainer *t)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < t->recipe->stage_count; i++) {
        GR_TRY(plan_stage(t, i));
    }
done:
    return err;
}

gr_err gri_run_missing(const gr_trainer *t)
{
    gr_err err = GR_OK;
    gr_str list = {0};
    const gr_setup *setup = t->setup;
    for (const char *line = setup->missing.data; line && *line;) {
        const size_t size = strcspn(line, "\n");
        GR_TRY(gr_str_addf(&list, "%s%.*s", list.size > 0 ? "; " : "", (int)size, line));
        line += size + 1;
    }
    if (setup->missing_count > 0) {
        GR_FAIL(GR_ERR_MISSING,
                "%lld thing%s that the recipe names %s not here: %s. What is here was checked, "
                "and gradus plan says what the run would need",
                (long long)setup->missing_count, GR_PLURAL(setup->missing_count),
                setup->missing_count == 1 ? "is" : "are", list.data);
    }
done:
    gr_str_fini(&list);
    return err;
}
