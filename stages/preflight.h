#ifndef STAGES_PREFLIGHT_H
#define STAGES_PREFLIGHT_H

/// A recipe's data, checked before the run: every sample of every stage, the microbatches that take most memory, and a verdict in
/// a file that training names.

#include "datasets/check.h"
#include "mpi/world.h"
#include "src/base/json.h"
#include "src/base/str.h"
#include "stages/setup.h"

/// The training or validation data of one stage.
typedef struct gr_preflight_part {
    const char *stage; ///< borrowed from the recipe
    bool validation, drop;
    gr_check_report found; ///< of all ranks
    gr_check_row worst;    ///< the microbatch that takes most memory of those measured
    int64_t memory; ///< bytes of activations and work space that it took; -1: not measured
} gr_preflight_part;

typedef struct gr_preflight {
    const gr_setup *setup; ///< borrowed
    /// What was checked: the data sets' digests with all of the recipe that decides how they are shown, and the tokenizer.
    gr_digest data, tokenizer;
    bool good;
    gr_preflight_part *parts; ///< [count], owned
    int64_t count;
} gr_preflight;

/// Collective; the same result on every rank. Samples that cannot be used make the verdict bad, unless the stage drops them and others are left.
/// measure: rank 0 computes, forward and backward as the stage would, the microbatches that are largest (gr_check_report.most, at most
/// 15), and reports the one that took most memory of its arena (of bad data nothing is measured).
GR_MUST_CHECK gr_err gr_preflight_run(const gr_world *world, gr_setup *setup, bool measure,
                                      gr_preflight *out);
void gr_preflight_fini(gr_preflight *preflight);
/// The report as one map; finish and free `json` as usual.
void gr_preflight_put(const gr_preflight *preflight, const char *recipe, gr_json *json);

/// Where a recipe's verdict lies unless told otherwise: RECIPE.yaml's is RECIPE.check.json. In new memory (GR_FREE).
GR_MUST_CHECK gr_err gr_preflight_path(const gr_recipe *recipe, char **out);

/// Whether the file is such a verdict, about whatever recipe.
bool gr_preflight_is_verdict(const char *path);

typedef enum gr_verdict {
    GR_VERDICT_NONE,  ///< no such file
    GR_VERDICT_OTHER, ///< of other data, another tokenizer or recipe
    GR_VERDICT_BAD,
    GR_VERDICT_GOOD,
} gr_verdict;
typedef struct gr_verdict_found {
    gr_verdict verdict;
    int64_t good, bad; ///< samples of all stages
    int64_t stopping;  ///< of the bad ones those of stages that stop at them
    gr_str reason;     ///< of the first bad one
    gr_str differs; ///< of GR_VERDICT_OTHER: the first key that is another, if the file tells
} gr_verdict_found;
void gr_verdict_found_fini(gr_verdict_found *found);
/// Reads the verdict about what `setup` holds; end `out` with gr_verdict_found_fini, also after an error.
GR_MUST_CHECK gr_err gr_preflight_find(const gr_setup *setup, const char *path,
                                       gr_verdict_found *out);

#endif
