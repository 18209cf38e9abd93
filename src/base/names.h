#ifndef SRC_BASE_NAMES_H
#define SRC_BASE_NAMES_H

/// Numbers found by name, whatever names a file holds: n log n to sort them once, log n to find one. (A hash table without a seed
/// can be given names that all fall together.)
///
///   gr_names names = {0};
///   GR_TRY(gr_names_reserve(&names, n));  then n times  gr_names_add(&names, name, i);
///   gr_names_sort(&names);                then gr_names_find and gr_names_repeated
///   gr_names_fini(&names);

#include "src/base/err.h"

#include <stdint.h>

typedef struct gr_name {
    const char *text; ///< borrowed: must outlive the table
    int64_t number;   ///< at least 0
} gr_name;

typedef struct gr_names {
    gr_name *items; ///< by text, then by number
    int64_t count, room;
} gr_names;

/// Makes room for so many names.
GR_MUST_CHECK gr_err gr_names_reserve(gr_names *names, int64_t count);
/// Adds one, for which there must be room.
void gr_names_add(gr_names *names, const char *text, int64_t number);
void gr_names_sort(gr_names *names);
/// The number of this name (the smallest, where it stands several times), -1 if there is none. The table must be sorted.
int64_t gr_names_find(const gr_names *names, const char *text);
/// A name that stands there more than once, NULL if there is none. The table must be sorted.
const char *gr_names_repeated(const gr_names *names);
void gr_names_fini(gr_names *names);

#endif
