#ifndef STAGES_CAPSULE_H
#define STAGES_CAPSULE_H

/// RUN/capsule.json: with what the run was computed, so that somebody can say later why it came out as it did.
///   {"starts": [{
///     "time": seconds since the epoch, "utc": the same to read, "update": where this start began, "command": [...], "folder",
///     "program": {"version", "commit", "compiler", "flags"},
///     "machine": {"system", "libc", "processor", "features": [...], "vectors", "memory"},   of rank 0
///     "kernel": of OpenBLAS, "precision", "peak": operations a second of the plain product on all ranks,
///     "libraries": {"mpi", "numerics", "data", "formats", "base"}, "launcher": "mpirun", "srun" ... or null,
///     "ranks", "threads": of a rank, "lanes", "hosts": [{"name", "processor", "cores": of a rank's mask, "ranks": [...]}],
///     "digests": {"recipe", "settings", "data", "tokenizer", "model", "kernel", "version"},   identity.h
///     "data": [{"path", "samples", "images", "digest"}],
///     "environment": {NAME: text}}, ...]}
/// Of the environment what changes bits or speed, or names the Slurm job; what looks like a secret is left out.

#include "stages/identity.h"

typedef struct gr_capsule {
    const char *run;
    const gr_setup *setup;
    const gr_identity *identity;
    int64_t update;
    double peak;
} gr_capsule;

/// Adds a start. What stands there and is no capsule is put aside as capsule.json.damaged, with a warning. Collective; rank 0 writes.
GR_MUST_CHECK gr_err gr_capsule_add(const gr_world *world, const gr_capsule *capsule);

/// Whether a variable of the environment belongs in a capsule.
bool gr_capsule_wants(const char *name);

#endif
