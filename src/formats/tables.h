#ifndef SRC_FORMATS_TABLES_H
#define SRC_FORMATS_TABLES_H

/// Two hash tables with open addressing: byte strings to numbers, pairs of ids to numbers. Numbers are >= 0; "not
/// there" is -1. What is in them never depends on the order of a walk, because there is no walk.

#include "src/base/err.h"

#include <stdint.h>

typedef struct gri_text_slot {
    const char *text; ///< NULL: empty slot; borrowed, must outlive the table
    size_t size;
    uint64_t hash;
    int32_t value;
} gri_text_slot;

typedef struct gri_text_table {
    gri_text_slot *slots;
    size_t capacity, count;
} gri_text_table;

int32_t gri_text_table_find(const gri_text_table *table, const char *text, size_t size);
/// Adds or replaces.
GR_MUST_CHECK gr_err gri_text_table_put(gri_text_table *table, const char *text, size_t size,
                                        int32_t value);
void gri_text_table_fini(gri_text_table *table);

typedef struct gri_pair_slot {
    uint64_t key; ///< left id in the high half; all ones: empty slot
    int64_t value;
} gri_pair_slot;

typedef struct gri_pair_table {
    gri_pair_slot *slots;
    size_t capacity, count;
} gri_pair_table;

int64_t gri_pair_table_find(const gri_pair_table *table, int32_t left, int32_t right);
GR_MUST_CHECK gr_err gri_pair_table_put(gri_pair_table *table, int32_t left, int32_t right,
                                        int64_t value);
void gri_pair_table_fini(gri_pair_table *table);

#endif
