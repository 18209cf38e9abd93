#ifndef SRC_EVAL_REPORT_H
#define SRC_EVAL_REPORT_H

/// What run folders say, for a person: one HTML page that needs nothing else (no network, and no script for what it says), and the
/// same figures as JSON. Reads metrics.jsonl, recipe.json, capsule.json, ledger.jsonl, predictions.jsonl and the folders of
/// checkpoints; only metrics.jsonl must be there. A run that is under way may be looked at: a last line that is not complete is left out.

#include "src/base/json.h"

/// The page about these runs, several laid over each other, to the file `out`, old or new. GR_ERR_MISSING: a folder is no run.
GR_MUST_CHECK gr_err gr_report_write(const char *const *runs, int64_t count, const char *out);
/// {"runs": [{"run", "complete", "steps", "planned_steps" or null, "samples", "dropped", "tokens", "seconds", "memory", "starts", "checkpoints",
///   "stages": [{"name", "steps", "loss", "first_validation_loss", "validation_loss" (or null), "samples", "dropped", "tokens", "seconds",
///     "computing", "data_wait", "communication", "saving", "validating", "share_of_peak"}],
///   "left_out": [{"stage", "set", "path", "count", "reason": of the first}]}]}
/// `loss` is the mean of the last 20 steps; times are those of the writing rank, "seconds" all of a stage's together.
GR_MUST_CHECK gr_err gr_report_json(const char *const *runs, int64_t count, gr_json *json);

#endif
