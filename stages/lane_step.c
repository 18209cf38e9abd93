#include "stages/lane_step.h"

#include "mpi/messages.h"
#include "src/base/activity.h"
#include "src/base/failpoint.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/optim/finite.h"
#include "stages/ledger.h"
#include "stages/step_digest.h"
#include "stages/stop.h"
#include "stages/updater.h"

#include <math.h>
#include <stdio.h>
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

/// Which of the sources each sample of the lane came from.
static void count_sources(gr_lane_step *s, const gr_lane_batch *batch)
{
    for (int64_t i = 0; s->sources && i < batch->samples; i++) {
        const char *path = gr_dataset_path(batch->used[i].dataset);
        for (int64_t k = 0; k < s->sources->count; k++) {
            if (strcmp(s->sources->items[k].path, path) == 0) {
                s->sources_mine[k]++;
                break;
            }
        }
    }
}

static int threads_of(const gr_lane_step *s)
{
    return s->threads > 0 ? s->threads : 1;
}

/// Looks through elements [begin, end) of a part's gradient, the last first, as backward makes them.
static void look_through(gr_lane_step *s, gr_part part, int64_t begin, int64_t end)
{
    const gr_params *params = gr_model_get_params(s->model);
    int64_t bad =
        end > begin ? gr_last_nonfinite(end - begin, s->gradient + s->parts[part].begin + begin,
                                        threads_of(s))
                    : -1;
    if (bad < 0 || s->bad_tensor > 0) {
        return;
    }
    int64_t i = params->first[part + 1] - 1;
    while (params->items[i].offset > begin + bad) {
        i--;
    }
    s->bad_tensor = 1 + i;
}

/// What of the gradient nobody has looked at yet.
static void look_through_rest(gr_lane_step *s)
{
    for (int p = GR_PART_COUNT - 1; p >= 0; p--) {
        look_through(s, (gr_part)p, 0, s->unseen[p]);
        s->unseen[p] = 0;
    }
}

/// `gradient` is zero, nobody has looked at it. grads: its parts, for the model.
static void begin_gradient(gr_lane_step *s, float *gradient, float *grads[GR_PART_COUNT])
{
    s->gradient = gradient;
    s->bad_tensor = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        bool trains = gradient && s->trains & (1u << p);
        grads[p] = trains ? gradient + s->parts[p].begin : NULL;
        s->unseen[p] = trains ? gr_range_count(s->parts[p]) : 0;
    }
}

gr_err gr_lane_step_batch(gr_lane_step *s, int64_t step, int64_t lane,
                          const gr_lane_batch *batch, int64_t i, gr_batch *out)
{
    gr_err err = GR_OK;
    *out = batch->batches[i];
    out->drop_path = true;
    out->noise_seed = s->seed;
    out->noise_stream = noise_stream(s, step, lane, i);
    if (s->flip.kind == GR_FLIP_PIXELS) {
        GR_TRY(gr_flip_pixels(&s->flip, (gr_flip_place){s->world->rank, lane, s->update}, batch,
                              i, gr_model_get_config(s->model)->vision.image_size, out));
    }
done:
    return err;
}

/// A lane's microbatches in order, gradients added into `gradient` (NULL: forward only). early: what the last one completes may go.
static gr_err run_batches(gr_lane_step *s, int64_t step, int64_t lane,
                          const gr_lane_batch *batch, float *gradient, bool early,
                          gr_lane_totals *out)
{
    gr_err err = GR_OK;
    float *grads[GR_PART_COUNT] = {NULL};
    const gr_flip_place here = {s->world->rank, lane, s->update};
    begin_gradient(s, gradient, grads);
    for (int64_t i = 0; i < batch->count; i++) {
        double loss = 0.0;
        tell_sample(batch, i);
        if (gradient) {
            gr_batch one;
            GR_TRY(gr_lane_step_batch(s, step, lane, batch, i, &one));
            s->letting_go = early && i == batch->count - 1;
            err = gr_model_loss_grad(s->model, &one, s->trains, grads, &loss);
            s->letting_go = false;
            GR_TRY(err);
        } else {
            GR_TRY(gr_model_loss(s->model, &batch->batches[i], &loss));
        }
        out->loss += loss;
    }
    if (gradient) {
        gr_flip_loss(&s->flip, here, &out->loss);
    }
    if (gradient && s->flip.kind == GR_FLIP_GRADIENT) {
        gr_flip_apply(&s->flip, GR_FLIP_GRADIENT, here, grads[s->flip.tensor->part]);
    }
    look_through_rest(s);
    out->bad_tensor = s->bad_tensor;
done:
    return err;
}

