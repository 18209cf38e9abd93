#ifndef STAGES_METRICS_H
#define STAGES_METRICS_H

/// RUN/metrics.jsonl: one JSON object per line and update, written by one rank.
///   {"update", "stage", "step", "loss", "grad_norm", "learning_rate", "samples", "tokens", "targets",
///    "images", "seconds", "data_wait"}              after each update
///   {"update", "stage", "step", "validation_loss", "validation_targets"}   after each validation
/// `update` counts over the whole run; losses are nats per target token.

#include "src/base/json.h"
#include "stages/updater.h"

typedef struct gr_step_metrics {
    const char *stage;
    int64_t update, step;
    double loss;
    gr_update_report report;
    int64_t samples, tokens, targets, images; ///< of this step
    double seconds, data_wait;                ///< of this step, on the writing rank
} gr_step_metrics;

/// Keeps the lines up to and including `update`, drops later ones: what a restart makes anew. `border`: it restarts
/// at the first step of a stage, so the validation before that step (its step is 0) is made anew too.
GR_MUST_CHECK gr_err gr_metrics_truncate(const char *run, int64_t update, bool border);
GR_MUST_CHECK gr_err gr_metrics_add_step(const char *run, const gr_step_metrics *m);
GR_MUST_CHECK gr_err gr_metrics_add_validation(const char *run, const char *stage,
                                               int64_t update, int64_t step, double loss,
                                               int64_t targets);

#endif
