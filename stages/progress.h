#ifndef STAGES_PROGRESS_H
#define STAGES_PROGRESS_H

/// Where a run stands: what a checkpoint carries besides parameters and moments.

#include "stages/adalrs.h"
#include "stages/stage_end.h"

typedef struct gr_progress {
    int64_t stage;    ///< index of the current stage; stage_count when the run is complete
    int64_t step;     ///< steps done in it
    int64_t updates;  ///< steps done in the whole run
    int64_t samples;  ///< samples used in the whole run
    int64_t tokens;   ///< tokens computed in the whole run
    int64_t skipped;  ///< of the last steps, how many in a row made no update (nonfinite.h)
    int64_t spared;   ///< planned updates of stages that ended before them
    gr_end_state end; ///< of the current stage
    gr_adalrs_state adalrs; ///< the same
} gr_progress;

#endif
