#include "datasets/mixture.h"

#include "datasets/order.h"
#include "datasets/subset.h"
#include "src/base/mem.h"
#include "src/base/rng.h"

#include <math.h>
#include <string.h>

enum { SHARE_BITS = 62 }; ///< shares are fractions of 2^62, so that counting is exact

/// A stretch of positions in which the same sources are in.
typedef struct stretch {
    int64_t begin;   ///< first position
    int64_t *given;  ///< [sources]: what each has given before it
    uint64_t *share; ///< [sources]: of what reaches its fork; 0: the source is out
} stretch;

struct gri_mixture {
    int64_t count; ///< of sources
    gri_subset *subsets;
    int64_t *first; ///< [count + 1]: numbers the samples of all sources end to end
    uint64_t seed, stream;
    bool shuffle;
    double *weights; ///< NULL: the sources are one
    int64_t *most;   ///< samples that each may give
    stretch *stretches;
    int64_t stretch_count;
    int64_t end;
};

/// Of the first `i` positions at a fork, those that go to its source.
static int64_t taken(uint64_t share, int64_t i)
{
    return (int64_t)((unsigned __int128)i * share >> SHARE_BITS);
}

/// What source `s` gets of the first `i` positions of a stretch.
static int64_t given_to(const stretch *t, int64_t s, int64_t i)
{
    for (int64_t k = 0; k < s; k++) {
        i -= taken(t->share[k], i);
    }
    return taken(t->share[s], i);
}

/// Shares of the sources that are still in; false when none is.
static bool set_shares(const gri_mixture *m, stretch *t)
{
    double rest = 0;
    for (int64_t s = m->count - 1; s >= 0; s--) {
        bool in = t->given[s] < m->most[s];
        rest += in ? m->weights[s] : 0;
        // The last source that is in takes all that reaches it: its weight over itself is exactly 1.
        t->share[s] = in ? (uint64_t)(m->weights[s] / rest * 0x1p62) : 0;
    }
    return rest > 0;
}

/// The longest run of positions after which no source has given more than it may; INT64_MAX: without end.
static int64_t run_of(const gri_mixture *m, const stretch *t)
{
    int64_t low = 0, high = INT64_MAX - t->begin; // low fits, high does not
    for (int64_t s = 0; s < m->count; s++) {
        int64_t left = m->most[s] - t->given[s];
        if (m->most[s] == INT64_MAX || t->share[s] == 0) {
            continue;
        }
        low = 0;
        while (high - low > 1) {
            int64_t middle = low + (high - low) / 2;
            if (given_to(t, s, middle) <= left) {
                low = middle;
            } else {
                high = middle;
            }
        }
    }
    return high == INT64_MAX - t->begin ? INT64_MAX : high - 1;
}

static gr_err add_stretch(gri_mixture *m, int64_t begin, const int64_t *given)
{
    gr_err err = GR_OK;
    GR_RESIZE(m->stretches, m->stretch_count, m->stretch_count + 1);
    stretch *t = &m->stretches[m->stretch_count++];
    t->begin = begin;
    GR_ALLOC(t->given, m->count);
    GR_ALLOC(t->share, m->count);
    if (given) {
        memcpy(t->given, given, (size_t)m->count * sizeof *given);
    }
done:
    return err;
}

/// One stretch after another, each ending when a source is used up.
static gr_err lay_out(gri_mixture *m)
{
    gr_err err = GR_OK;
    int64_t *given = NULL;
    GR_ALLOC(given, m->count);
    GR_TRY(add_stretch(m, 0, NULL));
    m->end = INT64_MAX;
    for (;;) {
        stretch *t = &m->stretches[m->stretch_count - 1];
        if (!set_shares(m, t)) {
            m->end = t->begin;
            break;
        }
        int64_t run = run_of(m, t);
        if (run == INT64_MAX) {
            break;
        }
        for (int64_t s = 0; s < m->count; s++) {
            given[s] = t->given[s] + given_to(t, s, run);
        }
        GR_TRY(add_stretch(m, t->begin + run, given));
    }
done:
    GR_FREE(given);
    return err;
}

/// What the sources ask for: weights (of none: the sizes) and limits.
static gr_err take_wishes(gri_mixture *m, const gr_loader_source *sources)
{
    gr_err err = GR_OK;
    bool weighted = false, mixed = false;
    for (int64_t s = 0; s < m->count; s++) {
        weighted = weighted || sources[s].weight > 0;
        mixed = mixed || sources[s].weight > 0 || sources[s].max_repeats > 0;
    }
    if (!mixed) {
        goto done;
    }
    GR_ALLOC(m->weights, m->count);
    GR_ALLOC(m->most, m->count);
    for (int64_t s = 0; s < m->count; s++) {
        double size = (double)m->subsets[s].count;
        const char *path = gr_dataset_path(sources[s].dataset);
        if (weighted && !(sources[s].weight > 0)) {
            GR_FAIL(
                GR_ERR_RECIPE,
                "%s has no weight, but other data sets have one: give each a weight, or none",
                path);
        }
        if (weighted && m->subsets[s].count == 0) {
            GR_FAIL(GR_ERR_DATA, "%s has weight %g, but no sample in the part asked for", path,
                    sources[s].weight);
        }
        m->weights[s] = weighted ? sources[s].weight : size;
        double most = floor(sources[s].max_repeats * size);
        m->most[s] = sources[s].max_repeats > 0 && most < 9e18 ? (int64_t)most : INT64_MAX;
        m->most[s] = m->subsets[s].count > 0 ? m->most[s] : 0;
    }
    GR_TRY(lay_out(m));
done:
    return err;
}

