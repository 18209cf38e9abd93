#ifndef DATASETS_IMPORT_INTERNAL_H
#define DATASETS_IMPORT_INTERNAL_H

/// The phases of an import (import.c has their order). Private to datasets/.

#include "datasets/import_part.h"
#include "datasets/import_plan.h"
#include "datasets/shard_write.h"
#include "src/base/str.h"

typedef struct gri_import {
    const gr_import_options *options;
    gr_import_team team;
    gri_plan plan;
    gri_counting counting;
    gr_digest *tokenizers; ///< [counting.count]
    gr_import_result result;
    gr_digest *ids; ///< [capacity], result.samples in use: content ids in order
    int64_t capacity;
    gr_digest digest;   ///< chain over them
    gr_str rejects;     ///< the list
    char *first_reject; ///< where and why, for the message
    int64_t shards;     ///< how many there are
    int64_t records, done,
        spoiled; ///< of this process's share: how many, encoded, of those bad
    double started;
    gri_last_picture last;
    bool useless; ///< nothing of the work is worth going on with
} gri_import;

/// Whether this process has the unit, file or shard of this number.
static inline bool gri_is_mine(const gri_import *im, int64_t number)
{
    return number % im->team.size == im->team.rank;
}

/// Each process: encodes its units that are not done yet.
GR_MUST_CHECK gr_err gri_import_encode(gri_import *im);
/// Rank 0: goes over all parts, writes the list of rejects, decides whether the import goes on.
GR_MUST_CHECK gr_err gri_import_survey(gri_import *im);
/// Each process: writes its shards that are not done yet.
GR_MUST_CHECK gr_err gri_import_cut(gri_import *im);
/// Rank 0: the manifest and the list of duplicates.
GR_MUST_CHECK gr_err gri_import_finish(gri_import *im);

/// A file whose presence says that shards are being cut: the parts are final.
GR_MUST_CHECK gr_err gri_seal_path(const gri_import *im, char **out);
/// Where the manifest's entry of a finished shard is kept until the manifest is written.
GR_MUST_CHECK gr_err gri_entry_path(const gri_import *im, int64_t shard, char **out);
/// Puts a list into the data set's folder, or removes an old one when it is empty.
GR_MUST_CHECK gr_err gri_write_list(const gri_import *im, const char *name, const gr_str *text);

#endif
