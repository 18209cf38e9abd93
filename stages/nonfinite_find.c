/// Which sample it was. Read it from the bottom: gri_nonfinite_find.

#include "src/base/activity.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "stages/nonfinite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/// What a rank found in its lanes.
typedef struct found {
    gr_str notes; ///< for the ledger
    int64_t count;
    char first[GRI_REASON_TEXT]; ///< the first sample, in words
    int32_t *rows;               ///< room for image rows
    int64_t capacity;
} found;

/// Where a sample lies in its microbatch.
typedef struct spot {
    int64_t token, image;
} spot;

/// The sample at `at` of the microbatch `from` as a batch of its own. All branches are computed: drop_path would draw others than in its row.
static gr_err cut_out(const gr_model_config *config, const gr_batch *from, const gr_used *used,
                      spot at, found *f, int32_t cuts[2], gr_batch *out)
{
    gr_err err = GR_OK;
    const bool sees = config->parts & (1u << GR_PART_VISION);
    const int64_t rows_each = sees ? gr_image_tokens(&config->vision) : 0;
    const int64_t rows = used->images * rows_each;
    const int64_t size = at.image * 3 * config->vision.image_size * config->vision.image_size;
    if (rows > f->capacity) {
        GR_RESIZE(f->rows, f->capacity, rows);
        f->capacity = rows;
    }
    for (int64_t i = 0; i < rows; i++) {
        f->rows[i] = from->image_rows[at.image * rows_each + i] - (int32_t)at.token;
    }
    cuts[0] = 0;
    cuts[1] = (int32_t)used->tokens;
    *out = *from;
    out->tokens = used->tokens;
    out->ids += at.token;
    out->targets += at.token;
    out->positions += at.token;
    out->sequences = 1;
    out->cu_seqlens = cuts;
    out->images = used->images;
    out->image_rows = f->rows;
    out->drop_path = false;
    if (used->images > 0 && out->pixels.bytes) {
        out->pixels.bytes += size;
    } else if (used->images > 0) {
        out->pixels.values += size;
    }
done:
    return err;
}

/// A sample that is not finite alone.
static gr_err note_sample(found *f, int64_t lane, const gr_used *used)
{
    gr_err err = GR_OK;
    gr_sample *about = NULL;
    char id[GR_DIGEST_TEXT];
    if (f->count++ == 0) {
        GR_TRY(gr_dataset_about(used->dataset, used->index, &about));
        gr_digest_format(about->id, id);
        snprintf(f->first, sizeof f->first, "sample %lld of %s (id %s, source \"%s\")",
                 (long long)used->index, gr_dataset_path(used->dataset), id,
                 about->source ? about->source : "");
    }
    GR_TRY(gr_ledger_note_nonfinite(&f->notes, "sample", lane, used->dataset, used->index,
                                    "its loss or gradient is not finite, also alone"));
done:
    gr_sample_destroy(&about);
    return err;
}

/// The samples of microbatch `number`, each alone.
static gr_err search_batch(gr_trainer *t, gr_stage_run *r, int64_t lane,
                           const gr_lane_batch *batch, int64_t number, const gr_batch *whole,
                           found *f)
{
    gr_err err = GR_OK;
    spot at = {0};
    for (int64_t i = 0; i < batch->samples; i++) {
        const gr_used *used = &batch->used[i];
        int32_t cuts[2];
        gr_batch one;
        bool finite = true;
        if (used->batch != number || used->tokens == 0) {
            continue;
        }
        gr_activity_sample(gr_dataset_path(used->dataset), used->index);
        GR_TRY(cut_out(gr_model_get_config(t->setup->model), whole, used, at, f, cuts, &one));
        GR_TRY(gr_lane_step_try(&r->train, &one, &finite));
        if (!finite) {
            GR_TRY(note_sample(f, lane, used));
        }
        at.token += used->tokens;
        at.image += used->images;
    }
done:
    return err;
}

static gr_err search_lane(gr_trainer *t, gr_stage_run *r, int64_t lane, found *f)
{
    gr_err err = GR_OK;
    const gr_lane_batch *batch = NULL;
    GR_TRY(gr_loader_lane(r->loader, t->progress.step, lane, &batch));
    for (int64_t i = 0; i < batch->count; i++) {
        gr_batch one;
        bool finite = true;
        GR_TRY(gr_lane_step_batch(&r->train, t->progress.step, lane, batch, i, &one));
        GR_TRY(gr_lane_step_try(&r->train, &one, &finite));
        if (!finite) {
            GR_TRY(search_batch(t, r, lane, batch, i, &one, f));
        }
    }
done:
    return err;
}

static bool is_bad(const gr_lane_totals *lane)
{
    return !isfinite(lane->loss) || lane->bad_tensor > 0;
}

/// This rank's lanes that were not finite. Not collective.
static gr_err search_own(gr_trainer *t, gr_stage_run *r, found *f)
{
    gr_err err = GR_OK;
    int64_t first = 0, count = 0;
    gr_lanes_of_rank(t->recipe->lanes, t->world->rank, t->world->size, &first, &count);
    for (int64_t lane = first; lane < first + count; lane++) {
        if (is_bad(gr_lane_step_of(&r->train, lane, NULL))) {
            GR_TRY(search_lane(t, r, lane, f));
        }
    }
done:
    return err;
}