gr_err gri_mixture_create(const gr_loader_source *sources, int64_t count, uint64_t seed,
                          uint64_t stream, bool shuffle, gri_mixture **out)
{
    gr_err err = GR_OK;
    gri_mixture *m = NULL;
    GR_ALLOC(m, 1);
    m->seed = seed;
    m->stream = stream;
    m->shuffle = shuffle;
    m->end = INT64_MAX;
    GR_ALLOC(m->subsets, count);
    GR_ALLOC(m->first, count + 1);
    m->count = count;
    for (int64_t s = 0; s < count; s++) {
        GR_TRY(gri_subset_create(sources[s].dataset, sources[s].from, sources[s].to,
                                 sources[s].task, &m->subsets[s]));
        m->first[s + 1] = m->first[s] + m->subsets[s].count;
    }
    if (m->first[count] == 0) {
        int64_t all = 0;
        for (int64_t s = 0; s < count; s++) {
            all += gr_dataset_count(sources[s].dataset);
        }
        GR_FAIL(
            GR_ERR_DATA,
            "no samples: %lld data set%s with %lld sample%s, none in the parts asked for%s%s",
            (long long)count, GR_PLURAL(count), (long long)all, GR_PLURAL(all),
            count ? "; the first is " : "", count ? gr_dataset_path(sources[0].dataset) : "");
    }
    GR_TRY(take_wishes(m, sources));
    *out = m;
    m = NULL;
done:
    gri_mixture_destroy(&m);
    return err;
}

void gri_mixture_destroy(gri_mixture **mixture)
{
    gri_mixture *m = *mixture;
    if (!m) {
        return;
    }
    for (int64_t i = 0; i < m->stretch_count; i++) {
        GR_FREE(m->stretches[i].given);
        GR_FREE(m->stretches[i].share);
    }
    for (int64_t s = 0; s < m->count; s++) {
        gri_subset_fini(&m->subsets[s]);
    }
    GR_FREE(m->stretches);
    GR_FREE(m->weights);
    GR_FREE(m->most);
    GR_FREE(m->subsets);
    GR_FREE(m->first);
    GR_FREE(*mixture);
}

int64_t gri_mixture_size(const gri_mixture *mixture)
{
    return mixture->first[mixture->count];
}

int64_t gri_mixture_end(const gri_mixture *mixture)
{
    return mixture->end;
}

static int64_t shuffled(const gri_mixture *m, uint64_t stream, int64_t size, int64_t k)
{
    return m->shuffle ? gr_order(m->seed, stream, k / size, size, k % size) : k % size;
}

gri_draw gri_mixture_sample(const gri_mixture *mixture, int64_t number)
{
    int64_t s = 0;
    while (number >= mixture->first[s + 1]) {
        s++;
    }
    return (gri_draw){s, gri_subset_select(&mixture->subsets[s], number - mixture->first[s])};
}

/// All sources as one.
static gri_draw draw_joined(const gri_mixture *m, int64_t position)
{
    return gri_mixture_sample(m, shuffled(m, m->stream, m->first[m->count], position));
}

static gri_draw draw_weighted(const gri_mixture *m, int64_t position)
{
    const stretch *t = &m->stretches[m->stretch_count - 1];
    while (t->begin > position) {
        t--;
    }
    int64_t i = position - t->begin, s = 0;
    for (;; s++) {
        GR_ASSERT(s < m->count);
        int64_t mine = taken(t->share[s], i);
        if (taken(t->share[s], i + 1) > mine) {
            i = mine;
            break;
        }
        i -= mine;
    }
    uint64_t stream = gr_rng_u64(m->stream, 0x4d495854555245, (uint64_t)s); // "MIXTURE"
    int64_t k = shuffled(m, stream, m->subsets[s].count, t->given[s] + i);
    return (gri_draw){s, gri_subset_select(&m->subsets[s], k)};
}

gri_draw gri_mixture_at(const gri_mixture *mixture, int64_t position)
{
    GR_ASSERT(position >= 0 && position < mixture->end);
    return mixture->weights ? draw_weighted(mixture, position) : draw_joined(mixture, position);
}
