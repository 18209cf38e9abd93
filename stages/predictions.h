#ifndef STAGES_PREDICTIONS_H
#define STAGES_PREDICTIONS_H

/// RUN/predictions.jsonl: what a run's model answers to held-out samples, for a report. A line each:
///   {"model": "final" or "checkpoints/update-N", "set": path of the data set, "index", "id": of the sample's source, "task", "question", "expected",
///    "answer", "same": whether both texts are the same but for white space around them, "end": "stop" | "length" | "positions",
///    "pictures": [{"width", "height", "webp": base64}]}
/// Asked is the first question of each conversation, with the template and the system message of the stage. Pictures are small copies,
/// for people; the model sees those of the data set.

#include "src/base/err.h"

#include <stdint.h>

typedef struct gr_predictions_options {
    const char *run;
    /// data set of the questions; NULL: the held-out data of the last stage that has some
    const char *data;
    int64_t count;   ///< samples, at equal distances over the data; fewer where it has fewer
    int64_t max_new; ///< most tokens of an answer
    int threads;
} gr_predictions_options;

/// Answers with RUN/final or, where there is none, the newest whole checkpoint. Paths of the recipe are relative to the current folder. A
/// sample that the model cannot be asked about (too long, damaged) is left out with a warning. One process.
GR_MUST_CHECK gr_err gr_predictions_make(const gr_predictions_options *options);

#endif
