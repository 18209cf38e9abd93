#ifndef STAGES_CHECKPOINT_DIR_H
#define STAGES_CHECKPOINT_DIR_H

/// A folder that appears whole or not at all, with a manifest of its files (gradus/manifest.json):
///   {"digest": "XXH3-128", "block": 16384,
///    "files": {"NAME": {"bytes": N, "cuts": [C, ...], "digest": "32 hexadecimal digits"}, ...}}
/// A file is cut at its `cuts` (offsets, rising) and each piece, from its own beginning, every `block` bytes. The digest is the
/// XXH3-128 of the blocks' XXH3-128s one after another, each as two little-endian 64-bit numbers, high half first. So ranks
/// that write whole blocks can each make the digests of theirs while they have them in memory.

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

/// Starts PATH.tmp, empty, with a `gradus` folder inside; its name in new memory. What else ends in .tmp beside it was left behind by a
/// kill and is removed.
GR_MUST_CHECK gr_err gri_checkpoint_dir_begin(const char *path, char **temporary);
/// Digests of the blocks of `size` bytes into blocks[]; returns how many.
int64_t gri_digest_blocks(const void *data, int64_t size, gr_digest *blocks);
/// The digest of a file, from its blocks'.
gr_digest gri_digest_of_blocks(const gr_digest *blocks, int64_t count);
/// Writes the manifest (`known`: files whose digests are at hand; the others are read), syncs, renames PATH.tmp to PATH (replacing
/// what stands there), syncs the parent.
GR_MUST_CHECK gr_err gri_checkpoint_dir_commit(const char *temporary, const char *path,
                                               const gri_dir_file *known, int known_count);
/// Compares every file with the manifest: GR_ERR_DATA names the first that differs or lacks.
GR_MUST_CHECK gr_err gri_checkpoint_dir_verify(const char *path);
/// What the manifest says of one file; *found false if nothing.
GR_MUST_CHECK gr_err gri_checkpoint_dir_entry(const char *path, const char *name,
                                              gri_dir_file *out, bool *found);

#endif
