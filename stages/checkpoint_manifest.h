#ifndef STAGES_CHECKPOINT_MANIFEST_H
#define STAGES_CHECKPOINT_MANIFEST_H

/// The manifest of a folder of files (gradus/manifest.json), by which a reader knows that they are whole:
///   {"digest": "XXH3-128", "block": 16384,
///    "files": {"NAME": {"bytes": N, "cuts": [C, ...], "digest": "32 hexadecimal digits"}, ...}}
/// A file is cut at its `cuts` (offsets, rising) and each piece, from its own beginning, every `block` bytes. The digest is the
/// XXH3-128 of the blocks' XXH3-128s one after another, each as two little-endian 64-bit numbers, high half first. So ranks
/// that write whole blocks can each make the digests of theirs while they have them in memory. Inside this room.

#include "mpi/ranges.h"
#include "src/base/digest.h"

enum {
    GRI_DIGEST_BLOCK = GR_RANGE_BLOCK * 4, ///< bytes
    GRI_MOST_CUTS = 8,
    GRI_FILE_NAME = 64
};

typedef struct gri_dir_file {
    char name[GRI_FILE_NAME]; ///< in the folder
    int64_t bytes;
    int64_t cuts[GRI_MOST_CUTS];
    int cut_count;
    gr_digest digest;
} gri_dir_file;

/// Digests of the blocks of `size` bytes into blocks[]; returns how many.
int64_t gri_digest_blocks(const void *data, int64_t size, gr_digest *blocks);
/// Writes and syncs the manifest of all files in DIR and DIR/gradus; `known`: those whose digests are at hand, the others are read.
GR_MUST_CHECK gr_err gri_manifest_write(const char *dir, const gri_dir_file *known,
                                        int known_count);
/// Compares every file with the manifest: GR_ERR_DATA names the first that differs, lacks, or is `needed` (names, NULL behind the
/// last) and not listed.
GR_MUST_CHECK gr_err gri_manifest_verify(const char *dir, const char *const *needed);
/// The same for the one file NAME, if the manifest lists it.
GR_MUST_CHECK gr_err gri_manifest_verify_file(const char *dir, const char *name);
/// What the manifest says of one file; *found false if nothing.
GR_MUST_CHECK gr_err gri_manifest_entry(const char *dir, const char *name, gri_dir_file *out,
                                        bool *found);

#endif
