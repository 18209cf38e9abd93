#ifndef DATASETS_ROWS_INSIDE_H
#define DATASETS_ROWS_INSIDE_H

/// What rows.c lends to check.c. Private to datasets/.

#include "datasets/encode.h"
#include "datasets/loader_internal.h"
#include "datasets/rows.h"

/// Measures and packs one window, and calls for each of its rows.
GR_MUST_CHECK gr_err gri_rows_of_window(const gr_loader *loader, int64_t number, gri_load *load,
                                        gri_scratch *scratch, gr_row_fn *call, void *context);
int64_t gri_count_targets(const int32_t *targets, int64_t tokens);

#endif
