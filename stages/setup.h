#ifndef STAGES_SETUP_H
#define STAGES_SETUP_H

/// What a recipe names, opened: the model with its weights, the tokenizer, the data sets.

#include "datasets/loader.h"
#include "src/base/str.h"
#include "src/formats/tokenizer.h"
#include "src/model/model.h"
#include "stages/recipe.h"

typedef struct gr_setup {
    const gr_recipe *recipe; ///< borrowed
    gr_exec *exec;
    gr_model *model;
    gr_picture_rules pictures; ///< as the directory of the vision part has them
    gr_tokenizer *tokenizer;
    int64_t picture_tokens;       ///< that the tokenizer got here, because it came without
    const gr_recipe_stage *stage; ///< entered last; NULL: none yet
    gr_dataset **datasets;        ///< one per distinct path of the recipe
    int64_t dataset_count;
    /// of a setup that is planned: what the recipe names and is not here, a line each: "model.vision: DIR (planned as FILE)"
    gr_str missing;
    int64_t missing_count;
} gr_setup;

/// Opens everything, and sets how messages go. Fresh parts are initialised from recipe->seed. Not collective: each rank opens
/// for itself and the caller agrees on the outcome.
GR_MUST_CHECK gr_err gr_setup_create(const gr_recipe *recipe, int threads, gr_setup **out);
/// The same to look at and not to train: in a context that counts (ops/exec.h), so the model has sizes and no weights, whatever its
/// size. What is not here is listed instead of refused: for a model the recipe's assume.models has the sizes, or it is an error; without a tokenizer
/// `tokenizer` is NULL, and data sets are left out.
GR_MUST_CHECK gr_err gr_setup_create_planned(const gr_recipe *recipe, int threads,
                                             gr_setup **out);
void gr_setup_destroy(gr_setup **setup);
/// Whether something that the recipe names is not here: then only the above opens.
bool gr_setup_lacks(const gr_recipe *recipe);
/// Whether all that a loader of the stage's data needs is here.
bool gr_setup_has_data(const gr_setup *setup, const gr_recipe_sources *sources);

/// Sets the model to a stage: how its pictures are made, whether blocks are computed again.
GR_MUST_CHECK gr_err gr_setup_enter_stage(gr_setup *setup, const gr_recipe_stage *stage);

/// Writes the tokenizer, with the chat template of the stage if it came without one.
GR_MUST_CHECK gr_err gr_setup_save_tokenizer(const gr_setup *setup, const char *dir);

/// The loader of a stage's training data, or of its validation data: in file order, one lane's share at a
/// time. `setup` must outlive it.
GR_MUST_CHECK gr_err gr_setup_loader(const gr_setup *setup, const gr_recipe_stage *stage,
                                     bool validation, gr_loader **out);

#endif
