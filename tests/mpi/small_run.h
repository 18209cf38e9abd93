#ifndef TESTS_MPI_SMALL_RUN_H
#define TESTS_MPI_SMALL_RUN_H

/// A small run for tests on several ranks: in an empty folder, which becomes every rank's current one, `m.yaml` (vision,
/// connector and language model of 16 columns), `data` (synthetic samples, some with pictures), `tokenizer` and `r.yaml`.

#include "src/base/err.h"

enum { GR_SMALL_SAMPLES = 60 };

/// `recipe` is the text of r.yaml. Collective.
GR_MUST_CHECK gr_err gr_small_run(const char *recipe);

#endif
