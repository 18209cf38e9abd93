#ifndef STAGES_PROGRESS_H
#define STAGES_PROGRESS_H

/// Where a run stands: what a checkpoint carries besides parameters and moments.

#include <stdint.h>

typedef struct gr_progress {
    int64_t stage;   ///< index of the current stage; stage_count when the run is complete
    int64_t step;    ///< updates done in it
    int64_t updates; ///< updates done in the whole run
    int64_t samples; ///< samples used in the whole run
    int64_t tokens;  ///< tokens computed in the whole run
} gr_progress;

#endif
