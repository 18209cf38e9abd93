/// Read it from the bottom: gr_plan_create counts stage by stage.

#include "stages/plan_private.h"

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/ops/measure.h"

int gr_plan_local(const gr_plan_options *o)
{
    return (o->ranks + o->nodes - 1) / o->nodes;
}

int gr_plan_rank_of(const gr_plan *plan, int64_t lane)
{
    return (int)(((lane + 1) * plan->options.ranks - 1) / plan->recipe->lanes);
}

/// As gr_train refuses, and what only a plan can be asked.
static gr_err check_ranks(const gr_recipe *recipe, const gr_plan_options *o)
{
    gr_err err = GR_OK;
    if (o->ranks > recipe->lanes) {
        GR_FAIL(GR_ERR_RECIPE,
                "%d ranks, but the recipe has %lld lane%s: start at most as many", o->ranks,
                (long long)recipe->lanes, GR_PLURAL(recipe->lanes));
    }
    if (o->nodes > o->ranks) {
        GR_FAIL(GR_ERR_USAGE, "%d nodes for %d rank%s: at most one node a rank", o->nodes,
                o->ranks, GR_PLURAL(o->ranks));
    }
done:
    return err;
}

static gr_err count_stage(gr_plan *plan, gr_plan_stage *s, int64_t *kept)
{
    gr_err err = GR_OK;
    const gr_params *params = gr_model_get_params(plan->setup->model);
    GR_TRY(gr_setup_enter_stage(plan->setup, s->stage));
    for (int p = 0; p < GR_PART_COUNT; p++) {
        s->trained += s->stage->trains >> p & 1 ? params->size[p] : 0;
    }
    GR_TRY(gri_plan_list_rows(plan, s));
    GR_TRY(gri_plan_count_rows(plan, s));
    GR_TRY(gri_plan_count_full_row(plan, s));
    gri_plan_cost_ranks(plan, s);
    GR_TRY(gri_plan_count_files(plan, s));
    gri_plan_count_disk(plan, s, kept);
    plan->steps += s->steps;
done:
    return err;
}

static void take_addresses(gr_plan *plan)
{
    gr_arena *arena = plan->setup->exec->scratch;
    const gr_params *params = gr_model_get_params(plan->setup->model);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        plan->grads[p] = gr_arena_addresses(arena, params->size[p] * (int64_t)sizeof(float));
    }
    plan->nowhere = gr_arena_addresses(arena, 1);
}

/// So that the libraries which multiply have taken what they keep.
static gr_err multiply_once(gr_precision precision, int threads)
{
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    double rate = 0;
    GR_TRY(gr_exec_create_cpu(threads, 0, &ex));
    if (gr_exec_set_precision(ex, precision) != GR_OK) {
        gr_err_clear(); // planned for another machine
    }
    GR_TRY(gr_product_measure(ex, 0, gr_clock, &rate));
done:
    gr_exec_destroy(&ex);
    return err;
}

gr_err gr_plan_create(const gr_recipe *recipe, const gr_plan_options *options, gr_plan **out)
{
    gr_err err = GR_OK;
    gr_plan *plan = NULL;
    int64_t kept = 0;
    GR_TRY(check_ranks(recipe, options));
    GR_ALLOC(plan, 1);
    plan->recipe = recipe;
    plan->options = *options;
    GR_TRY(gr_setup_create_planned(recipe, options->threads, &plan->setup));
    GR_TRY(multiply_once(recipe->precision, options->threads));
    plan->program = gr_mem_resident();
    take_addresses(plan);
    GR_ALLOC(plan->last, 1);
    GR_ALLOC(plan->stages, recipe->stage_count);
    for (int64_t i = 0; i < recipe->stage_count; i++) {
        plan->stages[i].stage = &recipe->stages[i];
        GR_TRY(count_stage(plan, &plan->stages[i], &kept));
    }
    *out = plan;
    plan = NULL;
done:
    gr_plan_destroy(&plan);
    return err;
}

void gr_plan_destroy(gr_plan **plan)
{
    gr_plan *x = *plan;
    if (!x) {
        return;
    }
    for (int64_t i = 0; x->stages && i < x->recipe->stage_count; i++) {
        GR_FREE(x->stages[i].rows);
        GR_FREE(x->stages[i].lengths);
    }
    GR_FREE(x->stages);
    GR_FREE(x->last);
    gr_setup_destroy(&x->setup);
    GR_FREE(*plan);
}
