#ifndef STAGES_PARTING_H
#define STAGES_PARTING_H

/// Where two runs part: the first of what a step does, in the order in which it comes about, whose digests differ
/// (step_digest.h).

#include "src/base/doc.h"
#include "src/base/json.h"

typedef enum gr_parting_phase {
    GR_PARTED_NOT,
    GR_PARTED_BEFORE,    ///< the step began with other weights
    GR_PARTED_DATA,      ///< what a lane read
    GR_PARTED_FORWARD,   ///< its loss
    GR_PARTED_BACKWARD,  ///< its gradient
    GR_PARTED_REDUCTION, ///< the sum of gradients that are the same
    GR_PARTED_UPDATE     ///< norm, rates, moments or weights; whether there was one
} gr_parting_phase;

typedef struct gr_parting {
    gr_parting_phase phase;
    int64_t update, step; ///< numbers as in metrics.jsonl
    char *stage;          ///< owned, as all texts; NULL where there is nothing to say
    char *what;           ///< in words: "learning rate of connector"
    int64_t lane;         ///< the first that differs; -1: it is no matter of one lane
    int64_t lanes;        ///< how many differ
    char *tensor;         ///< the first that differs
    int64_t tensors;      ///< how many differ
    char *values[2];      ///< in the first run and in the second
} gr_parting;

/// Compares two records of one update; `heads` are the first lines of their files. `out` is zeroed before.
GR_MUST_CHECK gr_err gr_parting_find(const gr_node *const records[2],
                                     const gr_node *const heads[2], gr_parting *out);
void gr_parting_fini(gr_parting *parting);
/// "data", "forward" ...
const char *gr_parting_phase_name(gr_parting_phase phase);
/// Lines of "key value" on standard output, with the runs under these names; members of the open map.
void gr_parting_print(const gr_parting *parting, const char *first, const char *second);
void gr_parting_put(const gr_parting *parting, gr_json *json);

#endif
