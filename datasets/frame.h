#ifndef DATASETS_FRAME_H
#define DATASETS_FRAME_H

/// What lies around image_bytes and text_bytes in a shard: HDF5's headers and the index tables, read once, and their digest.
/// Private to datasets/.

#include "datasets/manifest.h"

enum { GRI_FRAME_RUNS = 3 };

/// In the order of the file; free it with gri_frame_fini.
typedef struct gri_frame {
    gri_region runs[GRI_FRAME_RUNS];
    unsigned char *data[GRI_FRAME_RUNS];
    gr_digest digest; ///< the runs linked in pieces of 1 MiB
} gri_frame;

/// Damaged headers can make HDF5 read beyond its memory, so the digest is compared before it sees the file.
GR_MUST_CHECK gr_err gri_frame_read(int fd, const char *path, const gri_shard_entry *entry,
                                    gri_frame *out);
/// These bytes of the file; NULL when they are not all in the frame.
const unsigned char *gri_frame_at(const gri_frame *frame, gri_region region);
void gri_frame_fini(gri_frame *frame);

/// The digest alone.
GR_MUST_CHECK gr_err gri_shard_frame(int fd, const char *path, const gri_shard_entry *entry,
                                     gr_digest *out);

#endif
