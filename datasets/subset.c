#include "datasets/subset.h"

#include "datasets/order.h"
#include "datasets/shard_inside.h"
#include "src/base/mem.h"

enum { WORD = 64, WORDS = 8, BLOCK = WORD * WORDS };

/// Marks the samples of one shard.
static gr_err mark_shard(const gr_dataset *dataset, int64_t shard, double from, double to,
                         uint64_t *words)
{
    gr_err err = GR_OK;
    gr_digest *ids = NULL;
    const int64_t first = gr_dataset_shard_first(dataset, shard);
    const int64_t count = gr_dataset_shard_first(dataset, shard + 1) - first;
    GR_ALLOC(ids, count);
    GR_TRY(gri_dataset_shard_ids(dataset, shard, ids));
    for (int64_t i = 0; i < count; i++) {
        double place = gr_order_place(ids[i]);
        if (place >= from && place < to) {
            words[(first + i) / WORD] |= (uint64_t)1 << (first + i) % WORD;
        }
    }
done:
    GR_FREE(ids);
    return err;
}

static int64_t count_block(const gri_subset *s, int64_t block)
{
    int64_t count = 0;
    for (int64_t w = block * WORDS; w < (block + 1) * WORDS; w++) {
        count += __builtin_popcountll(s->words[w]);
    }
    return count;
}

/// Takes away the marks of samples that are not of the task; adds to *labelled how many are.
static gr_err keep_task(const gr_dataset *dataset, int64_t shard, const char *task,
                        uint64_t *words, int64_t *labelled)
{
    gr_err err = GR_OK;
    bool *of = NULL;
    const int64_t first = gr_dataset_shard_first(dataset, shard);
    const int64_t count = gr_dataset_shard_first(dataset, shard + 1) - first;
    GR_ALLOC(of, count);
    GR_TRY(gri_dataset_shard_of_task(dataset, shard, task, of));
    for (int64_t i = 0; i < count; i++) {
        *labelled += of[i];
        if (!of[i]) {
            words[(first + i) / WORD] &= ~((uint64_t)1 << (first + i) % WORD);
        }
    }
done:
    GR_FREE(of);
    return err;
}

static gr_err mark_all(const gr_dataset *dataset, double from, double to, const char *task,
                       uint64_t *words)
{
    gr_err err = GR_OK;
    int64_t labelled = 0;
    for (int64_t i = 0; i < gr_dataset_shards(dataset); i++) {
        GR_TRY(mark_shard(dataset, i, from, to, words));
        if (task) {
            GR_TRY(keep_task(dataset, i, task, words, &labelled));
        }
    }
    if (task && labelled == 0) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: none of its %lld sample%s is of the task \"%s\" (gradus data info lists its "
            "tasks)",
            gr_dataset_path(dataset), (long long)gr_dataset_count(dataset),
            GR_PLURAL(gr_dataset_count(dataset)), task);
    }
done:
    return err;
}

gr_err gri_subset_create(const gr_dataset *dataset, double from, double to, const char *task,
                         gri_subset *out)
{
    gr_err err = GR_OK;
    int64_t all = gr_dataset_count(dataset);
    gri_subset s = {.count = all};
    if (from > 0 || to < 1 || task) {
        s.blocks = (all + BLOCK - 1) / BLOCK;
        GR_ALLOC(s.words, s.blocks * WORDS);
        GR_ALLOC(s.before, s.blocks + 1);
        GR_TRY(mark_all(dataset, from, to, task, s.words));
        for (int64_t b = 0; b < s.blocks; b++) {
            s.before[b + 1] = s.before[b] + count_block(&s, b);
        }
        s.count = s.before[s.blocks];
    }
    *out = s;
    s = (gri_subset){0};
done:
    gri_subset_fini(&s);
    return err;
}

void gri_subset_fini(gri_subset *subset)
{
    GR_FREE(subset->words);
    GR_FREE(subset->before);
    *subset = (gri_subset){0};
}

int64_t gri_subset_select(const gri_subset *subset, int64_t k)
{
    GR_ASSERT(k >= 0 && k < subset->count);
    if (!subset->words) {
        return k;
    }
    int64_t low = 0, high = subset->blocks;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (subset->before[middle] <= k) {
            low = middle;
        } else {
            high = middle;
        }
    }
    int64_t left = k - subset->before[low], w = low * WORDS;
    while (left >= __builtin_popcountll(subset->words[w])) {
        left -= __builtin_popcountll(subset->words[w++]);
    }
    uint64_t word = subset->words[w];
    for (; left > 0; left--) {
        word &= word - 1;
    }
    return w * WORD + __builtin_ctzll(word);
}
