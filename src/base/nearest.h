#ifndef SRC_BASE_NEAREST_H
#define SRC_BASE_NEAREST_H

/// "Did you mean": which of the known names a mistyped one is nearest to.

#include <stdint.h>

/// The candidate with the fewest edits (insert, remove, replace, swap neighbours) from `text`,
/// the first of several; NULL when even that one needs more edits than half of its letters.
const char *gr_nearest(const char *text, const char *const *candidates, int64_t count);

#endif
