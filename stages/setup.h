#ifndef STAGES_SETUP_H
#define STAGES_SETUP_H

/// What a recipe names, opened: the model with its weights, the tokenizer, the data sets.

#include "datasets/loader.h"
#include "src/formats/tokenizer.h"
#include "src/model/model.h"
#include "stages/recipe.h"

typedef struct gr_setup {
    const gr_recipe *recipe; ///< borrowed
    gr_exec *exec;
    gr_model *model;
    gr_picture_rules pictures; ///< as the directory of the vision part has them
    gr_tokenizer *tokenizer;
    const gr_recipe_stage *stage; ///< entered last; NULL: none yet
    gr_dataset **datasets;        ///< one per distinct path of the recipe
    int64_t dataset_count;
} gr_setup;

/// Opens everything. Fresh parts are initialised from recipe->seed. Not collective: each rank opens
/// for itself and the caller agrees on the outcome.
GR_MUST_CHECK gr_err gr_setup_create(const gr_recipe *recipe, int threads, gr_setup **out);
void gr_setup_destroy(gr_setup **setup);

/// Sets the model to a stage: how its pictures are made, whether blocks are computed again.
GR_MUST_CHECK gr_err gr_setup_enter_stage(gr_setup *setup, const gr_recipe_stage *stage);

/// Writes the tokenizer, with the chat template of the stage if it came without one.
GR_MUST_CHECK gr_err gr_setup_save_tokenizer(const gr_setup *setup, const char *dir);

/// The loader of a stage's training data, or of its validation data: in file order, one lane's share at a
/// time. `setup` must outlive it.
GR_MUST_CHECK gr_err gr_setup_loader(const gr_setup *setup, const gr_recipe_stage *stage,
                                     bool validation, gr_loader **out);

#endif
