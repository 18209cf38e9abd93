#ifndef STAGES_RUN_VERIFY_H
#define STAGES_RUN_VERIFY_H

/// Computes steps of a run again and compares those that it recorded with what it recorded of them (step_digest.h). Nothing is written. Any number of ranks
/// and threads will do; machine and libraries decide bits as in a run that goes on.

#include "mpi/world.h"
#include "stages/parting.h"

typedef struct gr_run_verify_options {
    const char *run;
    int64_t from, to; ///< updates, the first is 1; `to` 0: the last that was recorded
    int threads;
} gr_run_verify_options;

typedef struct gr_run_verify {
    char *checkpoint;    ///< where it began, owned; NULL: at the beginning of the run
    int64_t first, last; ///< updates that were computed
    int64_t compared;    ///< records; rank 0
    int64_t skipped;     ///< steps without an update, by the run's own record (nonfinite.h)
    bool parted;         ///< the last update that was computed is not what was recorded
    gr_parting parting;  ///< then, on rank 0: "first" is what was recorded
} gr_run_verify;

/// Begins with the newest whole checkpoint before `from`, else with the run's first weights, and ends at `to` or at the first difference.
/// GR_ERR_RECIPE: data, tokenizer, model or recipe are not those of the run. `out` is filled in on all ranks but for what is rank 0's. Collective.
GR_MUST_CHECK gr_err gr_run_verify_run(const gr_world *world,
                                       const gr_run_verify_options *options,
                                       gr_run_verify *out);
void gr_run_verify_fini(gr_run_verify *verify);

#endif
