#ifndef STAGES_NONFINITE_H
#define STAGES_NONFINITE_H

/// A step whose loss or gradient is not finite: what the recipe's `nonfinite` does about it. Every rank takes the same decision in the same
/// step, from flags that travel with what is told in any step: each lane's loss and the tensor in which backward met it (lane_step.h), and the
/// norm of the sum with what each rank says of its weights and moments (updater.h). Nothing of such a step reaches parameters
/// or moments.
///   stop     GR_ERR_NONFINITE; the last checkpoint stays
///   skip K   no update: parameters, moments and AdamW's count stay, the schedule goes on, the step's samples are in the ledger. After K in
///            a row the next one stops the run; a checkpoint carries the count
///   replay   the step is computed again from the same parameters. Finite: a transient fault, in the ledger, and the run goes on with it.
///            Else the lanes that are not finite are computed by another rank (what is finite there was a machine's fault), then
///            each of their microbatches, and of those that are not finite each sample, alone. The state before the step is saved, the
///            samples are in the ledger, GR_ERR_NONFINITE.
/// Weights or moments that are not finite stop the run whatever the policy: no step can be made with them. Inside this room.

#include "stages/ledger.h"
#include "stages/stage_run.h"

/// What was seen, the same on all ranks.
typedef struct gri_finding {
    int64_t lane; ///< the first that is not finite; -1: each is, their sum is not
    int rank;     ///< who computed the lane, or owns the sum's element
    char reason[GRI_REASON_TEXT]; ///< without ranks: the same on any number of them
} gri_finding;

/// After gri_step_compute, where the step does not fit: computes again, or decides that the step makes no update (out->skipped), or ends the
/// run. With t->skips_next it makes none in any case. Collective.
GR_MUST_CHECK gr_err gri_nonfinite_meet(gr_trainer *t, gr_stage_run *r, gr_step_result *out);
/// Before a save: this rank's weights and its moments are finite, and so on all ranks. GR_ERR_NONFINITE. Collective.
GR_MUST_CHECK gr_err gri_nonfinite_check_state(gr_trainer *t, gr_stage_run *r);

/// The end of replay (nonfinite_find.c): names the samples of a step that was not finite twice. Never GR_OK. Collective.
GR_MUST_CHECK gr_err gri_nonfinite_find(gr_trainer *t, gr_stage_run *r,
                                        const gri_finding *finding);
/// Where the ledger is told of the step that is computed.
gr_ledger_place gri_nonfinite_place(const gr_trainer *t, const gr_stage_run *r);

#endif
