#include "src/formats/tables.h"

#include "src/base/digest.h"
#include "src/base/mem.h"

#include <string.h>

static const uint64_t empty_key = UINT64_MAX;

/// Capacities are powers of two, at most three quarters full.
static bool must_grow(size_t count, size_t capacity)
{
    return (count + 1) * 4 > capacity * 3;
}

static gri_text_slot *text_slot(const gri_text_table *table, const char *text, size_t size,
                                uint64_t hash)
{
    size_t i = (size_t)hash & (table->capacity - 1);
    gri_text_slot *slot = &table->slots[i];
    while (slot->text &&
           (slot->hash != hash || slot->size != size || memcmp(slot->text, text, size) != 0)) {
        i = (i + 1) & (table->capacity - 1);
        slot = &table->slots[i];
    }
    return slot;
}

static gr_err grow_texts(gri_text_table *table)
{
    gr_err err = GR_OK;
    gri_text_table grown = {.capacity = table->capacity ? table->capacity * 2 : 64,
                            .count = table->count};
    GR_ALLOC(grown.slots, grown.capacity);
    for (size_t i = 0; i < table->capacity; i++) {
        const gri_text_slot *old = &table->slots[i];
        if (old->text) {
            *text_slot(&grown, old->text, old->size, old->hash) = *old;
        }
    }
    gri_text_table_fini(table);
    *table = grown;
done:
    return err;
}

int32_t gri_text_table_find(const gri_text_table *table, const char *text, size_t size)
{
    if (table->count == 0) {
        return -1;
    }
    const gri_text_slot *slot = text_slot(table, text, size, gr_digest_of(text, size).low);
    return slot->text ? slot->value : -1;
}

gr_err gri_text_table_put(gri_text_table *table, const char *text, size_t size, int32_t value)
{
    gr_err err = GR_OK;
    if (must_grow(table->count, table->capacity)) {
        GR_TRY(grow_texts(table));
    }
    uint64_t hash = gr_digest_of(text, size).low;
    gri_text_slot *slot = text_slot(table, text, size, hash);
    table->count += slot->text ? 0 : 1;
    *slot = (gri_text_slot){.text = text, .size = size, .hash = hash, .value = value};
done:
    return err;
}

void gri_text_table_fini(gri_text_table *table)
{
    GR_FREE(table->slots);
    *table = (gri_text_table){0};
}

static uint64_t pair_key(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static gri_pair_slot *pair_slot(const gri_pair_table *table, uint64_t key)
{
    uint64_t hash = key * 0x9E3779B97F4A7C15U;
    size_t i = (size_t)(hash ^ hash >> 32) & (table->capacity - 1);
    while (table->slots[i].key != empty_key && table->slots[i].key != key) {
        i = (i + 1) & (table->capacity - 1);
    }
    return &table->slots[i];
}

static gr_err grow_pairs(gri_pair_table *table)
{
    gr_err err = GR_OK;
    gri_pair_table grown = {.capacity = table->capacity ? table->capacity * 2 : 64,
                            .count = table->count};
    GR_ALLOC(grown.slots, grown.capacity);
    for (size_t i = 0; i < grown.capacity; i++) {
        grown.slots[i].key = empty_key;
    }
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].key != empty_key) {
            *pair_slot(&grown, table->slots[i].key) = table->slots[i];
        }
    }
    gri_pair_table_fini(table);
    *table = grown;
done:
    return err;
}

int64_t gri_pair_table_find(const gri_pair_table *table, int32_t left, int32_t right)
{
    if (table->count == 0) {
        return -1;
    }
    const gri_pair_slot *slot = pair_slot(table, pair_key(left, right));
    return slot->key == empty_key ? -1 : slot->value;
}

gr_err gri_pair_table_put(gri_pair_table *table, int32_t left, int32_t right, int64_t value)
{
    gr_err err = GR_OK;
    if (must_grow(table->count, table->capacity)) {
        GR_TRY(grow_pairs(table));
    }
    uint64_t key = pair_key(left, right);
    gri_pair_slot *slot = pair_slot(table, key);
    table->count += slot->key == empty_key ? 1 : 0;
    *slot = (gri_pair_slot){.key = key, .value = value};
done:
    return err;
}

void gri_pair_table_fini(gri_pair_table *table)
{
    GR_FREE(table->slots);
    *table = (gri_pair_table){0};
}
