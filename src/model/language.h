#ifndef SRC_MODEL_LANGUAGE_H
#define SRC_MODEL_LANGUAGE_H

/// Private to the room: the decoder, from token rows to normed hidden rows. The output projection
/// belongs to the loss (or to whoever wants logits): `head`.

#include "src/model/course.h"
#include "src/model/layer.h"

typedef struct gri_language {
    const gr_language_config *config; ///< borrowed
    gri_weight embedding, head;       ///< head is the embedding when they are tied
    gri_norm norm;
    gri_stack stack;
} gri_language;

/// What goes in: tokens, and the rows that something else fills.
typedef struct gri_language_input {
    gr_tensor ids; ///< [T]; -1 at image rows
    gri_sequences seq;
    gr_tensor image_rows, images; ///< [M] and [M, width]; absent: no images
    /// of the stack, for continuing one sequence without gradients; else NULL
    gri_memory *memory;
} gri_language_input;

/// What backward needs, in the arena.
typedef struct gri_language_kept {
    gri_block_kept *blocks;
    gr_tensor last; ///< [T, width]: before the final norm
    gri_norm_kept n;
} gri_language_kept;

GR_MUST_CHECK gr_err gri_language_bind(const gr_model_config *config, const gr_params *params,
                                       gri_course *course, gri_language *out);
void gri_language_fini(gri_language *l);

/// h [T, width]: hidden rows after the final norm. Without `kept` (NULL) nothing stays in the arena.
void gri_language_fwd(gr_exec *ex, const gri_language *l, const gri_language_input *in,
                      gr_tensor h, gri_language_kept *kept);
/// d [T, width] becomes the gradient of the rows that entered the first block, from dh. Adds
/// weight gradients, the embedding's too, unless grads is NULL. Spoils `kept`.
void gri_language_bwd(gr_exec *ex, const gri_language *l, const gri_language_input *in,
                      const gri_language_kept *kept, gr_tensor dh, float *grads, gr_tensor d);

/// For the tables of architectures: a slot of gri_language.
#define GRI_LANGUAGE(member) offsetof(gri_language, member)

#endif