static void count_lane(const gr_lane_batch *batch, gr_lane_totals *out)
{
    out->samples = batch->samples;
    out->tokens = batch->tokens;
    out->targets = batch->targets;
    out->images = out->most_images = batch->images;
    out->rows = batch->count;
    out->dropped = batch->dropped;
    out->packing = batch->packing;
}

static gr_err run_lane(gr_lane_step *s, int64_t step, int64_t lane, float *gradient, bool early,
                       gr_lane_totals *out)
{
    gr_err err = GR_OK;
    const gr_lane_batch *batch = NULL;
    gr_activity_phase(GR_PHASE_DATA);
    GR_TRY(gr_loader_lane(s->loader, step, lane, &batch));
    GR_TRY(run_batches(s, step, lane, batch, gradient, early, out));
    count_lane(batch, out);
    count_sources(s, batch);
    GR_TRY(gr_ledger_note(s->dropped, lane, batch));
    if (s->digest) {
        GR_TRY(gri_step_digest_lane(s->digest, lane, batch, out->loss, gradient));
    }
done:
    if (err != GR_OK && s->trains) {
        gr_err_context("stage %s, step %lld, lane %lld", s->stage, (long long)step + 1,
                       (long long)lane);
    } else if (err != GR_OK) {
        gr_err_context("stage %s, held-out data, lane %lld", s->stage, (long long)lane);
    }
    return err;
}

gr_err gr_lane_step_again(gr_lane_step *s, int64_t step, int64_t lane, gr_lane_totals *out)
{
    gr_err err = GR_OK;
    const gr_lane_batch *batch = NULL;
    *out = (gr_lane_totals){0};
    gr_lanes_begin(s->lanes);
    GR_TRY(gr_loader_lane(s->loader, step, lane, &batch));
    GR_TRY(run_batches(s, step, lane, batch, gr_lanes_next(s->lanes), false, out));
done:
    return err;
}

gr_err gr_lane_step_try(gr_lane_step *s, const gr_batch *batch, bool *finite)
{
    gr_err err = GR_OK;
    float *grads[GR_PART_COUNT] = {NULL};
    double loss = 0;
    gr_lanes_begin(s->lanes);
    begin_gradient(s, gr_lanes_next(s->lanes), grads);
    GR_TRY(gr_model_loss_grad(s->model, batch, s->trains, grads, &loss));
    look_through_rest(s);
    *finite = isfinite(loss) && s->bad_tensor == 0;
done:
    return err;
}

void gr_lane_step_made(gr_lane_step *s, gr_part part, int64_t begin)
{
    if (s->letting_go) { // others may write there from now on
        look_through(s, part, begin, s->unseen[part]);
        s->unseen[part] = begin;
        gr_lanes_ready(s->lanes, s->parts[part].begin + begin);
    }
}

/// Gradients may go before their lane ends: nobody looks at, or changes, the lane's whole gradient then.
static bool may_go_early(const gr_lane_step *s)
{
    return s->overlap && s->flip.kind != GR_FLIP_GRADIENT &&
           !(s->digest && gri_step_digest_active(s->digest));
}

