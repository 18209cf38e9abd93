/// What ranks need for a stage besides its rows, and what they send and save.

#include "stages/plan_private.h"

#include "mpi/lanes.h"
#include "stages/share_state.h"
#include "stages/updater.h"

static gr_world world_of(const gr_plan *plan, int rank)
{
    return gr_world_imagined(rank, plan->options.ranks, gr_plan_local(&plan->options));
}

/// Ranks whose costs are looked at: the first, the last, and some between, since they differ by a block or a lane.
enum { LOOKED_AT = 16 };

static int rank_looked_at(const gr_plan *plan, int i)
{
    const int ranks = plan->options.ranks;
    return ranks <= LOOKED_AT ? i : (int)((int64_t)i * (ranks - 1) / (LOOKED_AT - 1));
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t bytes_of_weights(const gr_plan *plan)
{
    const gr_params *params = gr_model_get_params(plan->setup->model);
    int64_t count = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        count += params->size[p];
    }
    return count * (int64_t)sizeof(float);
}

/// What the loader holds for a rank: three lanes of pictures and ids, and what it keeps of three windows' texts (loader.c, prefetch.c).
static int64_t bytes_of_data(const gr_plan *plan, const gr_plan_stage *s)
{
    enum { LANES = 3, WINDOWS = 3, MOST_KEPT = 32 << 20 };
    const gr_model_config *config = gr_model_get_config(plan->setup->model);
    const gr_vision_config *v = &config->vision;
    const int64_t picture = v->image_size * v->image_size * v->channels;
    int64_t most = 0, lane = 0, kept = 0;
    for (int64_t i = 0; i < s->row_count; i++) {
        const gr_plan_row *row = &s->rows[i];
        const bool same =
            i > 0 && s->rows[i - 1].step == row->step && s->rows[i - 1].lane == row->lane;
        lane = (same ? lane : 0) + row->images * picture +
               row->tokens * 4 * (int64_t)sizeof(int32_t);
        most = larger(most, lane);
    }
    kept = (int64_t)(s->tokens * (double)s->stage->window * 2.5 * sizeof(int32_t));
    return LANES * most + WINDOWS * (kept < MOST_KEPT ? kept : MOST_KEPT);
}

/// Whether a checkpoint is written inside the stage, beside training.
static bool copies(const gr_plan *plan, const gr_plan_stage *s)
{
    const gr_recipe *r = plan->recipe;
    return r->checkpoint_every > 0 && r->checkpoint_background &&
           plan->steps + s->steps >= r->checkpoint_every;
}

void gri_plan_cost_ranks(gr_plan *plan, gr_plan_stage *s)
{
    gr_range parts[GR_PART_COUNT];
    const gr_params *params = gr_model_get_params(plan->setup->model);
    const bool bf16 = plan->recipe->precision == GR_PRECISION_BF16;
    const int64_t weights = bytes_of_weights(plan),
                  n = gr_updater_layout(params, s->stage->trains, parts);
    const int count = plan->options.ranks < LOOKED_AT ? plan->options.ranks : LOOKED_AT;
    gr_plan_memory m = s->memory;
    m.data = bytes_of_data(plan, s);
    for (int i = 0; i < count; i++) {
        const gr_world world = world_of(plan, rank_looked_at(plan, i));
        int64_t given_back = 0;
        const gr_cost lanes = gr_lanes_cost(&world, plan->recipe->lanes, n);
        const gr_cost update =
            gr_updater_cost(&world, params, s->stage->trains, bf16, &given_back);
        const gr_owned owned = gr_owned_of(n, world.rank, world.size);
        const int64_t state = 3 * gr_owned_count(&owned) * (int64_t)sizeof(float);
        const gr_plan_memory here = {.weights = weights + (bf16 ? weights / 2 : 0) - given_back,
                                     .gradients = lanes.memory,
                                     .moments = update.memory,
                                     .activations = m.activations,
                                     .data = m.data,
                                     .copy = copies(plan, s) ? state : 0,
                                     .search = gr_adalrs_is_set(&s->stage->adalrs) ? state : 0};
        const int64_t kept =
            here.moments + here.activations + here.data + here.copy + here.search;
        const int64_t all = here.weights + here.gradients + kept;
        const int64_t border = here.weights + given_back + kept;
        if (larger(all, border) > s->memory.most) {
            s->memory = here;
            s->memory.border = border;
            s->memory.most = larger(all, border);
        }
        s->sent = larger(s->sent, lanes.sent + update.sent);
        s->sent_first = world.rank == 0 ? lanes.sent + update.sent : s->sent_first;
    }
}

gr_err gri_plan_count_files(gr_plan *plan, gr_plan_stage *s)
{
    gr_err err = GR_OK;
    gr_model *model = plan->setup->model;
    gr_world world = gr_world_imagined(0, 1, 1);
    gr_updater u = {.world = &world,
                    .trains = s->stage->trains,
                    .first = plan->nowhere,
                    .second = plan->nowhere};
    gri_share share = {.world = &world};
    u.size = gr_updater_layout(gr_model_get_params(model), u.trains, u.parts);
    u.own = gr_owned_of(u.size, 0, 1);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (!(gr_model_get_config(model)->parts >> p & 1)) {
            continue;
        }
        GR_TRY(gri_share_add_part(&share, model, (gr_part)p, &u, NULL));
        const int64_t bytes = share.files[share.file_count - 1].bytes;
        s->saved += bytes;
        s->saved_anew += u.trains >> p & 1 ? bytes : 0;
    }
    GR_TRY(gri_share_add_moments(&share, gr_model_get_params(model), &u, NULL));
    s->saved += share.files[share.file_count - 1].bytes;
    s->saved_anew += share.files[share.file_count - 1].bytes;
done:
    gri_share_fini(&share);
    return err;
}

/// Checkpoints that stay for good among steps (from, to] of the run.
static int64_t kept_for_good(const gr_recipe *r, int64_t from, int64_t to)
{
    const int64_t every = r->checkpoint_keep_every;
    return every > 0 && r->checkpoint_every > 0 ? to / every - from / every : 0;
}

/// Checkpoints at which a search for the learning rate begins a try, at most.
static int64_t tries(const gr_plan_stage *s)
{
    int64_t first = 0, last = 0;
    if (!gr_adalrs_is_set(&s->stage->adalrs)) {
        return 0;
    }
    gr_adalrs_range(&s->stage->adalrs, s->steps, &first, &last);
    return (last - first) / s->stage->adalrs.window;
}

void gri_plan_count_disk(const gr_plan *plan, gr_plan_stage *s, int64_t *before)
{
    const gr_recipe *r = plan->recipe;
    const int64_t end = plan->steps + s->steps;
    const int64_t inside =
        tries(s) + (r->checkpoint_every > 0
                        ? end / r->checkpoint_every - plan->steps / r->checkpoint_every
                        : 0);
    const int64_t newest = inside < r->checkpoint_keep ? inside : r->checkpoint_keep;
    *before += kept_for_good(r, plan->steps, end) * s->saved;
    s->disk = *before + (newest + 1) * s->saved_anew + (s->saved - s->saved_anew);
}