/// The finding's lane, computed by the next rank: *theirs, if that is finite there; else -1. Collective.
static gr_err ask_another(gr_trainer *t, gr_stage_run *r, const gri_finding *finding,
                          int64_t *theirs)
{
    gr_err err = GR_OK;
    gr_lane_totals lane;
    const int other = (finding->rank + 1) % t->world->size;
    int64_t finite = 0, any = 0;
    *theirs = -1;
    if (finding->lane < 0 || other == finding->rank) {
        goto done;
    }
    if (t->world->rank == other) {
        err = gr_lane_step_again(&r->train, t->progress.step, finding->lane, &lane);
        finite = err == GR_OK && !is_bad(&lane);
    }
    GR_TRY(gr_world_agree(t->world, err));
    GR_TRY(gr_world_max(t->world, finite, &any));
    *theirs = any ? other : -1;
done:
    return err;
}

/// The state before the step; where it is a border between stages or the very beginning, it is there already. Collective.
static gr_err save_before(gr_trainer *t, gr_stage_run *r, char *text, size_t size)
{
    gr_err err = GR_OK;
    snprintf(text, size, "%s/checkpoints/update-%08lld holds the state before the step",
             t->options->run, (long long)t->progress.updates);
    if (t->progress.step > 0) {
        GR_TRY(gr_saver_save(t->saver, r->updater, &t->progress, true));
    } else if (t->progress.updates == 0) {
        snprintf(text, size, "it is the run's first step");
    }
done:
    return err;
}

/// Which rank speaks: the first that found a sample; -1: none did. Collective.
static gr_err first_finder(const gr_trainer *t, const found *f, int64_t *rank)
{
    gr_err err = GR_OK;
    int64_t most = 0;
    GR_TRY(gr_world_max(t->world, f->count > 0 ? t->world->size - t->world->rank : 0, &most));
    *rank = most > 0 ? t->world->size - most : -1;
done:
    return err;
}

/// The ledger's line where no sample is to blame. Rank 0 only.
static gr_err note_none(const gri_finding *finding, const char *why, found *f)
{
    char reason[GRI_REASON_TEXT + 128];
    snprintf(reason, sizeof reason, "%s, twice; %s", finding->reason, why);
    return gr_ledger_note_nonfinite(&f->notes, "no sample", finding->lane, NULL, 0, reason);
}

/// Why it ended and what can be done, in the words of the rank that speaks.
static gr_err name_end(const gr_trainer *t, const gr_stage_run *r, const gri_finding *finding,
                       const char *cause, const char *saved, const char *todo)
{
    return gr_err_set(
        GR_ERR_NONFINITE, __FILE__, __LINE__, __func__,
        "stage %s, step %lld: %s, and so when step %lld of the run was computed again: %s; no update was made of it, %s. %s",
        r->stage->name, (long long)t->progress.step + 1, finding->reason,
        (long long)t->progress.updates + 1, cause, saved, todo);
}

/// What was found out, told by one rank. rank -1: no sample; other -1: no other rank computed it finite. Collective.
static gr_err end_run(const gr_trainer *t, const gr_stage_run *r, const gri_finding *finding,
                      const found *f, int64_t rank, int64_t other, const char *saved)
{
    gr_err err = GR_OK;
    char cause[GRI_REASON_TEXT + 160];
    if (other >= 0 && t->world->rank == finding->rank) {
        snprintf(cause, sizeof cause,
                 "rank %lld computes the same lane and it is finite, so this rank's machine "
                 "miscalculates",
                 (long long)other);
        err = name_end(t, r, finding, cause, saved, "Run again without that machine");
    } else if (other < 0 && rank < 0 && t->world->rank == finding->rank) {
        err = name_end(
            t, r, finding, "no sample alone is non-finite", saved,
            "Lower the learning rate, or go on with nonfinite: {skip: 1} in the recipe");
    } else if (other < 0 && rank == t->world->rank) {
        snprintf(cause, sizeof cause, "it is %s%s", f->first,
                 f->count > 1 ? ", the first of several in the ledger" : "");
        err = name_end(t, r, finding, cause, saved,
                       "Look at it (gradus data show), take it out of the data, lower the "
                       "learning rate, or go on with nonfinite: {skip: 1} in the recipe");
    }
    return gr_world_agree(t->world, err);
}

gr_err gri_nonfinite_find(gr_trainer *t, gr_stage_run *r, const gri_finding *finding)
{
    gr_err err = GR_OK;
    found f = {0};
    int64_t other = -1, rank = -1;
    char saved[512];
    const gr_ledger_place place = gri_nonfinite_place(t, r);
    gr_activity_place("stage %s, step %lld, looking for the sample", place.stage,
                      (long long)place.step);
    GR_TRY(ask_another(t, r, finding, &other));
    if (other < 0) {
        GR_TRY(gr_world_agree(t->world, search_own(t, r, &f)));
        GR_TRY(first_finder(t, &f, &rank));
    }
    if (rank < 0 && gri_trainer_leads(t)) {
        err = note_none(finding,
                        other < 0 ? "no sample alone is non-finite"
                                  : "another rank computes the lane finite",
                        &f);
    }
    GR_TRY(gr_world_agree(t->world, err));
    gr_activity_phase(GR_PHASE_CHECKPOINT);
    GR_TRY(save_before(t, r, saved, sizeof saved));
    GR_TRY(gr_ledger_write(t->world, t->options->run, &place, &f.notes));
    GR_TRY(end_run(t, r, finding, &f, rank, other, saved));
done:
    gr_str_fini(&f.notes);
    GR_FREE(f.rows);
    return err;
}