static gr_err run_own_lanes(gr_lane_step *s, int64_t step)
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
        bool early = gradient && i == count - 1 && may_go_early(s);
        if (early) {
            GR_TRY(gr_lanes_start(s->lanes));
        }
        GR_TRY(run_lane(s, step, first + i, gradient, early, &s->mine[i]));
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
    gr_lane_step s = {.world = world,
                      .model = model,
                      .loader = loader,
                      .lane_count = lane_count,
                      .trains = trains};
    if (trains) {
        int64_t n = gr_updater_layout(gr_model_get_params(model), trains, s.parts);
        s.overlap = gr_messages_of(world).overlap == GR_OVERLAP_ALWAYS;
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

gr_err gr_lane_step_count_sources(gr_lane_step *s, const gr_recipe_sources *sources)
{
    gr_err err = GR_OK;
    GR_ALLOC(s->of_sources, sources->count);
    GR_ALLOC(s->sources_mine, sources->count);
    GR_ALLOC(s->sources_all, sources->count * s->world->size);
    s->sources = sources;
done:
    return err;
}

void gr_lane_step_fini(gr_lane_step *s)
{
    gr_flip_fini(&s->flip);
    GR_FREE(s->of_sources);
    GR_FREE(s->sources_mine);
    GR_FREE(s->sources_all);
    gr_lanes_destroy(&s->lanes);
    GR_FREE(s->mine);
    GR_FREE(s->all);
    if (s->dropped) {
        gr_str_fini(s->dropped);
    }
    GR_FREE(s->dropped);
}

const gr_lane_totals *gr_lane_step_of(const gr_lane_step *s, int64_t lane, int *rank)
{
    for (int r = 0;; r++) {
        int64_t first = 0, count = 0;
        gr_lanes_of_rank(s->lane_count, r, s->world->size, &first, &count);
        if (lane < first + count) {
            if (rank) {
                *rank = r;
            }
            return s->all + r * longest_run(s) + (lane - first);
        }
    }
}

int64_t gr_lane_step_first_bad(const gr_lane_step *s)
{
    for (int64_t lane = 0; lane < s->lane_count; lane++) {
        const gr_lane_totals *of = gr_lane_step_of(s, lane, NULL);
        if (!isfinite(of->loss) || of->bad_tensor > 0) {
            return lane;
        }
    }
    return -1;
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
        if (lanes[i].memory > sum->memory) {
            sum->memory = lanes[i].memory;
        }
    }
}

/// Each rank packs by itself, from the texts that it reads: a copy of the data that is damaged on one host would give it other
/// rows, with samples that come twice or never. The same verdict on every rank.
static gr_err check_packing(const gr_lane_step *s, int64_t step)
{
    gr_err err = GR_OK;
    for (int r = 1; r < s->world->size; r++) {
        if (!gr_digest_equal(s->all[r * longest_run(s)].packing, s->all[0].packing)) {
            GR_FAIL(
                GR_ERR_DATA,
                "step %lld: rank %d packed the samples otherwise than rank 0, so they do not read the same data (a copy that is "
                "damaged or was changed): run gradus data verify on the hosts of both",
                (long long)(step + 1), r);
        }
    }
done:
    return err;
}

/// This rank's lanes and the sum over all ranks'. A rank that fails takes part in what the others add, before all agree on the error.
static gr_err run_and_add(gr_lane_step *s, int64_t step)
{
    char message[4096];
    gr_err err = run_own_lanes(s, step);
    gr_failpoint(GR_AT_STEP_COMPUTED);
    gr_activity_phase(GR_PHASE_REDUCE);
    if (!s->lanes) {
        return err;
    }
    if (err == GR_OK) {
        return gr_lanes_reduce(s->lanes, &s->sum);
    }
    snprintf(message, sizeof message, "%s", gr_err_message());
    gr_err others = gr_lanes_abandon(s->lanes);
    return others != GR_OK ? others
                           : gr_err_set(err, __FILE__, __LINE__, __func__, "%s", message);
}

/// The samples of each source, over all ranks. Collective.
static gr_err add_sources(gr_lane_step *s)
{
    gr_err err = GR_OK;
    const int64_t count = s->sources ? s->sources->count : 0;
    if (count == 0) {
        goto done;
    }
    GR_TRY(gr_world_gather(s->world, s->sources_mine, (size_t)count * sizeof(int64_t),
                           s->sources_all));
    for (int64_t k = 0; k < count; k++) {
        s->of_sources[k] = 0;
        for (int r = 0; r < s->world->size; r++) {
            s->of_sources[k] += s->sources_all[r * count + k];
        }
        s->sources_mine[k] = 0;
    }
done:
    return err;
}

gr_err gr_lane_step_run(gr_lane_step *s, int64_t step, gr_lane_totals *out, bool *stop)
{
    gr_err err = GR_OK;
    int64_t asked = 0;
    size_t report = (size_t)longest_run(s) * sizeof *s->mine;
    memset(s->mine, 0, report);
    GR_TRY(gr_world_agree(s->world, run_and_add(s, step)));
    s->mine[0].memory = gr_mem_resident_peak(); // a rank has at least one lane
    GR_TRY(gr_world_max(s->world, gr_stop_requested(), &asked));
    GR_TRY(gr_world_gather(s->world, s->mine, report, s->all));
    GR_TRY(gr_world_alike(s->world, check_packing(s, step)));
    *out = (gr_lane_totals){.packing = s->all[0].packing};
    for (int r = 0; r < s->world->size; r++) {
        add_rank(s, r, out);
    }
    GR_TRY(add_sources(s));
    *stop = asked != 0;
done:
    return err;
}
