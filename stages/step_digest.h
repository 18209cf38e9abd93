#ifndef STAGES_STEP_DIGEST_H
#define STAGES_STEP_DIGEST_H

/// Digests of what one step computed, from its data to its new weights: RUN/digests.jsonl, one JSON object a line, the same
/// bytes on any number of ranks and threads and after any stop. The first line says what the run is made of:
///   {"update": 0, "step": 0, "schema": 1, "identity": {...}, "sets": [PATH, ...], "tensors": {PART: [NAME, ...], ...}}
/// then one for each update that is recorded (every `digests.every`th, each stage's first and last), in the order in which a step comes about:
///   "update", "stage", "step"   as in metrics.jsonl
///   "before"           {PART: D}: the weights of each part that the step began with
///   "lanes"            [{"samples": TEXT, "data": D, "loss": L, "gradient": D}, ...]: the data that a lane read, the sum of its token
///                      losses, its gradient. TEXT has "SET:INDEX:TOKENS[:PIXELS]" of each sample, the last two digests of 8 digits
///   "lane_gradients"   {PART: DD...}: for each tensor of what trains, the lanes' gradients together, before they are added
///   "targets", "gradients"      over how many target tokens the sum goes; {PART: DD...}: the sum over the lanes
///   "grad_norm", "scale", "learning_rate"   what the update made of it
///   "first_moments", "second_moments", "weights"   {PART: DD...}: after the update
/// A step that made no update (nonfinite.h) has a line whatever `digests.every` is, unless it is 0:
///   {"update", "stage", "step", "skipped": REASON}
/// D are 16 hexadecimal digits, DD... one D for each tensor in the order of "tensors" (tensor_digest.h).
///
/// On the way each rank's copy of all weights is digested before and after a recorded step, and all must be the same, and the same as
/// after the step before when that was recorded: a bit that flipped in one rank's memory ends the run, naming rank and tensor.
///
/// Intended use, on all ranks: begin; lane for each own lane; sum; finish. Inside this room.

#include "stages/identity.h"
#include "stages/lane_step.h"
#include "stages/updater.h"

extern const char gri_digests_name[];
enum { GRI_DIGESTS_SCHEMA = 1 };

typedef struct gri_step_place {
    const char *stage;
    int64_t update, step; ///< of which it is the number when it is done: the first is 1
} gri_step_place;

/// For one stage; pointers are borrowed. Not collective.
GR_MUST_CHECK gr_err gri_step_digest_create(const gr_world *world, const gr_setup *setup,
                                            gr_updater *updater, int threads,
                                            gr_step_digest **out);
void gri_step_digest_destroy(gr_step_digest **digest);

/// From now on this update is recorded and no other: the next one that is to be compared (run_verify.h).
void gri_step_digest_only(gr_step_digest *d, int64_t update);
/// Before the step; `last`: it is the stage's. What is not recorded costs nothing. GR_ERR_FAILED: copies of the weights differ. Collective.
GR_MUST_CHECK gr_err gri_step_digest_begin(gr_step_digest *d, const gri_step_place *place,
                                           bool last);
/// Whether this step is recorded.
bool gri_step_digest_active(const gr_step_digest *d);
/// A lane is computed. Not collective.
GR_MUST_CHECK gr_err gri_step_digest_lane(gr_step_digest *d, int64_t lane,
                                          const gr_lane_batch *batch, double loss,
                                          const float *gradient);
/// `gradient` as gr_lanes_reduce gives it. Not collective.
void gri_step_digest_sum(gr_step_digest *d, const float *gradient);
/// The update is done. *line is the record on rank 0, with its newline, until the next begin; NULL there when the step is not recorded, and on
/// other ranks. Collective.
GR_MUST_CHECK gr_err gri_step_digest_finish(gr_step_digest *d, int64_t targets,
                                            const gr_update_report *report,
                                            const gr_str **line);

/// Instead of finish: the step makes no update. *line as there. Not collective.
GR_MUST_CHECK gr_err gri_step_digest_skip(gr_step_digest *d, const char *reason,
                                          const gr_str **line);

/// Between two steps weights were replaced on purpose (rate_search.h): the next one does not begin with what the last one left.
void gri_step_digest_replaced(gr_step_digest *d);

/// Adds a line to RUN/digests.jsonl. Not collective.
GR_MUST_CHECK gr_err gri_step_digest_append(const char *run, const gr_str *line);
/// The first line of the file, with its newline, added to `line`.
GR_MUST_CHECK gr_err gri_step_digest_head(const gr_setup *setup, const gr_identity *identity,
                                          gr_str *line);

#endif
