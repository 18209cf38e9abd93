#ifndef SRC_BASE_UTF8_PRIVATE_H
#define SRC_BASE_UTF8_PRIVATE_H

/// UTF-8 for what writes text. Inside this room.

#include <stddef.h>

/// Length of the UTF-8 sequence at `p`, 0 if it is none (also overlong, surrogate, too large). left >= 1.
size_t gri_utf8_length(const unsigned char *p, size_t left);

#endif
