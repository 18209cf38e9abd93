#ifndef STAGES_RECIPE_H
#define STAGES_RECIPE_H

/// A recipe: YAML read into typed data. Unknown keys, wrong types and contradictions are errors
/// (GR_ERR_RECIPE) with file:line:column and the nearest valid key; `configs/README.md` explains
/// each key. Paths are relative to the current folder.

#include "mpi/messages.h"
#include "src/base/doc.h"
#include "src/formats/chat.h"
#include "src/model/config.h"
#include "src/ops/exec.h"
#include "src/optim/schedule.h"
#include "stages/adalrs.h"
#include "stages/stage_end.h"

/// A data set and the part of it that is used: samples whose place (datasets/order.h) is in
/// [from, to).
typedef struct gr_recipe_source {
    const char *path;
    double from, to;
    const char *task;   ///< and which are of this task; NULL: of any
    double weight;      ///< share of the samples; 0: none has one
    double max_repeats; ///< most passes over it in the stage; 0: no limit
} gr_recipe_source;

typedef struct gr_recipe_sources {
    gr_recipe_source *items; ///< owned
    int64_t count;
} gr_recipe_sources;

/// How a stage shows its pictures to the model.
typedef struct gr_recipe_images {
    int64_t tiles;  ///< most tiles of a picture's grid; 1: the picture is not cut
    bool thumbnail; ///< and the whole picture behind them
    bool own_fit;   ///< `fit` is the recipe's, else the model's stays
    gr_picture_fit fit;
} gr_recipe_images;

typedef struct gr_recipe_stage {
    const char *name;
    gr_part_set trains;
    gr_recipe_sources data;
    gr_recipe_sources validation;
    int64_t validate_every;  ///< steps between validations; 0: at the ends only
    int64_t global_batch;    ///< samples of one step
    int64_t window;          ///< steps that are packed together
    int64_t sequence_length; ///< most tokens of a microbatch
    int64_t max_images;      ///< most tiles of a microbatch; 0: no limit
    gr_recipe_images images;
    bool recompute;                      ///< blocks are computed again in backward: less memory
    double epochs;                       ///< length in passes over the data, if steps is 0
    int64_t steps;                       ///< length in steps
    double learning_rate[GR_PART_COUNT]; ///< peak, per part
    gr_schedule_kind schedule;
    int64_t warmup_steps;
    double final_fraction;
    double beta1, beta2, eps, weight_decay;
    double clip; ///< most norm of the mean gradient; 0: no clipping
    bool drop;   ///< bad samples get weight 0 and a line in the ledger; else they stop the run
    bool all_text; ///< loss on all ordinary text, not on answers only
    const gr_chat_template *template;
    gr_end_rule ends; ///< before its planned steps
    gr_adalrs_rule adalrs;
} gr_recipe_stage;

/// What stands in for something that the recipe names and that is not here, where it is planned only.
typedef struct gr_recipe_assumed {
    const char *path; ///< as the recipe names it
    const char
        *config; ///< of a model: directory or YAML with its sizes; NULL: a data set's entry
    int64_t samples;
    double tokens, targets, tiles; ///< of one sample; tokens with those of its tiles
} gr_recipe_assumed;

/// What a step whose loss or gradient is not finite does to the run (nonfinite.h).
typedef enum gr_nonfinite_policy {
    GR_NONFINITE_STOP,
    GR_NONFINITE_SKIP,
    GR_NONFINITE_REPLAY
} gr_nonfinite_policy;

typedef struct gr_recipe {
    gr_doc *doc; ///< owns all strings
    uint64_t seed;
    int64_t lanes;
    /// directory with weights, YAML with sizes (fresh weights), or NULL: the model has no such part
    const char *part[GR_PART_COUNT];
    const char *tokenizer;    ///< directory
    gr_precision precision;   ///< of matrix products and what is kept between them
    const char *system;       ///< of conversations without one; NULL: the template's; "": none
    int64_t checkpoint_every; ///< steps; 0: at the ends of stages only
    int64_t checkpoint_keep;  ///< newest ones kept
    int64_t checkpoint_keep_every; ///< and those whose number is a multiple of it; 0: none
    bool checkpoint_background;    ///< written while training goes on
    int64_t digests_every;         ///< updates between lines of digests.jsonl; 0: none
    bool digests_lanes;            ///< with digests of each lane's gradient
    gr_nonfinite_policy nonfinite;
    int64_t nonfinite_skips; ///< most steps in a row that are left out, with GR_NONFINITE_SKIP
    gr_messages messages;
    int64_t stripe_blocks;   ///< mpi/ranges.h
    gr_recipe_stage *stages; ///< owned
    int64_t stage_count;
    gr_recipe_assumed *assumed; ///< owned
    int64_t assumed_count;
} gr_recipe;

/// Reads a recipe and applies `--set key.path=value` settings in order.
GR_MUST_CHECK gr_err gr_recipe_load(const char *path, const char *const *settings,
                                    int64_t count, gr_recipe **out);
void gr_recipe_destroy(gr_recipe **recipe);

/// What is assumed of a model (`config` is set) or a data set of this path; NULL: nothing.
const gr_recipe_assumed *gr_recipe_assumed_model(const gr_recipe *recipe, const char *path);
const gr_recipe_assumed *gr_recipe_assumed_data(const gr_recipe *recipe, const char *path);

#endif
