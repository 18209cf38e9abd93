#ifndef SRC_OPS_LIBRARIES_H
#define SRC_OPS_LIBRARIES_H

/// The library this room is linked with.

#include "src/base/str.h"

/// Appends OpenBLAS's own description, with version and build options; then oneDNN's version, if built with it.
GR_MUST_CHECK gr_err gr_ops_libraries(gr_str *out);

#endif
