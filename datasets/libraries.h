#ifndef DATASETS_LIBRARIES_H
#define DATASETS_LIBRARIES_H

/// The libraries this room is linked with.

#include "src/base/str.h"

/// Appends "HDF5 1.10.8, libarchive 3.6.2".
GR_MUST_CHECK gr_err gr_datasets_libraries(gr_str *out);

#endif
