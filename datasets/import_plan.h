#ifndef DATASETS_IMPORT_PLAN_H
#define DATASETS_IMPORT_PLAN_H

/// What an import works on: its folder, its source, and how the source is cut into units of work. The cut depends on the source alone.
/// Private to datasets/.

#include "datasets/folder.h"
#include "datasets/source.h"

typedef struct gri_plan {
    gri_folder folder; ///< of rank 0 with the lock, of others the names alone
    gri_source source;
    int64_t *records; ///< [source.count] of each file
    /// [source.count + 1] number of each file's first unit; the last is the number of units
    int64_t *first;
    int64_t total; ///< records
    int64_t unit;  ///< records in a unit; the last of a file may have fewer
} gri_plan;

/// Rank 0: takes the folder; finds what an earlier run of the same plan left, or begins. What an earlier run with other options has done
/// is GR_ERR_USAGE, which says what differs.
GR_MUST_CHECK gr_err gri_plan_claim(gri_plan *plan, const gr_import_options *options);
/// Whether any unit is done: then the same command can go on.
bool gri_plan_has_parts(const gri_plan *plan);
/// Other ranks: the names.
GR_MUST_CHECK gr_err gri_plan_join(gri_plan *plan, const char *out);
/// Counts the records of one file, unless that was done before.
GR_MUST_CHECK gr_err gri_plan_count(const gri_plan *plan, const gr_import_options *options,
                                    int64_t file);
/// When all files are counted: the cut.
GR_MUST_CHECK gr_err gri_plan_cut(gri_plan *plan);
void gri_plan_fini(gri_plan *plan);

#endif
