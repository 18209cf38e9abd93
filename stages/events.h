#ifndef STAGES_EVENTS_H
#define STAGES_EVENTS_H

/// RUN/events.out.tfevents.NNNNNNNNNN.gradus: metrics.jsonl for TensorBoard, rank 0's. Steps are updates, counted over the whole run.
///   loss/training, loss/validation/STAGE, learning_rate/PART, gradient_norm, stage (1, 2 ...), speed/samples_per_second,
///   speed/tokens_per_second, speed/share_of_peak, seconds/step, seconds/data_wait, seconds/communication, seconds/saving, memory_gib
/// Each value is the fp32 nearest to what metrics.jsonl has, or to the quotient of two of its numbers (speeds, GiB).
///
/// A start makes the file anew from metrics.jsonl, which has been cut to where the run stands, under the next number: no step stands there
/// twice. Its second record says that a session begins at step 0, so a TensorBoard that had been reading the file before forgets
/// what came from there. That one stays, empty: TensorBoard goes on to the next name from a file that has no more, and from a file
/// that is gone it never does. Older ones are removed.

#include "src/base/err.h"

typedef struct gr_events gr_events;

/// From RUN/metrics.jsonl as it is; none is an empty one.
GR_MUST_CHECK gr_err gr_events_create(const char *run, gr_events **out);
void gr_events_destroy(gr_events **events);
/// Appends what a line of metrics.jsonl says.
GR_MUST_CHECK gr_err gr_events_add(gr_events *events, const char *line, size_t size);

#endif
