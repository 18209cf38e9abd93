#include "stages/lane_step.h"

#include "src/base/activity.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "stages/ledger.h"
#include "stages/step_digest.h"
#include "stages/stop.h"
#include "stages/updater.h"

#include <string.h>

/// A stream of random numbers for each microbatch of the stage, whichever rank computes it.
static uint64_t noise_stream(const gr_lane_step *s, int64_t step, int64_t lane,
                             int64_t microbatch)
{
    return gr_rng_u64(s->stream, (uint64_t)step, (uint64_t)lane << 32 | (uint64_t)microbatch);
}

/// For whoever watches: the microbatch goes by its first sample.
static void tell_sample(const gr_lane_batch *batch, int64_t microbatch)
{
    for (int64_t i = 0; i < batch->samples; i++) {
        if (batch->used[i].batch == microbatch) {
            gr_activity_sample(gr_dataset_path(batch->used[i].dataset), batch->used[i].index);
            return;
        }
    }
}

/// One lane: its microbatches in order, gradients added into `gradient` (NULL: forward only).
static gr_err run_lane(const gr_lane_step *s, int64_t step, int64_t lane, float *gradient,
                       gr_lane_totals *out)
{
    gr_err err = GR_OK;
    const gr_lane_batch *batch = NULL;
    gr_range parts[GR_PART_COUNT];
    float *grads[GR_PART_COUNT] = {NULL};
    (void)gr_updater_layout(gr_model_get_params(s->model), s->trains, parts);
    for (int p = 0; gradient && p < GR_PART_COUNT; p++) {
        grads[p] = s->trains & (1u << p) ? gradient + parts[p].begin : NULL;
    }
    gr_activity_phase(GR_PHASE_DATA);
    GR_TRY(gr_loader_lane(s->loader, step, lane, &batch));
    for (int64_t i = 0; i < batch->count; i++) {
        double loss = 0.0;
        tell_sample(batch, i);
        if (gradient) {
            gr_batch one = batch->batches[i];
            one.drop_path = true;
            one.noise_seed = s->seed;
            one.noise_stream = noise_stream(s, step, lane, i);
            GR_TRY(gr_model_loss_grad(s->model, &one, s->trains, grads, &loss));
        } else {
            GR_TRY(gr_model_loss(s->model, &batch->batches[i], &loss));
        }
        out->loss += loss;
    }
    out->samples = batch->samples;
    out->tokens = batch->tokens;
    out->targets = batch->targets;
    out->images = out->most_images = batch->images;
    out->rows = batch->count;
    out->dropped = batch->dropped;
    GR_TRY(gr_ledger_note(s->dropped, lane, batch));
    if (gradient && s->flip.kind == GR_FLIP_GRADIENT) {
        gr_flip_apply(&s->flip, GR_FLIP_GRADIENT, lane, s->update, grads[s->flip.tensor->part]);
    }
    if (s->digest) {
        GR_TRY(gri_step_digest_lane(s->digest, lane, batch, out->loss, gradient));
    }
done:
    if (err != GR_OK) {
        gr_err_context("step %lld, lane %lld", (long long)step, (long long)lane);
    }
    return err;
}

static gr_err run_own_lanes(const gr_lane_step *s, int64_t step)
{
    gr_err err = GR_OK;
    int64_t first = 0;
    int64_t count = 0;
    gr_lanes_of_rank(s->lane_count, s->world->rank, s->world->size, &first, &count);
    if (s->lanes) {
        gr_lanes_begin(s->lanes);
    }
    for (int64_t i = 0; i < count; i++) {
        float *gradient = s->lanes ? gr_lanes_next(s->lanes) : NULL;
        GR_TRY(run_lane(s, step, first + i, gradient, &s->mine[i]));
    }
done:
    return err;
}

/// Lanes of the rank that has most of them: the length of one rank's report.
static int64_t longest_run(const gr_lane_step *s)
{
    return (s->lane_count + s->world->size - 1) / s->world->size;
}

gr_err gr_lane_step_init(const gr_world *world, gr_model *model, gr_loader *loader,
                         int64_t lane_count, gr_part_set trains, gr_lane_step *out)
{
    gr_err err = GR_OK;
    gr_range parts[GR_PART_COUNT];
    gr_lane_step s = {.world = world,
                      .model = model,
                      .loader = loader,
                      .lane_count = lane_count,
                      .trains = trains};
    if (trains) {
        int64_t n = gr_updater_layout(gr_model_get_params(model), trains, parts);
        GR_TRY(gr_lanes_create(world, lane_count, n, &s.lanes));
    }
    GR_ALLOC(s.mine, longest_run(&s));
    GR_ALLOC(s.all, longest_run(&s) * world->size);
    GR_ALLOC(s.dropped, 1);
    *out = s;
    s = (gr_lane_step){0};
done:
    gr_lane_step_fini(&s);
    return gr_world_agree(world, err);
}

void gr_lane_step_fini(gr_lane_step *s)
{
    gr_lanes_destroy(&s->lanes);
    GR_FREE(s->mine);
    GR_FREE(s->all);
    if (s->dropped) {
        gr_str_fini(s->dropped);
    }
    GR_FREE(s->dropped);
}

static void add_rank(const gr_lane_step *s, int rank, gr_lane_totals *sum)
{
    int64_t first = 0;
    int64_t count = 0;
    const gr_lane_totals *lanes = s->all + rank * longest_run(s);
    gr_lanes_of_rank(s->lane_count, rank, s->world->size, &first, &count);
    for (int64_t i = 0; i < count; i++) {
        sum->loss += lanes[i].loss;
        sum->samples += lanes[i].samples;
        sum->tokens += lanes[i].tokens;
        sum->targets += lanes[i].targets;
        sum->images += lanes[i].images;
        sum->rows += lanes[i].rows;
        sum->dropped += lanes[i].dropped;
        if (lanes[i].most_images > sum->most_images) {
            sum->most_images = lanes[i].most_images;
        }
    }
}

gr_err gr_lane_step_run(gr_lane_step *s, int64_t step, gr_lane_totals *out, bool *stop)
{
    gr_err err = GR_OK;
    int64_t asked = 0;
    size_t report = (size_t)longest_run(s) * sizeof *s->mine;
    memset(s->mine, 0, report);
    gr_err mine = run_own_lanes(s, step);
    gr_activity_phase(GR_PHASE_REDUCE);
    GR_TRY(gr_world_agree(s->world, mine));
    GR_TRY(gr_world_max(s->world, gr_stop_requested(), &asked));
    GR_TRY(gr_world_gather(s->world, s->mine, report, s->all));
    *out = (gr_lane_totals){0};
    for (int r = 0; r < s->world->size; r++) {
        add_rank(s, r, out);
    }
    *stop = asked != 0;
done:
    return err;
}
