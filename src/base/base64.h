#ifndef SRC_BASE_BASE64_H
#define SRC_BASE_BASE64_H

/// Bytes as text (RFC 4648, section 4).

#include "src/base/str.h"

GR_MUST_CHECK gr_err gr_base64_add(gr_str *out, const void *data, size_t size);

#endif
