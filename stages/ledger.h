#ifndef STAGES_LEDGER_H
#define STAGES_LEDGER_H

/// RUN/ledger.jsonl: one JSON object a line for each sample that had weight 0, in the order of lanes, the same for every
/// number of ranks:
///   {"update", "stage", "step", "set": "data" | "validation", "lane", "path", "index", "reason"}
/// and for what a loss or gradient that is not finite came to (nonfinite.h):
///   {"update", "stage", "step", "set": "data", "lane", ["path", "index", "id", "source",] "nonfinite", "reason"}
/// "nonfinite" is "skipped" (a sample of a step that made no update), "transient" (computed again the step was finite), "sample" (it is not
/// finite alone) or "no sample" (the lane, or the sum where lane is -1, is not finite, but no sample alone).
/// `update` and `step` as in metrics.jsonl; `path` and `index` are the data set and the sample's number in it.

#include "datasets/loader.h"
#include "mpi/world.h"
#include "src/base/str.h"

extern const char gr_ledger_name[];

/// Where in the run samples were left out.
typedef struct gr_ledger_place {
    const char *stage, *set;
    int64_t update, step;
} gr_ledger_place;

/// Adds what a lane left out to `notes`.
GR_MUST_CHECK gr_err gr_ledger_note(gr_str *notes, int64_t lane, const gr_lane_batch *batch);
/// Adds a line about what is not finite; dataset NULL: about no sample.
GR_MUST_CHECK gr_err gr_ledger_note_nonfinite(gr_str *notes, const char *what, int64_t lane,
                                              const gr_dataset *dataset, int64_t index,
                                              const char *reason);
/// The reason of the first note, in new memory (GR_FREE); NULL: there is none.
GR_MUST_CHECK gr_err gr_ledger_first_reason(const gr_str *notes, char **reason);
/// Collective. Rank 0 writes the notes of all ranks; notes are empty afterwards.
GR_MUST_CHECK gr_err gr_ledger_write(const gr_world *world, const char *run,
                                     const gr_ledger_place *place, gr_str *notes);
/// Collective. Rank 0 writes the notes of all ranks and warns of the `dropped` samples; notes are empty afterwards.
GR_MUST_CHECK gr_err gr_ledger_add(const gr_world *world, const char *run,
                                   const gr_ledger_place *place, gr_str *notes,
                                   int64_t dropped);

#endif
