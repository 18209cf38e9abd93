#ifndef STAGES_SHARE_H
#define STAGES_SHARE_H

/// The large files of a checkpoint, which all ranks write together, each what it owns at its offsets. A file is a head and sections
/// of fp32 behind it; a section is part of a flat space that the ranks own (mpi/ranges.h). Inside this room.

#include "mpi/ranges.h"
#include "mpi/world.h"
#include "src/base/str.h"
#include "src/model/params.h"
#include "stages/checkpoint_dir.h"

typedef struct gri_section {
    int64_t offset; ///< bytes, in the file
    gr_owned owned; ///< what of the space is this rank's
    gr_range at;    ///< the section's place in it, beginning with a whole block
    bool
        packed; ///< data: the owned elements only, or all of the section with those in their places
    const float *data; ///< borrowed
} gri_section;

typedef struct gri_shared_file {
    const char *name; ///< static text
    gr_str head;      ///< owned; rank 0 writes it
    int64_t bytes;    ///< with the sections so far
    int first, count; ///< sections
} gri_shared_file;

enum { GRI_SHARED_FILES = GR_PART_COUNT + 1, GRI_SECTIONS = 3 * GR_PART_COUNT };

typedef struct gri_share {
    const gr_world *world;
    gri_shared_file files[GRI_SHARED_FILES];
    int file_count;
    gri_section sections[GRI_SECTIONS];
    int section_count;
    gr_digest *mine; ///< of this rank's blocks, section by section: [most]
    gr_digest *all;  ///< of every rank's: [ranks][most]; rank 0 needs them
    int64_t most;    ///< blocks of the rank that has most
} gri_share;

/// A file without sections. `name` is static text; takes `head` over.
void gri_share_add_file(gri_share *share, const char *name, gr_str *head);
/// Continues the last file.
void gri_share_add_section(gri_share *share, gr_owned owned, gr_range at, bool packed,
                           const float *data);
/// Takes the memory for the digests, when all sections are there.
GR_MUST_CHECK gr_err gri_share_prepare(gri_share *share);
/// Writes and syncs what is this rank's, making the digests. Not collective, and no MPI call: any thread may.
GR_MUST_CHECK gr_err gri_share_write(gri_share *share, const char *dir);
/// Brings the digests together. Collective.
GR_MUST_CHECK gr_err gri_share_gather(gri_share *share);
/// After the gather: what the manifest says of file i.
GR_MUST_CHECK gr_err gri_share_describe(const gri_share *share, int i, gri_dir_file *out);
/// May be called on a zeroed struct and twice.
void gri_share_fini(gri_share *share);

#endif
