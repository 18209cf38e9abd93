#include "stages/step_report.h"

#include "mpi/messages.h"
#include "src/base/activity.h"
#include "src/base/failpoint.h"
#include "src/base/log.h"
#include "stages/metrics.h"
#include "stages/peak.h"

#include <math.h>
#include <stdio.h>

static const double seconds_between_lines = 5.0;
static const double gib = 1 << 30;

gri_step_clock gri_step_clock_start(const gr_stage_run *r)
{
    return (gri_step_clock){.began = gr_clock(),
                            .data_wait = gr_loader_waited(r->loader),
                            .communication = gr_activity_waited()};
}

/// "held-out 1.2345 (step 8)  ", "" before the first validation.
static void describe_validation(const gr_trainer *t, char *text, size_t size)
{
    text[0] = '\0';
    if (isfinite(t->last_validation) && t->validated_step > 0) {
        snprintf(text, size, "held-out %.4f (step %lld)  ", t->last_validation,
                 (long long)t->validated_step);
    } else if (isfinite(t->last_validation)) {
        snprintf(text, size, "held-out %.4f (at first)  ", t->last_validation);
    }
}

static void describe_memory(int64_t bytes, char *text, size_t size)
{
    const bool much = (double)bytes >= gib;
    snprintf(text, size, "%.*f %s", much, (double)bytes / (much ? gib : gib / 1024),
             much ? "GiB" : "MiB");
}

/// Speeds are means since the line before; what is left is of this stage. What a narrow terminal has no room for stands last.
static void show_progress(const gr_trainer *t, gr_stage_run *r, const gr_step_metrics *m)
{
    char held_out[80], left[GR_TIME_TEXT], others[48] = "", memory[32];
    const gr_pace_sum step = {.steps = 1,
                              .samples = m->samples,
                              .tokens = m->tokens,
                              .seconds = m->seconds,
                              .data_wait = m->data_wait,
                              .communication = m->communication,
                              .operations = m->operations};
    const gr_pace_sum mean = gr_pace_add(&r->pace, seconds_between_lines, &step);
    const double percent = 100.0 / mean.seconds;
    describe_validation(t, held_out, sizeof held_out);
    describe_memory(m->memory, memory, sizeof memory);
    gr_time_format(mean.seconds / (double)mean.steps * (double)(r->steps - m->step), left);
    if (t->world->size > 1) {
        snprintf(others, sizeof others, "  communication %.0f%%", mean.communication * percent);
    }
    bool stays = gr_progress_update(
        seconds_between_lines,
        "stage %lld/%lld %s  step %lld/%lld  loss %.4f  %s left  %.1f samples/s  "
        "%s%.0f tokens/s  %.1f%% of peak  data wait %.0f%%%s  memory %s",
        (long long)t->progress.stage + 1, (long long)t->recipe->stage_count, r->stage->name,
        (long long)m->step, (long long)r->steps, m->loss, left,
        (double)mean.samples / mean.seconds, held_out, (double)mean.tokens / mean.seconds,
        mean.operations / t->peak * percent, mean.data_wait * percent, others, memory);
    if (stays) {
        gr_pace_restart(&r->pace);
    }
}

/// Share of the rows that holds tokens.
static double fill_of(const gr_stage_run *r, const gr_lane_totals *totals)
{
    return totals->rows > 0 ? (double)totals->tokens / (double)totals->rows /
                                  (double)r->stage->sequence_length
                            : 0.0;
}

/// Pictures of the lane with most over the lanes' mean.
static double balance_of(const gr_trainer *t, const gr_lane_totals *totals)
{
    return totals->images > 0
               ? (double)(totals->most_images * t->recipe->lanes) / (double)totals->images
               : 1.0;
}

static gr_step_metrics measure(const gr_trainer *t, const gr_stage_run *r,
                               const gr_step_result *result, const gri_step_clock *clock)
{
    const gr_lane_totals *totals = &result->totals;
    const gri_step_clock now = gri_step_clock_start(r);
    const double seconds = now.began - clock->began;
    const double operations = gr_peak_operations(t->setup->model, r->stage->trains, totals);
    return (gr_step_metrics){.stage = r->stage->name,
                             .update = t->progress.updates,
                             .step = t->progress.step,
                             .loss = totals->loss / (double)totals->targets,
                             .report = result->update,
                             .samples = totals->samples,
                             .tokens = totals->tokens,
                             .targets = totals->targets,
                             .images = totals->images,
                             .rows = totals->rows,
                             .dropped = totals->dropped,
                             .skipped = result->skipped,
                             .sources = r->train.sources ? r->train.sources->count : 0,
                             .of_sources = r->train.of_sources,
                             .fill = fill_of(r, totals),
                             .image_balance = balance_of(t, totals),
                             .seconds = seconds,
                             .data_wait = now.data_wait - clock->data_wait,
                             .communication = now.communication - clock->communication,
                             .saving = t->saving,
                             .operations = operations,
                             .share_of_peak = operations / seconds / t->peak,
                             .sent = gr_messages_sent() - t->sent,
                             .memory = totals->memory};
}

gr_err gri_step_report(gr_trainer *t, gr_stage_run *r, const gr_step_result *result,
                       const gri_step_clock *clock)
{
    gr_err err = GR_OK;
    if (gri_trainer_leads(t)) {
        const gr_step_metrics m = measure(t, r, result, clock);
        show_progress(t, r, &m);
        err = gr_metrics_add_step(t->options->run, &m, t->events);
        gr_failpoint(GR_AT_STEP_MEASURED);
        err = err || !result->digests
                  ? err
                  : gri_step_digest_append(t->options->run, result->digests);
    }
    t->saving = 0.0;
    t->sent = gr_messages_sent();
    gr_failpoint(GR_AT_STEP_RECORDED);
    return gr_world_agree(t->world, err);
}
