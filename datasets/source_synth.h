#ifndef DATASETS_SOURCE_SYNTH_H
#define DATASETS_SOURCE_SYNTH_H

/// The synthetic curriculum as a source of an import. Private to datasets/.

#include "datasets/source.h"
#include "datasets/synth.h"

/// Which sample of which task record i of the data set is.
void gri_synth_turn(const gr_synth_options *options, int64_t i, gr_synth_task *task,
                    int64_t *k);
/// floor(i part / whole) for 0 <= i <= 2^48, 0 <= part <= whole < 2^24, whole > 0.
int64_t gri_share(int64_t i, int64_t part, int64_t whole);
GR_MUST_CHECK gr_err gri_synth_open(const gri_source_file *file,
                                    const gr_import_options *options, gri_reader **out);
/// All that the bytes follow from, as a map of the plan.
void gri_synth_describe(const gr_synth_options *options, gr_json *j);

#endif
