#include "stages/plan_time.h"

#include "mpi/lanes.h"
#include "src/base/mem.h"

#include <string.h>

/// Seconds of an operation like this one that the pass had not: of the same at another width, by operations or by numbers.
static double seconds_of_others(const gr_tally *pass, const gr_tally_item *item)
{
    double seconds = 0, work = 0;
    const bool multiplies = item->flops > 0;
    for (int i = 0; i < pass->count; i++) {
        const gr_tally_item *p = &pass->items[i];
        const bool same = strcmp(p->op, item->op) == 0;
        if (same || (multiplies && p->flops > 0 && work == 0)) {
            seconds += p->seconds;
            work += multiplies ? p->flops : p->amount * (double)p->width[0];
        }
    }
    const double wanted = multiplies ? item->flops : item->amount * (double)item->width[0];
    return work > 0 ? seconds / work * wanted : 0;
}

/// Seconds of a pass; *unknown gets those of operations that were not measured.
static double seconds_of(const gr_tally *pass, const gr_tally *tally, double *unknown)
{
    double seconds = 0;
    for (int i = 0; i < tally->count; i++) {
        const gr_tally_item *item = &tally->items[i];
        const gr_tally_item *known = gr_tally_find(pass, item->op, item->width);
        if (known && known->amount > 0) {
            seconds += known->seconds / known->amount * item->amount;
        } else {
            const double others = seconds_of_others(pass, item);
            seconds += others;
            *unknown += others;
        }
    }
    return seconds;
}

/// Passes: the mean over the steps of the rank that takes longest. *shortest: of any row, the least behind which messages hide.
static gr_err time_passes(gr_plan *plan, const gr_plan_stage *s, const gr_plan_rates *rates,
                          gr_plan_times *out, double *row_seconds)
{
    gr_err err = GR_OK;
    double *ranks = NULL, worst = 0, all = 0, unknown = 0, total = 0;
    const gr_tally *tally = NULL;
    GR_ALLOC(ranks, plan->options.ranks);
    for (int64_t i = 0; i < s->row_count; i++) {
        const gr_plan_row *row = &s->rows[i];
        int64_t memory = 0;
        GR_TRY(gr_plan_count_row(plan, s, row, &tally, &memory));
        const double seconds = seconds_of(rates->pass, tally, &unknown);
        double *rank = &ranks[gr_plan_rank_of(plan, row->lane)];
        *rank += seconds;
        total += seconds;
        worst = *rank > worst ? *rank : worst;
        if (i == s->row_count - 1 || s->rows[i + 1].step != row->step) {
            all += worst;
            worst = 0;
            memset(ranks, 0, (size_t)plan->options.ranks * sizeof *ranks);
        }
    }
    out->compute = all / (double)s->seen;
    out->unknown = total > 0 ? unknown / total : 0;
    *row_seconds = total / (double)s->row_count;
done:
    GR_FREE(ranks);
    return err;
}

static double part_sizes(const gr_plan *plan, gr_part_set parts)
{
    const gr_params *params = gr_model_get_params(plan->setup->model);
    double count = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        count += parts >> p & 1 ? (double)params->size[p] : 0;
    }
    return count;
}

/// What a rank does with vectors of what trains, `lanes` of them its own.
static void time_update(const gr_plan *plan, const gr_plan_stage *s, const gr_plan_rates *r,
                        gr_plan_times *out)
{
    const double ranks = plan->options.ranks, n = (double)s->trained, own = n / ranks;
    const int64_t lanes = (plan->recipe->lanes + plan->options.ranks - 1) / plan->options.ranks;
    static const int64_t vector[2] = {1, 0};
    const gr_tally_item *rounds = gr_tally_find(r->pass, "round", vector);
    const double round = rounds && rounds->amount > 0 ? rounds->seconds / rounds->amount : 0;
    const bool bf16 = plan->recipe->precision == GR_PRECISION_BF16;
    out->update = (double)lanes * n * r->clear + (double)(lanes - 1) * n * r->add +
                  own * (r->squares + r->adamw) +
                  (bf16 ? own * (round > 0 ? round : r->clear) : 0);
    if (plan->recipe->digests_every > 0) {
        const double lane = plan->recipe->digests_lanes ? (double)lanes * n : 0;
        const double weights = 2 * part_sizes(plan, GR_PARTS_ALL) / plan->options.threads;
        out->digests =
            (lane + weights + 3 * own) * r->digest / (double)plan->recipe->digests_every;
    }
}

/// Sums and parameters. Inside a node the ranks move them between passes; between nodes meanwhile, and what hides is as long as
/// backward of the last row and forward of the next step's first (lane_step.c, updater.c).
static void time_messages(const gr_plan *plan, const gr_plan_stage *s, const gr_plan_rates *r,
                          const gr_plan_machine *m, double row, gr_plan_times *out)
{
    const gr_plan_options *o = &plan->options;
    const int local = gr_plan_local(o);
    const gr_world world = gr_world_imagined(0, o->ranks, local);
    const double sent = (double)s->sent, others = o->ranks > 1 ? o->ranks - 1 : 1;
    const double away = o->nodes > 1 ? sent * (double)(o->ranks - local) / others : 0;
    double seconds = (sent - away) * r->send * m->scale;
    seconds += m->network > 0 ? away * local / m->network : 0;
    if (gr_messages_of(&world).overlap == GR_OVERLAP_ALWAYS) {
        seconds = seconds > row ? seconds - row : 0;
    }
    out->messages = seconds;
}

gr_err gr_plan_time(gr_plan *plan, const gr_plan_stage *stage, const gr_plan_rates *rates,
                    const gr_plan_machine *machine, gr_plan_times *out)
{
    gr_err err = GR_OK;
    double row = 0;
    const double batch = (double)stage->stage->global_batch;
    *out = (gr_plan_times){0};
    GR_TRY(gr_setup_enter_stage(plan->setup, stage->stage));
    GR_TRY(time_passes(plan, stage, rates, out, &row));
    time_update(plan, stage, rates, out);
    out->data = (batch * rates->text + batch / plan->options.ranks * rates->picture) /
                plan->options.threads;
    out->compute *= machine->scale;
    out->update *= machine->scale;
    out->digests *= machine->scale;
    out->data *= machine->scale;
    time_messages(plan, stage, rates, machine, row * machine->scale, out);
    out->step = out->compute + out->update + out->digests + out->data + out->messages;
    out->stage = out->step * (double)stage->steps;
done:
    return err;
}
