#ifndef STAGES_METRICS_H
#define STAGES_METRICS_H

/// RUN/metrics.jsonl: one JSON object per line and update, written by one rank.
///   {"update", "step", "precision", "threads", "kernel"}   the first line: what the run began with, threads of a rank
///   {"update", "stage", "step", "loss", "grad_norm", "learning_rate", "samples", "tokens", "targets",
///    "images", "rows", "fill", "image_balance", "dropped", "sources", "seconds", "data_wait", "communication", "saving",
///    "share_of_peak", "sent", "memory", "time"}   after each update
///   the same with "skipped": true before "seconds", rates of 0 and null for what is not finite   where no update was made (nonfinite.h)
///   {"update", "stage", "step", "validation_loss", "validation_targets", "seconds", "time"}   after each validation
///   {"update", "stage", "step", "ended": "target" | "plateau"}   where a stage ended before its planned steps
///   {"update", "stage", "step", "adalrs": "faster" | "neither" | "slower" | "rises", "velocity", "error", "tried_velocity", "tried_error", "scale"}   what
///    a stage's search for its learning rate decided (adalrs.h; scale: the factor of the rates from the next step on)
/// `update` counts over the whole run; rows are packed rows (microbatches), fill is the share of them that holds tokens, image_balance the pictures
/// of the lane with most over the lanes' mean, dropped the samples that ledger.jsonl lists (ledger.h); losses are nats per target token.
/// sources (a list, where the stage has several data sets) says how many of the samples came from each, in the recipe's order.
/// What depends on the machine stands last, from `seconds` on: those of this step on the writing rank; of them, those in which it waited for samples
/// (data_wait) and for messages of other ranks (communication). Besides them, seconds in which saves held the run since the step
/// before (saving); share_of_peak: the operations of the step's products (src/model/flops.h) over its seconds and the rate of the product alone on all
/// ranks (peak.h); sent: bytes of sums and parameters that the writing rank sent since the line before;
/// memory: most bytes of any rank so far; time: since the epoch, when the line was written.

#include "src/base/json.h"
#include "stages/events.h"
#include "stages/updater.h"

extern const char gr_metrics_name[];

typedef struct gr_step_metrics {
    const char *stage;
    int64_t update, step;
    double loss;
    gr_update_report report;
    int64_t samples, tokens, targets, images; ///< of this step
    int64_t rows, dropped;                    ///< microbatches; samples of weight 0
    bool skipped;                             ///< no update was made of it
    double fill;                              ///< tokens over rows times sequence_length
    double image_balance;      ///< pictures of the lane with most over the lanes' mean
    int64_t sources;           ///< that are counted apart; 0: none
    const int64_t *of_sources; ///< [sources], borrowed
    double seconds, data_wait, communication; ///< of this step, on the writing rank
    double saving;                            ///< since the step before
    double operations, share_of_peak;         ///< the first is not written
    int64_t sent; ///< bytes of sums and parameters that it sent since the line before
    int64_t memory;
} gr_step_metrics;

typedef struct gr_validation_metrics {
    const char *stage;
    int64_t update, step;
    double loss;
    int64_t targets;
    double seconds;
} gr_validation_metrics;

/// What a stage's search for its learning rate decided.
typedef struct gr_search_metrics {
    const char *stage;
    int64_t update, step;
    gr_adalrs_found found;
    double scale; ///< of the rates from the next step on
} gr_search_metrics;

/// Keeps the lines up to and including `update`, drops later ones: what a restart makes anew. `border`: it restarts
/// at the first step of a stage, so the validation before that step (its step is 0) is made anew too.
GR_MUST_CHECK gr_err gr_metrics_truncate(const char *run, int64_t update, bool border);
/// The same for another file of such lines in the run folder.
GR_MUST_CHECK gr_err gr_lines_truncate(const char *run, const char *file, int64_t update,
                                       bool border);
/// The newest held-out loss of the stage in the file, and its step; they stay as they are when there is none.
GR_MUST_CHECK gr_err gr_metrics_last_validation(const char *run, const char *stage,
                                                double *loss, int64_t *step);
/// After which step the stage ended before its planned ones; *step stays as it is when it did not.
GR_MUST_CHECK gr_err gr_metrics_find_end(const char *run, const char *stage, int64_t *step);
/// The newest update that a step's line is about; *update stays as it is when there is none.
GR_MUST_CHECK gr_err gr_metrics_last_update(const char *run, int64_t *update);
/// What the run begins with, before gr_events_create; then a line each, which also goes to `events`.
GR_MUST_CHECK gr_err gr_metrics_add_start(const char *run, const char *precision, int threads,
                                          const char *kernel);
GR_MUST_CHECK gr_err gr_metrics_add_step(const char *run, const gr_step_metrics *m,
                                         gr_events *events);
GR_MUST_CHECK gr_err gr_metrics_add_validation(const char *run, const gr_validation_metrics *m,
                                               gr_events *events);
GR_MUST_CHECK gr_err gr_metrics_add_search(const char *run, const gr_search_metrics *m,
                                           gr_events *events);
/// `reason`: gr_end_names.
GR_MUST_CHECK gr_err gr_metrics_add_end(const char *run, const char *stage, int64_t update,
                                        int64_t step, const char *reason, gr_events *events);

#endif
