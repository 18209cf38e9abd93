#ifndef MPI_CORES_H
#define MPI_CORES_H

/// Private to the room: how the ranks of a node share its cores.

#include "src/base/cpu.h"

/// The cores that one rank may run on.
typedef struct gri_core_mask {
    uint64_t words[GR_CPU_MASK_BITS / 64];
} gri_core_mask;
/// Cores of rank `mine` among the `ranks` of its node: each core of its mask counts as its part of the ranks that may run
/// on it. So a mask of its own counts in full, one that all share is divided; rounded down, at least 1.
int gri_cores_share(const gri_core_mask *masks, int ranks, int mine);

#endif
