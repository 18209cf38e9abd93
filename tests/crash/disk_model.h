#ifndef TESTS_CRASH_DISK_MODEL_H
#define TESTS_CRASH_DISK_MODEL_H

/// What a disk may hold after a power loss, given what was on it before and a record of the calls that changed it (io_shim.c).
///
/// At each instant (a prefix of the record) some changes are safe: bytes of a file that the process which wrote them synced later, or
/// wrote through; names that a sync of their folder followed. Of all others any may be lost, whatever their order: writes,
/// lengths, and names made, removed or moved (a move is lost as a whole). A write may also be torn into grains of 512 bytes, of which
/// some are there; and a lost write may have made the file longer all the same, with zeros.
/// Not modelled: what a disk damages that was safe.

#include "src/base/digest.h"

typedef struct disk_model disk_model;

enum { DISK_MOST_LOST = 3, DISK_GRAIN = 512 };

typedef enum disk_tear {
    DISK_WHOLE,
    DISK_BEGINNING, ///< only the grains before `grain` are there
    DISK_ONE_LOST,  ///< all but it
    DISK_ONE_KEPT   ///< only it
} disk_tear;

/// One state. Changes are numbered in the order of the record.
typedef struct disk_state {
    int prefix; ///< changes that were made
    bool
        keeps; ///< `changes` are kept and all others that are not safe lost, instead of the other way round
    bool lengthened; ///< lost writes have made their files longer
    int count;
    int changes[DISK_MOST_LOST];
    int torn; ///< a change that is a write; -1: none
    disk_tear tear;
    int64_t grain;
} disk_state;

/// The folder `dir`, all of it safe.
GR_MUST_CHECK gr_err disk_model_scan(const char *dir, disk_model **out);
/// What the processes did there since; each wrote one file. Once.
GR_MUST_CHECK gr_err disk_model_add(disk_model *disk, const char *const *traces, int count);
void disk_model_destroy(disk_model **disk);

/// Length of the record: the largest prefix.
int disk_model_changes(const disk_model *disk);
/// States are numbered. The first ones stand around moves of folders, where most can go wrong; up to here.
int64_t disk_model_critical(const disk_model *disk);
/// Then those of each prefix that lose nothing, all, one change, or all but one; up to here. Numbers beyond are random choices (of `seed`)
/// of up to three changes and a torn write.
int64_t disk_model_systematic(const disk_model *disk);
disk_state disk_model_state(const disk_model *disk, int64_t number, uint64_t seed);
/// Digest of all names and bytes in the folder.
GR_MUST_CHECK gr_err disk_model_digest(disk_model *disk, const disk_state *state,
                                       gr_digest *out);
/// Makes `dir`, which is not there, what the folder is in that state. Files are links to those in the folder `cache`: nobody may
/// write to them.
GR_MUST_CHECK gr_err disk_model_make(disk_model *disk, const disk_state *state, const char *dir,
                                     const char *cache);
/// The state in words, on standard error.
void disk_model_print(const disk_model *disk, const disk_state *state);

#endif
