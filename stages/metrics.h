#ifndef STAGES_METRICS_H
#define STAGES_METRICS_H

/// RUN/metrics.jsonl: one JSON object per line and update, written by one rank.
///   {"update", "step", "precision", "threads", "kernel"}   the first line: what the run began with, threads of a rank
///   {"update", "stage", "step", "loss", "grad_norm", "learning_rate", "samples", "tokens", "targets",
///    "images", "rows", "fill", "image_balance", "dropped", "seconds", "data_wait"}   after each update
///   {"update", "stage", "step", "validation_loss", "validation_targets"}   after each validation
/// `update` counts over the whole run; rows are packed rows (microbatches), fill is the share of them that holds tokens, image_balance the pictures
/// of the lane with most over the lanes' mean, dropped the samples that ledger.jsonl lists (ledger.h); losses are nats per target token.

#include "src/base/json.h"
#include "stages/updater.h"

typedef struct gr_step_metrics {
    const char *stage;
    int64_t update, step;
    double loss;
    gr_update_report report;
    int64_t samples, tokens, targets, images; ///< of this step
    int64_t rows, dropped;                    ///< microbatches; samples of weight 0
    double fill;                              ///< tokens over rows times sequence_length
    double image_balance;      ///< pictures of the lane with most over the lanes' mean
    double seconds, data_wait; ///< of this step, on the writing rank
} gr_step_metrics;

/// Keeps the lines up to and including `update`, drops later ones: what a restart makes anew. `border`: it restarts
/// at the first step of a stage, so the validation before that step (its step is 0) is made anew too.
GR_MUST_CHECK gr_err gr_metrics_truncate(const char *run, int64_t update, bool border);
/// The same for another file of such lines in the run folder.
GR_MUST_CHECK gr_err gr_lines_truncate(const char *run, const char *file, int64_t update,
                                       bool border);
/// The newest held-out loss of the stage in the file, and its step; they stay as they are when there is none.
GR_MUST_CHECK gr_err gr_metrics_last_validation(const char *run, const char *stage,
                                                double *loss, int64_t *step);
GR_MUST_CHECK gr_err gr_metrics_add_start(const char *run, const char *precision, int threads,
                                          const char *kernel);
GR_MUST_CHECK gr_err gr_metrics_add_step(const char *run, const gr_step_metrics *m);
GR_MUST_CHECK gr_err gr_metrics_add_validation(const char *run, const char *stage,
                                               int64_t update, int64_t step, double loss,
                                               int64_t targets);

#endif
