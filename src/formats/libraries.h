#ifndef SRC_FORMATS_LIBRARIES_H
#define SRC_FORMATS_LIBRARIES_H

/// The libraries this room is linked with.

#include "src/base/str.h"

/// Appends "libwebp 1.2.4, libjpeg-turbo 2.1.5, ...". libjpeg tells its version to the compiler only.
GR_MUST_CHECK gr_err gr_formats_libraries(gr_str *out);

#endif
