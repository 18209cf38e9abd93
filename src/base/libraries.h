#ifndef SRC_BASE_LIBRARIES_H
#define SRC_BASE_LIBRARIES_H

/// The libraries this room is linked with, as they name their versions at run time.

#include "src/base/str.h"

/// Appends "jansson 2.14, libyaml 0.2.5, ...".
GR_MUST_CHECK gr_err gr_base_libraries(gr_str *out);

#endif
