#ifndef STAGES_IDENTITY_H
#define STAGES_IDENTITY_H

/// What decides the bits of a run, as one digest each: all ranks must have the same, and so must a run that goes on
/// from a checkpoint. Stage, step and moments are the checkpoint's own matter. "recipe" is of the keys that decide bits
/// (recipe_bits.h); "settings" of the whole recipe, which ranks must share, since they save together, but a restart may change.

#include "mpi/world.h"
#include "src/base/digest.h"
#include "src/base/json.h"
#include "stages/setup.h"

/// X(name, key in state.json, what a message calls it)
#define GR_IDENTITY_LIST(X)                                                                    \
    X(GR_IDENTITY_RECIPE, "recipe", "recipe")                                                  \
    X(GR_IDENTITY_SETTINGS, "settings", "recipe (in what changes no bit)")                     \
    X(GR_IDENTITY_DATA, "data", "data sets (their content ids)")                               \
    X(GR_IDENTITY_TOKENIZER, "tokenizer", "tokenizer")                                         \
    X(GR_IDENTITY_MODEL, "model", "model's sizes and first weights")                           \
    X(GR_IDENTITY_KERNEL, "kernel", "BLAS kernel")                                             \
    X(GR_IDENTITY_VERSION, "version", "version of gradus")

typedef enum gr_identity_item {
#define GR_IDENTITY_ENUM(name, key, text) name,
    GR_IDENTITY_LIST(GR_IDENTITY_ENUM)
#undef GR_IDENTITY_ENUM
        GR_IDENTITY_COUNT
} gr_identity_item;

typedef struct gr_identity {
    gr_digest items[GR_IDENTITY_COUNT];
} gr_identity;

/// Of a setup that has just been created: no step has changed its weights. Not collective.
GR_MUST_CHECK gr_err gr_identity_take(const gr_setup *setup, gr_identity *out);
/// Collective. GR_ERR_RECIPE on all ranks, naming rank and item, unless all ranks have the same.
GR_MUST_CHECK gr_err gr_identity_agree(const gr_world *world, const gr_identity *mine);

/// Adds one member an item to the open map.
void gr_identity_write(const gr_identity *identity, gr_json *json);
/// Compares with the members of `map`, from checkpoint `path`: GR_ERR_RECIPE names what changed; a changed kernel or version is a
/// warning, since a requeued job cannot choose its machine.
GR_MUST_CHECK gr_err gr_identity_check(const gr_identity *identity, const gr_node *map,
                                       const char *path);

#endif
