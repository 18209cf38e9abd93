#include "datasets/seen.h"

#include "src/base/mem.h"

enum { WORD = 64 };

static gr_seen_set *find(const gr_seen *seen, const gr_dataset *dataset)
{
    for (int64_t i = 0; i < seen->count; i++) {
        if (seen->sets[i].dataset == dataset) {
            return &seen->sets[i];
        }
    }
    return NULL;
}

bool gr_seen_has(const gr_seen *seen, const gr_dataset *dataset, int64_t index)
{
    const gr_seen_set *set = find(seen, dataset);
    return set && set->words[index / WORD] >> index % WORD & 1;
}

gr_err gr_seen_add(gr_seen *seen, const gr_dataset *dataset, int64_t index)
{
    gr_err err = GR_OK;
    gr_seen_set *set = find(seen, dataset);
    if (!set) {
        GR_RESIZE(seen->sets, seen->count, seen->count + 1);
        set = &seen->sets[seen->count];
        GR_ALLOC(set->words, (gr_dataset_count(dataset) + WORD - 1) / WORD);
        set->dataset = dataset;
        seen->count++;
    }
    set->words[index / WORD] |= (uint64_t)1 << index % WORD;
done:
    return err;
}

void gr_seen_fini(gr_seen *seen)
{
    for (int64_t i = 0; i < seen->count; i++) {
        GR_FREE(seen->sets[i].words);
    }
    GR_FREE(seen->sets);
    seen->count = 0;
}
