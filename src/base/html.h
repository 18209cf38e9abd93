#ifndef SRC_BASE_HTML_H
#define SRC_BASE_HTML_H

/// Texts of others inside HTML, as content or between quotes: what means something to a browser (& < > " ') becomes an entity; what HTML has no
/// place for (bytes that are no UTF-8, control characters but tab and line feed) the replacement character.

#include "src/base/str.h"

GR_MUST_CHECK gr_err gr_html_add(gr_str *out, const char *text, size_t size);

#endif
