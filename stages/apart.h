#ifndef STAGES_APART_H
#define STAGES_APART_H

/// Master weights shared out, inside this room. In bf16 on several ranks a pass reads bf16 copies, and fp32 values of norms, biases and
/// tables only. So each rank keeps the fp32 weights of matrices where it owns them and gives the others' memory back; behind an
/// update the owners' copies travel, half as many bytes, and the values of the rest.

#include "mpi/gather.h"
#include "stages/updater.h"

typedef struct gr_apart {
    gr_gather_few *few;                    ///< norms and biases
    gr_gather_part parts[GR_GATHER_PARTS]; ///< long tables, and the copies of whole parts
    int count;
} gr_apart;

/// From whole weights. Not collective; call gr_world_agree after it.
GR_MUST_CHECK gr_err gri_apart_create(const gr_updater *updater, gr_model *model,
                                      gr_apart **out);
void gri_apart_destroy(gr_apart **apart);
/// What it takes on a rank of any world and sends behind each update; *given_back: bytes of fp32 weights that the rank does not keep.
gr_cost gri_apart_cost(const gr_world *world, const gr_params *params, gr_part_set trains,
                       int64_t *given_back);
/// The owned copies anew, behind an update of a part.
void gri_apart_round(const gr_updater *updater, gr_model *model, gr_part part);

#endif
