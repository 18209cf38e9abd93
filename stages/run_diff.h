#ifndef STAGES_RUN_DIFF_H
#define STAGES_RUN_DIFF_H

/// Where two runs part, by what both recorded of their steps (step_digest.h). They may have recorded different steps; those in
/// both are compared.

#include "stages/parting.h"

typedef struct gr_run_diff {
    int64_t compared;   ///< records
    int64_t agreed;     ///< the last update that both have alike; 0: none
    int64_t last[2];    ///< the last update that each recorded
    gr_parting parting; ///< phase GR_PARTED_NOT: nothing differs
    /// Where they parted in data: what a sample holds that both read in the next records, and not alike ("tokens of sample 3 of PATH"),
    /// owned; NULL: there is none
    char *changed;
    char *
        recipe; ///< first key that decides bits in which the recipes differ, owned; NULL: none, or one cannot be read
} gr_run_diff;

/// GR_ERR_MISSING: a run recorded nothing. GR_ERR_DATA: a damaged record, another model, or no update that both recorded.
GR_MUST_CHECK gr_err gr_run_diff_find(const char *first, const char *second, gr_run_diff *out);
void gr_run_diff_fini(gr_run_diff *diff);

#endif
