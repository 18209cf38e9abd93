#ifndef DATASETS_KNOWN_H
#define DATASETS_KNOWN_H

/// Known answers about data: the order of samples, which names the data of past runs and must never change.

#include "src/base/known.h"

const gr_known *gr_datasets_known(int64_t *count);

#endif
