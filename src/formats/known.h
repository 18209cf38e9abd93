#ifndef SRC_FORMATS_KNOWN_H
#define SRC_FORMATS_KNOWN_H

/// Known answers about pictures and text (appendix B of the specification): InternVL's tiling, Pillow's resize, Qwen2's
/// pieces, the symbols of bytes.

#include "src/base/known.h"

const gr_known *gr_formats_known(int64_t *count);

#endif
